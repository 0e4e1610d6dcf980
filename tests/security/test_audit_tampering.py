"""The audit proves: data of the real writer, changed in every way that somebody without the private key can; and not
changed at all, with kills at every point.
"""

import asyncio
import json
from dataclasses import replace

import pytest

from sprat.audit.chain import Chain, now_ms, signed_bytes
from sprat.audit.keys import RECORD, SigningKey
from sprat.audit.places import CheckpointFolder, StoredCheckpoint
from sprat.audit.settings import AuditSettings
from sprat.base.errors import UserError
from sprat_cli.commands.audit.verify import exit_code
from sprat_contracts.ids import derive
from sprat_contracts.wire import SIGNATURE
from sprat_operations.audit_findings import FINDINGS
from support import frontier_parts as parts
from support.audit_log import (
    DAY_MS,
    LATER_MS,
    Log,
    Process,
    attempt,
    audit,
    egress,
    message,
    replica,
    simulate_kills,
    verified,
)

TEXTS = [f"please move {amount} euros" for amount in range(12)]
STRANGER = SigningKey.generate()


@pytest.fixture
async def log():
    """Two replicas at work: the first has stopped, the second still runs."""
    log = Log()
    first, second = await asyncio.gather(replica(log, TEXTS[:6]), replica(log, TEXTS[6:]))
    await first.close()
    await second.checkpoint()
    assert verified(log).findings == []
    return log


def changed(record, **fields):
    """Return a record with another value; the signature stays."""
    return replace(record, value=json.dumps(json.loads(record.value) | fields).encode())


def signed(record, key, **fields):
    """Return a record with another value, signed by a key."""
    other = changed(record, **fields)
    headers = [pair for pair in record.headers if pair[0] != SIGNATURE]
    return replace(other, headers=(*headers, (SIGNATURE, key.sign(RECORD, signed_bytes(other.value, headers)))))


def outcomes(log):
    return [record for record in log.records if message(record).phase == "outcome"]


def attempts(log):
    return [record for record in log.records if message(record).phase == "attempt"]


def stopped(log):
    """Return the records of the writer that has stopped."""
    ends = [json.loads(each.value) for each in log.checkpoints]
    (writer,) = {each["writer"] for each in ends if each["closed"]}
    return log.of(writer)


def remove_everything(log):
    for partition in log.partitions:
        partition.clear()


def remove_first(log):
    log.replace(log.records[0])


def remove_pair(log):
    call = message(outcomes(log)[0]).call_id
    for record in log.records:
        if message(record).call_id == call:
            log.replace(record)


def remove_end(log):
    for record in stopped(log)[-3:]:
        log.replace(record)


def remove_attempt_alone(log):
    log.replace(attempts(log)[2])


def forge_pair(log):
    for phase, record in (("attempt", attempts(log)[0]), ("outcome", outcomes(log)[0])):
        log.add(changed(record, call_id="forged", phase=phase))


def forge_pair_with_a_key(log):
    log.add(signed(attempts(log)[0], STRANGER, call_id="forged"))


def forge_for_a_writer_that_nobody_knows(log):
    record = attempts(log)[0]
    place = json.loads(record.value)["chain"] | {"writer": "frontier-x"}
    log.add(without_key(changed(record, call_id="forged", chain=place)))


def without_key(record):
    """Return the record with a signature that names no key."""
    headers = [pair for pair in record.headers if pair[0] != SIGNATURE]
    return replace(record, headers=(*headers, (SIGNATURE, b"none")))


def forge_unsigned(log):
    record = attempts(log)[0]
    plain = replace(record, headers=tuple(pair for pair in record.headers if pair[0] != SIGNATURE))
    log.add(changed(plain, call_id="forged", chain=None))


def strip_signature(log):
    record = attempts(log)[0]
    log.replace(record, replace(record, headers=tuple(pair for pair in record.headers if pair[0] != SIGNATURE)))


