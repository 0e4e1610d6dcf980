"""The chain of egress records: numbers, hashes, signatures, checkpoints; and how the service writes it."""

import asyncio
import json

import pytest

from sprat.audit.chain import Chain, Checkpoint, hash_of, signed_bytes
from sprat.audit.keys import CHECKPOINT, RECORD, PublicKeys
from sprat.audit.places import NotWritten, StoredCheckpoint
from sprat.kafka.publisher import NotAcknowledged
from sprat_contracts import Envelope, Topics, Traceparent
from sprat_contracts.wire import SIGNATURE
from sprat_frontier import egress_audit
from sprat_frontier.egress_audit import KafkaEgressAudit
from sprat_operations.audit_proof import AuditProof
from support.audit_log import attempt
from support.frontier_parts import AUDIT, KEY

ENVELOPE = Envelope("e-1", "/sprat/frontier", Traceparent("1" * 32, "2" * 16), extensions={"tenant": "acme"})


@pytest.fixture
def keys(tmp_path):
    (tmp_path / "public.pem").write_bytes(KEY.public_pem)
    return PublicKeys.read([tmp_path / "public.pem"])


@pytest.fixture
def clock():
    return iter(range(1_000, 10_000)).__next__


@pytest.fixture
def chain(clock):
    return Chain(KEY, "frontier", clock)


def place(signed):
    return json.loads(signed.value)["chain"]


def read(signed):
    return Checkpoint.model_validate_json(signed.value)


def outcome(call_id):
    return attempt(call_id).model_copy(update={"phase": "outcome", "outcome": "timeout"})


# Records.


def test_each_record_has_a_number_and_names_the_hash_of_the_one_before(chain):
    signed = [chain.add(attempt(name), ENVELOPE) for name in "abc"]
    assert [each.sequence for each in signed] == [place(each)["sequence"] for each in signed] == [1, 2, 3]
    assert [place(each)["previous"] for each in signed] == ["", hash_of(signed[0].value), hash_of(signed[1].value)]
    assert {place(each)["writer"] for each in signed} == {chain.writer}
    assert chain.writer != Chain(KEY, "frontier").writer, "each process has a chain of its own"


def test_a_record_is_signed_with_its_headers_and_for_this_purpose_alone(chain, keys):
    signed = chain.add(attempt("a"), ENVELOPE)
    (signature,) = [value for name, value in signed.headers if name == SIGNATURE]
    rest = [each for each in signed.headers if each[0] != SIGNATURE]
    assert keys.check(RECORD, signed_bytes(signed.value, rest), signature) == KEY.id
    with pytest.raises(ValueError, match="does not belong"):
        keys.check(CHECKPOINT, signed_bytes(signed.value, rest), signature)
    changed = [(name, b"other" if name == "ce_tenant" else value) for name, value in rest]
    assert changed != rest
    with pytest.raises(ValueError, match="does not belong"):
        keys.check(RECORD, signed_bytes(signed.value, changed), signature)


def test_signed_bytes_tell_what_is_where():
    """Two records whose headers and value are alike once joined are two records."""
    assert signed_bytes(b"xy", [("ce_a", b"1")]) != signed_bytes(b"y", [("ce_a", b"1x")])
    assert signed_bytes(b"v", [("ce_a", b"1"), ("ce_b", b"")]) != signed_bytes(b"v", [("ce_a", b""), ("ce_b", b"1")])


def test_agents_may_change_the_order_of_headers_and_those_of_tracing():
    sent = [("ce_id", b"1"), ("ce_source", b"/s"), ("traceparent", b"00-1")]
    arrived = [("traceparent", b"00-2"), ("ce_source", b"/s"), ("ce_id", b"1"), ("baggage", b"x")]
    assert signed_bytes(b"v", sent) == signed_bytes(b"v", arrived)


# Acknowledgements.


def test_a_record_says_up_to_which_number_all_were_acknowledged(chain):
    for name in "abcd":
        chain.add(attempt(name), ENVELOPE)
    said = []
    for sequence in (3, 1, 2, 4):
        chain.acknowledge(sequence)
        said.append(chain.state[1])
    assert said == [0, 1, 3, 4]
    assert place(chain.add(attempt("e"), ENVELOPE))["acknowledged"] == 4


# Checkpoints.


def test_a_checkpoint_counts_what_was_signed(chain, keys):
    first = chain.add(attempt("a"), ENVELOPE)
    last = chain.add(outcome("a"), ENVELOPE)
    chain.add(attempt("b"), ENVELOPE)
    chain.acknowledge(1)
    signed = chain.checkpoint()
    found = read(signed)
    assert keys.check(CHECKPOINT, signed.value, signed.signature) == KEY.id
    assert (found.sequence, found.acknowledged, found.attempts, found.outcomes) == (3, 1, 2, 1)
    assert found.hash not in (hash_of(first.value), hash_of(last.value), "")
    assert not found.closed


def test_a_record_names_the_last_checkpoint_that_the_second_place_holds(chain):
    assert place(chain.add(attempt("a"), ENVELOPE))["checkpoint"] is None
    assert read(chain.checkpoint()).number == read(chain.checkpoint()).number == 0, "it was not written"
    assert place(chain.add(attempt("b"), ENVELOPE))["checkpoint"] is None
    chain.checkpoint_written()
    assert place(chain.add(attempt("c"), ENVELOPE))["checkpoint"] == 0
    assert read(chain.checkpoint()).number == 1


