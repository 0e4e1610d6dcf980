"""Egress records: read them, and sum them up by route."""

from collections import Counter
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from aiokafka import ConsumerRecord

from sprat.base.settings import KafkaSettings
from sprat.kafka.clients import client_arguments
from sprat_contracts import EgressRecord, ReasonCode, WireError, decode
from sprat_operations.audit_proof import GRACE_MS
from sprat_operations.result_stream import UnreadableRecord
from sprat_operations.topic_reader import TopicReader, read_since

EgressRoute = tuple[str, str, str]
"""Tenant, provider, region."""

ANSWERED = "answered"


async def read_egress(kafka: KafkaSettings, since_ms: int | None) -> AsyncIterator[EgressRecord | UnreadableRecord]:
    """Return every egress record appended at `since_ms` or later (None: all), in each partition's order.

    The reading ends at the end offsets of its beginning, and holds one fetch in memory.

    Raises:
        UserError: there is no such topic.
        TimeoutError: the broker returns no more records.
    """
    async for record in read_since(client_arguments(kafka), [kafka.topics.egress], since_ms):
        yield _read(record)


_LAST: Final = 50
"""Records of a partition among which there is one of the audit, unless somebody else has written there."""


async def recent_egress(kafka: KafkaSettings) -> list[EgressRecord]:
    """Return the last egress records in the order in which they were signed. They are not verified.

    Raises:
        UserError: there is no such topic.
        TimeoutError: the broker returns no more records.
        KafkaError: Kafka refuses.
    """
    found: list[tuple[int, EgressRecord]] = []
    async with TopicReader(client_arguments(kafka)) as reader:
        async for records in reader.read_last(kafka.topics.egress, _LAST):
            reads = (read for read in map(_read, records) if not isinstance(read, UnreadableRecord))
            found += [(read.chain.signed_at, read) for read in reads if read.chain is not None]
    return [record for _, record in sorted(found, key=lambda each: each[0])]


_NO_CALL: Final = frozenset({"not_sent", "cancelled"})
_SAID: Final = frozenset({ANSWERED, ReasonCode.REFUSED, ReasonCode.INVALID_ANSWER, ReasonCode.NO_GOLD})
"""Outcomes of a provider that works, whatever its model says."""


@dataclass(frozen=True, slots=True)
class RecentCalls:
    """How the last calls to a provider ended."""

    provider: str
    last: EgressRecord
    """An outcome."""
    failures: int
    """In a row, up to the last call."""

    @property
    def at_ms(self) -> int:
        """When the last one ended, epoch milliseconds."""
        return 0 if self.last.chain is None else self.last.chain.signed_at


def recent_calls(records: Iterable[EgressRecord]) -> list[RecentCalls]:
    """Return how the calls to each provider ended, by `recent_egress`."""
    calls: dict[str, RecentCalls] = {}
    for record in records:
        if record.phase == "outcome" and record.outcome not in _NO_CALL:
            before = calls.get(record.provider)
            failures = 0 if record.outcome in _SAID else 1 + (0 if before is None else before.failures)
            calls[record.provider] = RecentCalls(record.provider, record, failures)
    return list(calls.values())


def _read(record: ConsumerRecord) -> EgressRecord | UnreadableRecord:
    try:
        message = decode(record, EgressRecord).message
        if message.phase not in {"attempt", "outcome"}:
            return UnreadableRecord(record.topic, record.partition, record.offset, "neither attempt nor outcome")
    except (WireError, ValueError) as error:
        return UnreadableRecord(record.topic, record.partition, record.offset, str(error))
    return message


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
    """The sum of each route. Of the records, only the places in their writers' chains are kept.

    What was signed well before `since_ms` (epoch milliseconds) was written then; what stands there now is a copy.
    """

    since_ms: int = 0
    by_route: dict[EgressRoute, EgressSum] = field(default_factory=dict)
    repeated: int = 0
    """Records that stand there again, and are not counted."""
    _places: set[tuple[str, int]] = field(default_factory=set)

    def add(self, record: EgressRecord) -> None:
        """Count one record, unless it has been."""
        if record.chain is not None:
            place = record.chain.writer, record.chain.sequence
            if place in self._places or record.chain.signed_at < self.since_ms - GRACE_MS:
                self.repeated += 1
                return
            self._places.add(place)
        self.by_route.setdefault((record.tenant, record.provider, record.region), EgressSum()).add(record)

    @property
    def total(self) -> EgressSum:
        """Return the sum of all."""
        return sum(self.by_route.values(), EgressSum())