def change_a_value(log):
    log.replace(outcomes(log)[0], changed(outcomes(log)[0], cost_eur=0.0))


def change_headers(log, change):
    record = outcomes(log)[0]
    log.replace(record, replace(record, headers=tuple(change(list(record.headers)))))


def change_the_tenant_header(log):
    change_headers(log, lambda headers: [(name, b"x" if name == "ce_tenant" else value) for name, value in headers])


def change_the_source_and_the_id_that_follows_from_it(log):
    call = message(outcomes(log)[0])
    source = "/other/somebody-else"
    event_id = str(derive("egress-outcome", source, call.call_id, call.task)).encode()
    forged = {"ce_source": source.encode(), "ce_id": event_id}
    change_headers(log, lambda headers: [(name, forged.get(name, value)) for name, value in headers])


def change_the_time_header(log):
    past = b"2019-01-01T00:00:00Z"
    change_headers(log, lambda headers: [(name, past if name == "ce_time" else value) for name, value in headers])


def write_a_header_twice(log):
    change_headers(log, lambda headers: [("ce_tenant", b"closed"), *headers])


def add_a_header(log):
    change_headers(log, lambda headers: [*headers, ("ce_status", b"forged")])


def change_the_key(log):
    log.replace(outcomes(log)[0], replace(outcomes(log)[0], key=b"other"))


def write_garbage(log):
    log.add(replace(log.records[0], value=b"{}"))


def write_garbage_without_a_signature(log):
    log.add(replace(log.records[0], value=b"{}", headers=()))


def write_another_phase(log):
    log.add(changed(log.records[0], phase="thought"))


def write_again_elsewhere(log):
    record = log.records[0]
    log.add(replace(record, partition=(record.partition + 1) % len(log.partitions)))


def write_again_later(log):
    log.add(replace(log.records[0], timestamp=log.records[0].timestamp + LATER_MS))


def write_again_soon_after_later_records(log):
    log.add(known_to_be_there(log))


def write_the_last_one_again_and_again(log):
    last = stopped(log)[-1]
    for _ in range(4):
        log.add(last)


def move_to_the_end(log):
    record = known_to_be_there(log)
    log.replace(record)
    log.add(record)


def move_to_another_time(log):
    record = stopped(log)[-1]
    log.replace(record, replace(record, timestamp=record.timestamp + LATER_MS))


def known_to_be_there(log):
    """Return a record that another one of its writer, after it in its partition, counts as acknowledged."""
    return next(
        each
        for each in log.records
        for later in log.partitions[each.partition]
        if message(later).chain.writer == message(each).chain.writer
        and message(later).chain.acknowledged >= message(each).chain.sequence
    )


def contradict(log):
    record = outcomes(log)[0]
    log.replace(record, signed(record, parts.KEY, tenant=message(record).tenant, region="us", bytes_out=1))


def give_an_attempt_an_outcome(log):
    log.replace(attempts(log)[0], signed(attempts(log)[0], parts.KEY, outcome="answered"))


def use_a_number_twice(log):
    log.add(signed(outcomes(log)[0], parts.KEY, cost_eur=9.0))


def answer_a_call_twice(log):
    record = outcomes(log)[-1]
    place = json.loads(record.value)["chain"]
    log.add(signed(record, parts.KEY, chain=place | {"writer": "frontier-x", "sequence": 1, "previous": ""}))


def replace_a_record(log):
    log.replace(attempts(log)[1], signed(attempts(log)[1], parts.KEY, bytes_out=1))


def go_on_after_the_end(log):
    last = stopped(log)[-1]
    place = json.loads(last.value)["chain"]
    log.add(signed(last, parts.KEY, call_id="late", chain=place | {"sequence": place["sequence"] + 1}))


