"""The audit proves: data of the real writer, changed in every way that somebody without the private key can; and not
changed at all, with kills at every point.
"""

import asyncio
import json
from dataclasses import replace

import pytest

from sprat.audit.chain import Chain, now_ms
from sprat.audit.keys import RECORD, SigningKey
from sprat.audit.places import CheckpointFolder, StoredCheckpoint
from sprat.audit.settings import AuditSettings
from sprat.errors import UserError
from sprat_contracts.wire import SIGNATURE
from sprat_operations.audit_proof import FINDINGS
from support import frontier_parts as parts
from support.audit_log import (
    DAY_MS,
    LATER_MS,
    Log,
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
    return replace(other, headers=(*headers, (SIGNATURE, key.sign(RECORD, other.value))))


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


def forge_unsigned(log):
    record = attempts(log)[0]
    plain = replace(record, headers=tuple(pair for pair in record.headers if pair[0] != SIGNATURE))
    log.add(changed(plain, call_id="forged", chain=None))


def strip_signature(log):
    record = attempts(log)[0]
    log.replace(record, replace(record, headers=tuple(pair for pair in record.headers if pair[0] != SIGNATURE)))


def change_a_value(log):
    log.replace(outcomes(log)[0], changed(outcomes(log)[0], cost_eur=0.0))


def change_the_tenant_header(log):
    record = outcomes(log)[0]
    headers = tuple((name, b"other" if name == "ce_tenant" else value) for name, value in record.headers)
    log.replace(record, replace(record, headers=headers))


def change_the_key(log):
    log.replace(outcomes(log)[0], replace(outcomes(log)[0], key=b"other"))


def write_garbage(log):
    log.add(replace(log.records[0], value=b"{}"))


def write_another_phase(log):
    log.add(changed(log.records[0], phase="thought"))


def write_again_elsewhere(log):
    record = log.records[0]
    log.add(replace(record, partition=(record.partition + 1) % len(log.partitions)))


def write_again_later(log):
    log.add(replace(log.records[0], timestamp=log.records[0].timestamp + LATER_MS))


def move_to_the_end(log):
    record = next(each for each in log.records if each is not log.partitions[each.partition][-1])
    behind = [
        each
        for each in log.partitions[record.partition]
        if message(each).chain.writer == message(record).chain.writer
        and message(each).chain.acknowledged >= message(record).chain.sequence
    ]
    assert behind
    log.replace(record)
    log.add(record)


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
    forge_unsigned: "unsigned",
    strip_signature: "unsigned",
    change_a_value: "bad_signature",
    change_the_tenant_header: "headers",
    change_the_key: "headers",
    write_garbage: "unreadable",
    write_another_phase: "unreadable",
    write_again_elsewhere: "copy",
    write_again_later: "copy",
    move_to_the_end: "order",
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


@pytest.mark.parametrize(("tamper", "kind"), TAMPERING.items(), ids=lambda each: getattr(each, "__name__", each))
async def test_tampering_is_found_with_its_place_and_what_to_do(log, tamper, kind):
    tamper(log)
    found = {finding.kind: finding for finding in verified(log).findings}
    assert kind in found
    assert found[kind].where
    assert found[kind].advice


def test_every_kind_of_finding_is_provoked_by_a_test():
    assert set(TAMPERING.values()) | {"retention"} == set(FINDINGS)


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


async def test_no_false_alarm_with_kills_at_every_point():
    simulation = await simulate_kills(10_000)
    proof = verified(simulation.log, late_ms=simulation.late_ms)
    assert proof.findings == []
    assert simulation.kills > 10
    assert proof.counts["interrupted"] > simulation.kills / 4
    assert proof.counts["calls"] > 2_000


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