@pytest.mark.parametrize(
    ("records", "acknowledged", "closed"),
    [
        pytest.param((), (), True, id="no record"),
        pytest.param((attempt("a"), outcome("a")), (1, 2), True, id="all complete"),
        pytest.param((attempt("a"), outcome("a")), (2,), False, id="one not acknowledged"),
        pytest.param((attempt("a"),), (1,), False, id="a call without its outcome"),
    ],
)
def test_a_chain_ends_only_where_it_is_complete(records, acknowledged, closed, chain):
    for record in records:
        chain.add(record, ENVELOPE)
    for sequence in acknowledged:
        chain.acknowledge(sequence)
    assert read(chain.checkpoint(closing=True)).closed is closed
    assert not read(chain.checkpoint()).closed


def test_an_auditor_counts_what_a_checkpoint_says(chain, keys):
    """Whoever has the key cannot leave out calls: each record is an attempt or an outcome."""
    chain.add(attempt("a"), ENVELOPE)
    honest = read(chain.checkpoint())
    found = []
    for checkpoint in (honest, honest.model_copy(update={"attempts": 0})):
        value = checkpoint.model_dump_json().encode()
        proof = AuditProof(keys, now_ms=20_000, horizon_ms=0)
        proof.add_checkpoint(StoredCheckpoint("file 1", value, KEY.sign(CHECKPOINT, value)))
        proof.finish(checkpoints=False, answers_since_ms=None)
        found.append([each.what for each in proof.findings if each.kind == "checkpoint_differs"])
    assert found == [[], [f"its counts are not those of {chain.writer}"]]


# The service's audit.

EVERY_S = AUDIT.checkpoint_every_s


class Publisher:
    """Acknowledges records while `open` is set; refuses as often as `refusals` says."""

    def __init__(self):
        self.sent = []
        self.refusals = 0
        self.open = asyncio.Event()
        self.open.set()
        self.called = asyncio.Event()

    async def publish(self, records):
        self.called.set()
        await self.open.wait()
        self.sent += records
        if self.refusals:
            self.refusals -= 1
            raise NotAcknowledged((0,), "TimeoutError")
        return [type("Place", (), {"partition": 0, "offset": len(self.sent)})]


class SecondPlace:
    """Takes checkpoints while `open` is set; fails while `full`."""

    def __init__(self):
        self.written = []
        self.full = False
        self.open = asyncio.Event()
        self.open.set()
        self.called = asyncio.Event()

    async def write(self, checkpoint):
        self.called.set()
        await self.open.wait()
        if self.full:
            raise NotWritten("no space left")
        self.written.append(read(checkpoint))


class Monotonic:
    now_s = 500.0

    def monotonic(self):
        return self.now_s


@pytest.fixture
def time(monkeypatch):
    time = Monotonic()
    monkeypatch.setattr(egress_audit, "time", time)
    return time


@pytest.fixture
def publisher():
    return Publisher()


@pytest.fixture
def second_place():
    return SecondPlace()


@pytest.fixture
def audit(publisher, second_place, time):
    return KafkaEgressAudit(publisher, Topics(), "frontier", 5.0, AUDIT, second_place)


async def test_a_write_that_is_repeated_repeats_the_same_bytes(audit, publisher):
    publisher.refusals = 1
    await audit(attempt("a"))
    first, second = publisher.sent
    assert (first.value, first.headers) == (second.value, second.headers)
    await audit(outcome("a"))
    assert [json.loads(each.value)["chain"]["sequence"] for each in publisher.sent] == [1, 1, 2]


async def test_a_write_that_has_begun_ends_though_the_caller_is_cancelled(audit, publisher):
    publisher.open.clear()
    calling = asyncio.create_task(audit(attempt("a")))
    await publisher.called.wait()
    calling.cancel()
    await asyncio.gather(calling, return_exceptions=True)
    publisher.open.set()
    await audit.close()
    assert len(publisher.sent) == 1


async def test_the_first_record_has_its_checkpoint_at_once_and_each_only_where_there_is_something_new(
    audit, second_place
):
    await audit.checkpoint()
    await audit.checkpoint()
    await audit(attempt("a"))
    await audit(outcome("a"))
    assert [each.sequence for each in second_place.written] == [0, 1]
    await audit.close()
    assert [(each.sequence, each.closed) for each in second_place.written] == [(0, False), (1, False), (2, True)]


async def test_a_checkpoint_is_overdue_after_its_interval(audit, second_place, time):
    assert audit.overdue_s == 0
    second_place.full = True
    await audit(attempt("a"))
    time.now_s += EVERY_S
    assert audit.overdue_s == 0
    time.now_s += 30
    assert audit.overdue_s == 30
    await audit(outcome("a"))
    assert audit.overdue_s == 30, "a later record does not put it off"
    second_place.full = False
    await audit.checkpoint()
    assert audit.overdue_s == 0
    time.now_s += 10 * EVERY_S
    assert audit.overdue_s == 0, "nothing waits"


async def test_a_record_that_is_signed_during_a_checkpoint_waits_for_the_next_one(audit, second_place, time):
    await audit(attempt("a"))
    await audit(outcome("a"))
    second_place.open.clear()
    second_place.called.clear()
    writing = asyncio.create_task(audit.checkpoint())
    await second_place.called.wait()
    await audit(attempt("b"))
    time.now_s += 20
    second_place.open.set()
    await writing
    time.now_s += EVERY_S
    assert audit.overdue_s == 20, "counted from when the checkpoint was signed"
    await audit.checkpoint()
    assert audit.overdue_s == 0


async def test_without_a_second_place_records_are_written_all_the_same(publisher, time):
    audit = KafkaEgressAudit(publisher, Topics(), "frontier", 5.0, AUDIT)
    await audit(attempt("a"))
    await audit.close()
    assert len(publisher.sent) == 1