def leave_out_an_outcome(log):
    """Remove the second of a call with the next record linked over the gap: only the private key can do that."""
    records = stopped(log)
    log.replace(records[-1])
    for number, stored in enumerate(log.checkpoints):
        fields = json.loads(stored.value)
        if fields["writer"] == message(records[0]).chain.writer and fields["sequence"] == len(records):
            fields |= {
                "sequence": len(records) - 1,
                "acknowledged": len(records) - 1,
                "outcomes": fields["outcomes"] - 1,
            }
            fields |= {"hash": json.loads(records[-1].value)["chain"]["previous"]}
            log.checkpoints[number] = signed_checkpoint(stored, parts.KEY, fields)


def signed_checkpoint(stored, key, fields):
    value = json.dumps(fields).encode()
    return replace(stored, value=value, signature=key.sign(b"sprat audit checkpoint\0", value))


def forge_a_checkpoint(log):
    fields = json.loads(log.checkpoints[-1].value) | {"acknowledged": 0, "sequence": 0}
    log.checkpoints[-1] = replace(log.checkpoints[-1], value=json.dumps(fields).encode())


def remove_a_checkpoint(log):
    del log.checkpoints[2]


def remove_all_checkpoints(log):
    log.checkpoints.clear()


def differ_from_a_checkpoint(log):
    fields = json.loads(log.checkpoints[-1].value) | {"hash": "0" * 64}
    log.checkpoints[-1] = signed_checkpoint(log.checkpoints[-1], parts.KEY, fields)


def claim_that_a_text_left(log):
    log.answers[0] = egress(log.answers[0], call_id="none of them")


def claim_without_a_call(log):
    log.answers[0] = egress(log.answers[0], call_id=None)


def deny_that_a_text_left(log):
    log.answers[0] = egress(log.answers[0], left=False, call_id=None, provider=None, region=None)


def remove_an_answer(log):
    del log.answers[0]


def answer_from_elsewhere(log):
    log.answers[0] = egress(log.answers[0], region="us")


TAMPERING = {
    remove_everything: "truncated",
    remove_first: "removed",
    remove_pair: "removed",
    remove_end: "truncated",
    remove_attempt_alone: "no_attempt",
    forge_pair: "bad_signature",
    forge_pair_with_a_key: "unknown_key",
    forge_for_a_writer_that_nobody_knows: "bad_signature",
    forge_unsigned: "unsigned",
    strip_signature: "unsigned",
    change_a_value: "bad_signature",
    change_the_tenant_header: "bad_signature",
    change_the_source_and_the_id_that_follows_from_it: "bad_signature",
    change_the_time_header: "bad_signature",
    write_a_header_twice: "unreadable",
    add_a_header: "bad_signature",
    change_the_key: "key",
    write_garbage: "unreadable",
    write_garbage_without_a_signature: "unreadable",
    write_another_phase: "unreadable",
    write_again_elsewhere: "copy",
    write_again_later: "copy",
    write_again_soon_after_later_records: "copy",
    write_the_last_one_again_and_again: "copy",
    move_to_the_end: "order",
    move_to_another_time: "late",
    contradict: "contradiction",
    give_an_attempt_an_outcome: "phase",
    use_a_number_twice: "fork",
    answer_a_call_twice: "repeated_call",
    replace_a_record: "chain",
    go_on_after_the_end: "after_end",
    leave_out_an_outcome: "no_outcome",
    forge_a_checkpoint: "checkpoint_signature",
    remove_a_checkpoint: "checkpoint_removed",
    remove_all_checkpoints: "checkpoint_removed",
    differ_from_a_checkpoint: "checkpoint_differs",
    claim_that_a_text_left: "no_call",
    claim_without_a_call: "no_call",
    deny_that_a_text_left: "no_answer",
    remove_an_answer: "no_answer",
    answer_from_elsewhere: "answer_differs",
}


FOREIGN = (
    forge_pair_with_a_key,
    forge_for_a_writer_that_nobody_knows,
    forge_unsigned,
    write_garbage_without_a_signature,
)
"""What anybody may write."""


