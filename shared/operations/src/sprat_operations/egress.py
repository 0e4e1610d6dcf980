"""Egress records: read them, match the attempts and outcomes of calls, and sum them up by route."""

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Final

from aiokafka import ConsumerRecord

from sprat.kafka.clients import client_arguments
from sprat.settings import KafkaSettings
from sprat_contracts import EgressRecord, WireError, decode
from sprat_operations.result_stream import UnreadableRecord
from sprat_operations.topic_reader import read_since

MAX_OPEN: Final = 100_000
"""Records of a phase that wait for their counterpart; beyond that the oldest is reported as unpaired. Both phases of a
call have one key and therefore one partition, as close together as the call was long: few wait at a time."""

EgressRoute = tuple[str, str, str]
"""Tenant, provider, region."""

ANSWERED = "answered"


@dataclass(frozen=True, slots=True)
class StoredEgress:
    """An egress record on its topic."""

    record: EgressRecord
    at_ms: int
    """When the broker appended it: epoch milliseconds."""


async def read_egress(kafka: KafkaSettings, since_ms: int | None) -> AsyncIterator[StoredEgress | UnreadableRecord]:
    """Return every egress record appended at `since_ms` or later (None: all), in each partition's order.

    The reading ends at the end offsets of its beginning, and holds one fetch in memory.

    Raises:
        UserError: there is no such topic.
        TimeoutError: the broker returns no more records.
    """
    async for record in read_since(client_arguments(kafka), [kafka.topics.egress], since_ms):
        yield _read(record)


def _read(record: ConsumerRecord) -> StoredEgress | UnreadableRecord:
    try:
        message = decode(record, EgressRecord).message
        if message.phase not in {"attempt", "outcome"}:
            return UnreadableRecord(record.topic, record.partition, record.offset, "neither attempt nor outcome")
    except (WireError, ValueError) as error:
        return UnreadableRecord(record.topic, record.partition, record.offset, str(error))
    return StoredEgress(message, record.timestamp)


@dataclass(frozen=True, slots=True)
class UnpairedEgress:
    """A record without its counterpart: an attempt without an outcome, or an outcome without an attempt."""

    call_id: str
    phase: str
    at_ms: int
    tenant: str
    task: str
    provider: str
    region: str
    model: str

    @classmethod
    def of(cls, record: EgressRecord, at_ms: int) -> "UnpairedEgress":
        """Return the fields of a record that identify the call."""
        return cls(
            record.call_id,
            record.phase,
            at_ms,
            record.tenant,
            record.task,
            record.provider,
            record.region,
            record.model,
        )


@dataclass(slots=True)
class EgressPairing:
    """Matches records by their call's id, in any order; keeps only those without a counterpart."""

    since_ms: int = 0
    """Epoch milliseconds. Pairs that end before it are matched, but not counted."""
    paired: int = 0
    max_open: int = MAX_OPEN
    _waiting: dict[str, dict[str, UnpairedEgress]] = field(default_factory=lambda: {"attempt": {}, "outcome": {}})

    def add(self, stored: StoredEgress) -> UnpairedEgress | None:
        """Match one record; return the oldest waiting record where more than `MAX_OPEN` wait."""
        record = stored.record
        other = "outcome" if record.phase == "attempt" else "attempt"
        if self._waiting[other].pop(record.call_id, None) is not None:
            self.paired += stored.at_ms >= self.since_ms
            return None
        waiting = self._waiting[record.phase]
        waiting[record.call_id] = UnpairedEgress.of(record, stored.at_ms)
        return waiting.pop(next(iter(waiting))) if len(waiting) > self.max_open else None

    def rest(self) -> list[UnpairedEgress]:
        """Return the records that still wait, by time."""
        return sorted(
            (each for waiting in self._waiting.values() for each in waiting.values()), key=lambda each: each.at_ms
        )


@dataclass(slots=True)
class EgressSum:
    """Calls of one route. An attempt adds a call, its bytes and masked values; an outcome, its cost and result."""

    calls: int = 0
    bytes_out: int = 0
    masked: Counter[str] = field(default_factory=Counter)
    cost_eur: float = 0.0
    outcomes: Counter[str] = field(default_factory=Counter)

    def add(self, record: EgressRecord) -> None:
        """Count one record."""
        if record.phase == "attempt":
            self.calls += 1
            self.bytes_out += record.bytes_out
            self.masked.update(record.masked)
        else:
            self.cost_eur += record.cost_eur
            self.outcomes[record.outcome or "unknown"] += 1

    @property
    def failures(self) -> dict[str, int]:
        """Return the count of each kind of failure, the most frequent first."""
        return {name: count for name, count in self.outcomes.most_common() if name != ANSWERED}

    def __add__(self, other: "EgressSum") -> "EgressSum":
        return EgressSum(
            self.calls + other.calls,
            self.bytes_out + other.bytes_out,
            self.masked + other.masked,
            self.cost_eur + other.cost_eur,
            self.outcomes + other.outcomes,
        )

    def as_json(self) -> dict[str, Any]:
        """Return the sum as JSON values."""
        return {
            "calls": self.calls,
            "bytes_out": self.bytes_out,
            "masked": dict(sorted(self.masked.items())),
            "cost_eur": round(self.cost_eur, 9),
            "answered": self.outcomes[ANSWERED],
            "failures": self.failures,
        }


@dataclass(slots=True)
class EgressSums:
    """The sum of each route; no record is kept."""

    by_route: dict[EgressRoute, EgressSum] = field(default_factory=dict)

    def add(self, record: EgressRecord) -> None:
        """Count one record."""
        self.by_route.setdefault((record.tenant, record.provider, record.region), EgressSum()).add(record)

    @property
    def total(self) -> EgressSum:
        """Return the sum of all."""
        return sum(self.by_route.values(), EgressSum())
