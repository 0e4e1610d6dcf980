"""The topic of the audit and its second place in memory, written by the real writer; what an auditor makes of them."""

import asyncio
import tempfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

from sprat.audit.chain import Chain, SignedCheckpoint, SignedRecord, now_ms
from sprat.audit.keys import PublicKeys, SigningKey
from sprat.audit.places import StoredCheckpoint
from sprat.audit.settings import AuditSettings
from sprat.kafka.publisher import Acknowledged, OutRecord
from sprat_contracts import Egress, EgressRecord, Envelope, FrontierAnswered, Record, Topics, Traceparent, decode
from sprat_contracts.ids import derive
from sprat_frontier.egress_audit import KafkaEgressAudit
from sprat_operations.audit_proof import AuditProof
from support import frontier_parts as parts

PARTITIONS = 4
DAY_MS = 86_400_000
RETENTION_MS = 400 * DAY_MS
LATER_MS = 3_600_000
"""How long after the writing the auditor looks."""


def public_keys(*keys: SigningKey) -> PublicKeys:
    """Return the public halves, read from files as an auditor has them."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{key.id}.pem" for key in keys]
        for path, key in zip(paths, keys, strict=True):
            path.write_bytes(key.public_pem)
        return PublicKeys.read(paths)


@dataclass
class Log:
    """What whoever runs Kafka, and whoever runs the second place, can change."""

    partitions: list[list[Record]] = field(default_factory=lambda: [[] for _ in range(PARTITIONS)])
    checkpoints: list[StoredCheckpoint] = field(default_factory=list)
    answers: list[FrontierAnswered] = field(default_factory=list)
    clock: Callable[[], int] = now_ms

    async def publish(self, records: Sequence[OutRecord], hold_s: float | None = None) -> list[Acknowledged]:
        """Append the records, as a broker does."""
        await asyncio.sleep(0)
        return [self.append(out) for out in records]

    def append(self, out: OutRecord) -> Acknowledged:
        number = zlib.crc32(out.key or b"") % PARTITIONS
        partition = self.partitions[number]
        offset = partition[-1].offset + 1 if partition else 0
        partition.append(Record(out.topic, number, offset, self.clock(), out.key, out.value, tuple(out.headers)))
        return Acknowledged(number, offset, self.clock())

    async def write(self, checkpoint: SignedCheckpoint) -> None:
        """Append a checkpoint, as the second place does."""
        self.checkpoints.append(
            StoredCheckpoint(f"line {len(self.checkpoints)}", checkpoint.value, checkpoint.signature)
        )

    @property
    def records(self) -> list[Record]:
        """All records, in the order of their signatures."""
        every = [record for partition in self.partitions for record in partition]
        return sorted(every, key=lambda record: (message(record).chain.started_at, message(record).chain.sequence))

    def of(self, writer: str) -> list[Record]:
        return [record for record in self.records if message(record).chain.writer == writer]

    def replace(self, record: Record, *others: Record) -> None:
        """Put others in the place of a record; none: remove it."""
        partition = self.partitions[record.partition]
        place = partition.index(record)
        partition[place : place + 1] = others

    def add(self, record: Record) -> None:
        """Append a record to its partition."""
        partition = self.partitions[record.partition]
        partition.append(replace(record, offset=partition[-1].offset + 1 if partition else 0))


def message(record: Record) -> EgressRecord:
    return decode(record, EgressRecord).message


def audit(log: Log, key: SigningKey = parts.KEY, *, checkpoints: bool = True) -> KafkaEgressAudit:
    """Return the real writer of a process, on the log."""
    settings = parts.AUDIT if key is parts.KEY else AuditSettings(key=key.der_base64)
    return KafkaEgressAudit(log, Topics(), "frontier", 1, settings, log if checkpoints else None)


async def replica(log: Log, texts: Sequence[str], **changes: Any) -> KafkaEgressAudit:
    """Let a frontier answer some texts at the same time, and note its answers; it still runs afterwards."""
    frontier = parts.FrontierHarness(**changes)
    writer = audit(log)
    frontier.audit = writer
    frontier.restart()
    await writer.checkpoint()
    requests = [parts.request(text, id=text) for text in texts]
    log.answers += await asyncio.gather(*(frontier.answer(request) for request in requests))
    await writer.checkpoint()
    return writer


def verified(
    log: Log,
    *keys: SigningKey,
    late_ms: int = LATER_MS,
    since_ms: int | None = None,
    lead_ms: int = DAY_MS,
    **options: Any,
) -> AuditProof:
    """Return what an auditor makes of the log, or of what it says since some time (epoch milliseconds)."""
    now = now_ms() + late_ms
    given = {"horizon_ms": max(now - RETENTION_MS, since_ms or 0)} | options
    reconcile, checkpoints = given.pop("reconcile", True), given.pop("checkpoints", True)
    proof = AuditProof(public_keys(*(keys or (parts.KEY,))), now, **given)
    for stored in log.checkpoints if checkpoints else ():
        proof.add_checkpoint(stored)
    for number, answer in enumerate(log.answers):
        submitted, task = answer.request.prediction.submitted, answer.request.prediction.task
        proof.add_answer(f"answers 0@{number}", submitted.tenant, task, answer.egress, now_ms(), answer.tiers)
    begin = 0 if since_ms is None else proof.reach_back(lead_ms, now - RETENTION_MS)
    for partition in log.partitions:
        for record in partition:
            if record.timestamp >= begin:
                proof.add(record)
    proof.finish(checkpoints=checkpoints, answers_since_ms=0 if reconcile else None)
    return proof


def egress(answer: FrontierAnswered, **changes: Any) -> FrontierAnswered:
    """Return an answer that says something else of what left."""
    old = answer.egress or Egress(left=False)
    return answer.model_copy(update={"egress": old.model_copy(update=changes)})


def attempt(call_id: str) -> EgressRecord:
    """Return the record before a call."""
    return EgressRecord(
        call_id=call_id,
        phase="attempt",
        tenant="acme",
        task="intent",
        provider="p",
        region="eu",
        model="m",
        host="provider.example",
        bytes_out=1,
        text_hash=f"hash of {call_id}",
    )


class Process:
    """A process of the frontier with a clock of its own, which writes calls and checkpoints when it is told to."""

    def __init__(self, log: Log, started_ms: int) -> None:
        self.log, self.at_ms = log, started_ms
        log.clock = lambda: self.at_ms
        self.chain = Chain(parts.KEY, "frontier", log.clock)

    async def checkpoint(self, at_ms: int) -> None:
        self.at_ms = at_ms
        await _checkpoint(self.log, self.chain)

    def call(self, call_id: str, at_ms: int) -> None:
        self.at_ms = at_ms
        before = attempt(call_id)
        for record in (before, before.model_copy(update={"phase": "outcome", "outcome": "timeout"})):
            signed = self.chain.add(record, _envelope(record))
            _InFlight(record, signed).append_to(self.log)
            self.chain.acknowledge(signed.sequence)


@dataclass
class Simulation:
    """Many processes one after the other, each killed."""

    log: Log
    kills: int
    late_ms: int
    """How long after now its last record was written, and the auditor's delay."""