@pytest.mark.parametrize(("tamper", "kind"), TAMPERING.items(), ids=lambda each: getattr(each, "__name__", each))
async def test_tampering_is_found_with_its_place_and_what_to_do_and_only_what_anybody_may_write_is_foreign(
    log, tamper, kind
):
    tamper(log)
    proof = verified(log)
    found = {finding.kind: finding for finding in proof.findings}
    assert kind in found
    assert found[kind].where
    assert found[kind].advice
    assert exit_code(proof) == (3 if tamper in FOREIGN else 1)
    assert all(each.foreign for each in proof.findings) == (tamper in FOREIGN)


@pytest.mark.parametrize("tamper", FOREIGN, ids=lambda each: each.__name__)
async def test_foreign_records_do_not_cover_what_is_missing(log, tamper):
    remove_pair(log)
    tamper(log)
    proof = verified(log)
    assert (exit_code(proof), any(each.foreign for each in proof.findings)) == (1, True)


async def test_a_signed_record_that_this_version_cannot_read_is_not_foreign(log):
    log.add(signed(attempts(log)[0], parts.KEY, phase="thought"))
    (found,) = verified(log).findings
    assert (found.kind, found.foreign) == ("unreadable", False)


def sign_as_a_stranger(record):
    return signed(record, STRANGER, bytes_out=1)


def take_the_signature(record):
    return replace(record, headers=tuple(pair for pair in record.headers if pair[0] != SIGNATURE))


def change_its_value(record):
    return changed(record, bytes_out=1)


def make_it_garbage(record):
    return replace(record, value=b"{}")


@pytest.mark.parametrize(
    "change", [sign_as_a_stranger, take_the_signature, change_its_value, make_it_garbage, without_key]
)
async def test_the_last_record_of_a_killed_process_that_was_changed_is_not_foreign(change):
    """Nothing counts it as acknowledged, so that nothing else tells that it is missing."""
    log = Log()
    process = Process(log, START_MS)
    await process.checkpoint(START_MS)
    process.call("a", START_MS)
    last = log.records[-1]
    log.replace(last, change(last))
    proof = verified(log, reconcile=False)
    assert len(proof.findings) == 1
    assert exit_code(proof) == 1


async def test_with_another_key_than_the_writers_nothing_is_known_of_the_log(log):
    proof = verified(log, STRANGER, checkpoints=False, reconcile=False)
    assert {each.kind for each in proof.findings} == {"unknown_key"}
    assert exit_code(proof) == 1


def test_every_kind_of_finding_is_provoked_by_a_test():
    of_the_topic = {"retention", "settings", "held_back"}  # tests/security/test_audit_verify.py
    assert set(TAMPERING.values()) | of_the_topic | {"not_judged"} == set(FINDINGS)


def test_a_retention_below_what_is_wanted_is_a_finding():
    proof = verified(Log())
    proof.find_retention("t", DAY_MS, 400 * DAY_MS)
    proof.find_retention("t", -1, 400 * DAY_MS)
    proof.find_retention("t", 400 * DAY_MS, 400 * DAY_MS)
    assert [finding.kind for finding in proof.findings] == ["retention"]


async def test_what_retention_has_removed_is_no_finding_and_what_is_younger_is(log):
    remove_first(log)
    assert [each.kind for each in verified(log).findings] == ["removed", "no_attempt"]
    old = verified(log, late_ms=401 * DAY_MS)
    assert (old.findings, old.counts["expired"]) == ([], 1)
    remove_everything(log)
    old = verified(log, late_ms=401 * DAY_MS)
    assert (old.findings, old.counts["expired"]) == ([], 24)


async def test_headers_for_tracing_may_change_on_the_way_and_all_may_be_sorted(log):
    trace = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    change_headers(
        log, lambda headers: sorted((name, trace if name == "traceparent" else value) for name, value in headers)
    )
    assert verified(log).findings == []


