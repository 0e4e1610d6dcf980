"""What goes through an installation: texts in, results out, what they cost, who is behind."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from sprat.errors import UserError
from sprat.kafka.clients import cancel_requests, close_in_time, make_consumer
from sprat.settings import KafkaSettings
from sprat_contracts import TASKS, Topics
from sprat_operations.lag import GroupLag, LagMeter, Measured, Pace, pace
from sprat_operations.topics import list_topics

_MAX_RECORDS = 2_000
_LOOK_S = 3.0
"""A broker that takes longer is frozen or gone; its clients would wait for it up to 40 s."""


@dataclass(slots=True)
class TrafficFigures:
    """Counts since the watch began."""

    texts: int = 0
    texts_per_s: float = 0.0
    results: int = 0
    kept: int = 0
    escalated: int = 0
    degraded: int = 0
    unanswered: int = 0
    cost_eur: float = 0.0
    lag: dict[str, int] = field(default_factory=dict)
    reachable: bool = True
    """Did Kafka answer the last time?"""

    def take(self, result: Mapping[str, Any]) -> None:
        """Count a result."""
        self.results += 1
        counted: Counter[str] = Counter((result["route"]["decision"], result["status"]))
        self.kept += counted["kept"]
        self.escalated += counted["escalated"]
        self.degraded += counted["degraded"]
        self.unanswered += counted["unanswered"]
        self.cost_eur += float(result["cost_eur"])


class TrafficMeter(Protocol):
    """Measures who is how far behind."""

    async def measure(self) -> tuple[dict[str, int], dict[TopicPartition, int]]:
        """Give the lag in records by group, and end offsets, those of the texts among them."""
        ...


class Traffic:
    """Watches an installation through one consumer of the results and one admin client."""

    def __init__(
        self,
        settings: KafkaSettings,
        topics: Topics,
        meter: Callable[[AIOKafkaConsumer, AIOKafkaAdminClient], TrafficMeter],
        partitions: Mapping[str, int],
    ) -> None:
        self.figures = TrafficFigures()
        self._consumer = make_consumer(
            settings.client(),
            auto_offset_reset="latest",
            fetch_max_wait_ms=50,  # the broker answers in order: questions for offsets wait behind a fetch
        )
        self._admin = AIOKafkaAdminClient(**settings.client())
        self._meter = meter(self._consumer, self._admin)
        self._results = _partitions([topics.results(task) for task in TASKS], partitions)
        self._texts = _partitions([topics.texts], partitions)
        self._first_texts = 0
        self._last: tuple[float, int] = (0.0, 0)

    async def __aenter__(self) -> Self:
        await self._consumer.start()
        self._consumer.assign(self._results)
        await self._consumer.seek_to_end(*self._results)
        await self._admin.start()
        ends = await self._consumer.end_offsets(self._texts)
        self._first_texts = sum(ends.values())
        self._last = (time.monotonic(), 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        await close_in_time(self._admin.close, self._consumer.stop)

    async def look(self) -> TrafficFigures:
        """Bring the figures up to date, as far as Kafka answers."""
        requests = cancel_requests()
        try:
            async with asyncio.timeout(_LOOK_S):
                while records := await self._consumer.getmany(timeout_ms=0, max_records=_MAX_RECORDS):
                    self._count(record for batch in records.values() for record in batch)
                self.figures.lag, ends = await self._meter.measure()
        except (KafkaError, OSError, TimeoutError):
            return self._unanswered()
        except asyncio.CancelledError:
            if cancel_requests() > requests:
                raise
            return self._unanswered()
        self.figures.reachable = True
        now, texts = time.monotonic(), sum(ends[partition] for partition in self._texts) - self._first_texts
        before, texts_before = self._last
        self.figures.texts = texts
        self.figures.texts_per_s = (texts - texts_before) / max(now - before, 0.001)
        self._last = (now, texts)
        return self.figures

    def _unanswered(self) -> TrafficFigures:
        """What was measured before says nothing of now."""
        self.figures.reachable, self.figures.lag, self.figures.texts_per_s = False, {}, 0.0
        return self.figures

    def _count(self, records: Iterable[ConsumerRecord]) -> None:
        for record in records:
            # Foreign producers may write here, too; what is no Result is not counted.
            try:
                self.figures.take(json.loads(record.value or b""))
            except (ValueError, TypeError, KeyError):
                continue


def _partitions(names: Iterable[str], counts: Mapping[str, int]) -> list[TopicPartition]:
    return [TopicPartition(name, number) for name in names for number in range(counts[name])]


# Watching an installation that others started: its traffic, and its groups with their pace.


@dataclass(frozen=True, slots=True)
class GroupPace:
    """A group, and how fast records come to it and go."""

    name: str
    """Without the prefix."""
    measured: GroupLag
    pace: Pace | None
    """None where it was measured but once."""


class GroupsWatch:
    """The meter of a `Traffic`, that also keeps what it measured."""

    def __init__(self, topics: Topics) -> None:
        self._topics = topics
        self._meter: LagMeter | None = None
        self._before: Measured | None = None
        self._now: Measured | None = None
        self._letters_before: int | None = None

    def connect(self, consumer: AIOKafkaConsumer, admin: AIOKafkaAdminClient) -> "GroupsWatch":
        """Measure through these clients from now on."""
        self._meter = LagMeter(consumer, admin, self._topics, (self._topics.dead_letters,))
        return self

    async def measure(self) -> tuple[dict[str, int], dict[TopicPartition, int]]:
        """Give the lag by group, and end offsets.

        Raises:
            KafkaError: the broker does not answer.
        """
        if self._meter is None:
            raise RuntimeError("measured before it was connected")
        measured = await self._meter.measure()
        self._before, self._now = self._now, measured
        if self._letters_before is None:
            self._letters_before = self._letters(measured)
        return {name: each.lag for name, each in measured.groups.items()}, dict(measured.ends)

    @property
    def groups(self) -> list[GroupPace]:
        """Give the groups as last measured, by name."""
        now = self._now
        if now is None:
            return []
        before = self._before
        return [GroupPace(name, each, _pace(before, now, name)) for name, each in sorted(now.groups.items())]

    @property
    def dead_letters(self) -> int:
        """Give how many there are since the first measurement."""
        return 0 if self._now is None else self._letters(self._now) - (self._letters_before or 0)

    def _letters(self, measured: Measured) -> int:
        return sum(end for tp, end in measured.ends.items() if tp.topic == self._topics.dead_letters)


def _pace(before: Measured | None, now: Measured, name: str) -> Pace | None:
    if before is None or name not in before.groups:
        return None
    return pace(before.groups[name].partitions, now.groups[name].partitions, now.at_s - before.at_s)


async def traffic_of(kafka: KafkaSettings, client: Mapping[str, Any], watch: GroupsWatch) -> Traffic:
    """Give what watches the traffic of an installation; its meter is `watch`.

    Raises:
        UserError: Kafka cannot be reached, or a topic of texts or results is missing.
    """
    topics = kafka.topics
    counts = {state.name: state.partitions or 0 for state in await list_topics(client, topics)}
    missing = [name for name in (topics.texts, *map(topics.results, TASKS)) if not counts[name]]
    if missing:
        raise UserError(f"there is no topic {', '.join(missing)}: run `sprat topics create`")
    return Traffic(kafka, topics, watch.connect, counts)