async def simulate_kills(records: int, seed: int = 14) -> Simulation:
    """Write so many records with the real chain; kill its processes between any two steps.

    A step signs a record, appends one of those in flight in any order, lets its acknowledgement arrive, or writes a
    checkpoint. A kill loses what was not appended, or not: the broker may have what the process had sent.
    """
    random = Random(seed)
    log, clock = Log(), [now_ms()]
    log.clock = lambda: clock[0]
    kills = 0
    while sum(map(len, log.partitions)) < records:
        chain = Chain(parts.KEY, "frontier", log.clock)
        in_flight: list[_InFlight] = []
        open_calls: list[EgressRecord] = []
        await _checkpoint(log, chain)
        for number in range(random.choice([0, 1, 2, 3, 5, 8, 200, 2000])):
            clock[0] += random.choice([0, 1, 30])
            step = random.random()
            if step < 0.45 or not in_flight:
                ends = random.random() < 0.5 and open_calls
                record = open_calls.pop(0) if ends else attempt(f"{chain.writer}-{number}")
                in_flight.append(_InFlight(record, chain.add(record, _envelope(record))))
            elif step < 0.95:
                entry = random.choice(in_flight)
                if not entry.appended:
                    entry.append_to(log)
                    continue
                in_flight.remove(entry)
                chain.acknowledge(entry.signed.sequence)
                if entry.record.phase == "attempt":
                    open_calls.append(entry.record.model_copy(update={"phase": "outcome", "outcome": "timeout"}))
            else:
                await _checkpoint(log, chain)
        kills += 1
        for entry in in_flight:
            if not entry.appended and random.random() < 0.5:
                entry.append_to(log)
    return Simulation(log, kills, clock[0] - now_ms() + LATER_MS)


@dataclass
class _InFlight:
    record: EgressRecord
    signed: SignedRecord
    appended: bool = False

    def append_to(self, log: Log) -> None:
        log.append(OutRecord(Topics().egress, self.record.text_hash.encode(), self.signed.value, self.signed.headers))
        self.appended = True


async def _checkpoint(log: Log, chain: Chain) -> None:
    await log.write(chain.checkpoint())
    chain.checkpoint_written()


def _envelope(record: EgressRecord) -> Envelope:
    source = "/sprat/frontier"
    event_id = str(derive(f"egress-{record.phase}", source, record.call_id, record.task))
    return Envelope(event_id, source, Traceparent("1" * 32, "2" * 16), extensions={"tenant": record.tenant})