async def test_what_a_producer_repeats_before_it_knows_is_counted_and_no_finding(log):
    log.add(stopped(log)[-1])
    proof = verified(log)
    assert (proof.findings, proof.counts["repeated_writes"], proof.counts["calls"]) == ([], 1, 12)


async def test_every_copy_is_counted_also_of_those_that_are_findings(log):
    for record in log.records:
        log.add(record)
    proof = verified(log)
    assert proof.counts["repeated_writes"] == 24
    assert {each.kind for each in proof.findings} == {"copy"}
    assert proof.counts["calls"] == 12


MINUTE_MS = 60_000
START_MS = now_ms()


async def idle_and_then_three_calls(log, idle_ms):
    """Return when the calls were made: the process writes one call, nothing for so long, and three calls."""
    process = Process(log, START_MS - idle_ms - MINUTE_MS)
    await process.checkpoint(process.at_ms)
    process.call("first", process.at_ms)
    await process.checkpoint(process.at_ms + MINUTE_MS)
    for number in range(3):
        process.call(f"burst-{number}", START_MS + number)
    await process.checkpoint(START_MS + 24_000)
    return START_MS


@pytest.mark.parametrize("idle_ms", [MINUTE_MS, 3 * DAY_MS])
@pytest.mark.parametrize("removed", [slice(2, None), slice(2, 6)])
async def test_since_a_time_nothing_may_be_missing_that_the_checkpoint_before_does_not_count(idle_ms, removed):
    log = Log()
    since = await idle_and_then_three_calls(log, idle_ms) - 16_000
    assert verified(log, since_ms=since).findings == []
    for record in log.records[removed]:
        log.replace(record)
    (found,) = verified(log, since_ms=since, reconcile=False).findings
    assert found.kind == ("truncated" if removed.stop is None else "removed")
    assert "records 3 to " in found.what


async def test_since_a_time_what_an_earlier_checkpoint_counts_is_older_and_not_looked_at():
    log = Log()
    since = await idle_and_then_three_calls(log, MINUTE_MS) - 16_000
    for record in log.records[:2]:
        log.replace(record)
    proof = verified(log, since_ms=since, reconcile=False)
    assert (proof.findings, proof.counts["expired"]) == ([], 2)


async def test_since_a_time_a_start_that_nothing_tells_of_is_not_judged_instead_of_fine():
    log = Log()
    since = await idle_and_then_three_calls(log, 3 * DAY_MS) - 16_000
    for record in log.records[2:6]:
        log.replace(record)
    (found,) = verified(log, since_ms=since, reconcile=False, checkpoints=False).findings
    assert (found.kind, found.what) == ("not_judged", "records 1 to 6 not there (6)")
    assert "--checkpoints" in found.advice
    assert [each.kind for each in verified(log, reconcile=False, checkpoints=False).findings] == ["removed"]
    # What is read from before the time may show that nothing of it is missing.
    log = Log()
    since = await idle_and_then_three_calls(log, MINUTE_MS) - 16_000
    assert verified(log, since_ms=since, reconcile=False, checkpoints=False).findings == []


async def test_while_no_checkpoint_could_be_written_for_days_nothing_is_missing():
    log = Log()
    process = Process(log, START_MS - 9 * DAY_MS)
    await process.checkpoint(process.at_ms)
    for hour in range(9 * 24):
        process.call(f"call-{hour}", process.at_ms + 60 * MINUTE_MS)
    await process.checkpoint(process.at_ms)
    assert verified(log, since_ms=START_MS - DAY_MS, reconcile=False).findings == []


async def test_a_copy_of_a_record_from_before_what_is_read_is_found():
    log = Log()
    since = await idle_and_then_three_calls(log, 3 * DAY_MS) - 16_000
    log.add(replace(log.records[0], timestamp=START_MS + MINUTE_MS))
    found = verified(log, since_ms=since, reconcile=False, checkpoints=False).findings
    assert "late" in {each.kind for each in found}


async def test_an_answer_from_the_cache_names_a_call_of_before_the_time(log):
    since = now_ms() + 1
    await asyncio.sleep(0.01)
    assert {each.kind for each in verified(log, since_ms=since, lead_ms=0).findings} == {"no_call"}
    assert verified(log, since_ms=since).findings == []


async def test_records_before_the_upgrade_may_be_unsigned_and_are_counted(log):
    forge_unsigned(log)
    proof = verified(log, unsigned_before_ms=now_ms() + 1)
    assert (proof.findings, proof.counts["unsigned"]) == ([], 1)
    assert proof.unsigned_until_ms <= now_ms()


async def test_a_rotated_key_needs_both_public_keys():
    log = Log()
    old = audit(log, STRANGER)
    await replica(log, TEXTS[:2])
    await old(message(log.records[0]).model_copy(update={"call_id": "c", "chain": None}))
    await old.close()
    assert {each.kind for each in verified(log).findings} == {"unknown_key"}
    proof = verified(log, parts.KEY, STRANGER)
    assert proof.findings == []
    assert {writer.key_id for writer in proof.writers} == {parts.KEY.id, STRANGER.id}


async def test_without_checkpoints_a_missing_end_is_not_found_which_the_command_says(log):
    remove_everything(log)
    log.answers.clear()
    assert verified(log, checkpoints=False).findings == []


@pytest.mark.parametrize("records", [2_500, pytest.param(10_000, marks=pytest.mark.long)])
async def test_no_false_alarm_with_kills_at_every_point(records):
    simulation = await simulate_kills(records)
    proof = verified(simulation.log, late_ms=simulation.late_ms)
    assert proof.findings == []
    assert simulation.kills > 10
    assert proof.counts["interrupted"] > simulation.kills / 4
    assert proof.counts["calls"] > records / 5


async def test_a_cancelled_call_still_writes_its_record_and_the_chain_has_no_hole():
    log = Log()
    writer = audit(log)
    await writer.checkpoint()
    writing = asyncio.create_task(writer(attempt("a")))
    await asyncio.sleep(0)
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    await writer(attempt("b"))
    await writer.close()
    assert [message(record).chain.sequence for record in log.records] == [1, 2]
    assert json.loads(log.checkpoints[-1].value)["acknowledged"] == 2


def test_a_folder_keeps_a_line_for_each_checkpoint_and_a_torn_line_is_left_out(tmp_path):
    chain, folder = Chain(parts.KEY, "frontier"), CheckpointFolder(tmp_path)
    checkpoints = []
    for _ in range(3):
        made = chain.checkpoint()
        asyncio.run(folder.write(made))
        chain.checkpoint_written()
        checkpoints.append(made)
    (file,) = tmp_path.iterdir()
    with file.open("ab") as opened:
        opened.write(b"ed25519 torn")
    assert list(folder.read()) == [
        StoredCheckpoint(f"{file} line {number}", made.value, made.signature)
        for number, made in enumerate(checkpoints, 1)
    ]


@pytest.mark.parametrize("form", ["PEM", "PEM in one line", "DER"])
def test_a_key_is_read_from_a_variable_in_each_form(form):
    pem = parts.KEY.pem.decode()
    text = {"PEM": pem, "PEM in one line": pem.replace("\n", "\\n"), "DER": parts.KEY.der_base64}[form]
    assert AuditSettings(key=text).signing_key().id == parts.KEY.id


@pytest.mark.parametrize("text", ["", "secret words", "MC4CAQAwBQYDK2VwBCIEI"])
def test_without_a_usable_key_nothing_starts_and_the_message_has_the_command_and_not_the_key(text):
    with pytest.raises(UserError, match="openssl genpkey -algorithm ed25519") as raised:
        AuditSettings(key=text).signing_key()
    assert not text or text not in str(raised.value)
