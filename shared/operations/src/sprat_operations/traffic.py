"""Traffic of an installation: texts in, Results out, their cost, and the lag of its consumer groups."""

import asyncio
import json
import math
from collections import Counter, deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from sprat.base.errors import UserError
from sprat.base.settings import KafkaSettings
from sprat.kafka.clients import cancel_requests, close_in_time, make_consumer, missing_topics
from sprat.kafka.lag import GroupLag, LagMeter, LagSnapshot
from sprat_operations.lag import Pace, pace_between

ALL, ESCALATED = "all", "escalated"
"""Beside the tasks, keys of the figures of Results."""
_MAX_RECORDS = 2_000
_LATEST = 1_000
"""Results of each kind whose latencies are kept."""
_ANSWER_S = 3.0
"""A Kafka that takes longer counts as unreachable; its clients would wait for it up to 40 s."""
_REQUEST_MS = 1_500
"""How long one broker is waited for: there is time left to ask the others what they have taken over from it."""


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
    simulated_eur: float = 0.0
    """The part of the cost that is a simulator's: nobody was paid."""
    lag: dict[str, int] = field(default_factory=dict)
    """Group, without the prefix → records."""
    reachable: bool = True
    """Whether a broker answered the last time."""
    measured: bool = True
    """Whether lag and rate are those of the last time; not while a broker that leads something does not answer."""
    latencies_ms: dict[str, deque[int]] = field(default_factory=dict)
    """Task, for what its small model answered, `escalated` or `all` → milliseconds from text to Result, the latest."""
    versions: dict[tuple[str, str], str] = field(default_factory=dict)
    """Task and name of a small model → the version that has answered last."""
    routes: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Task and decision → Results."""

    def kept_share(self, task: str = ALL) -> float | None:
        """Return the share of Results that were kept, of a task or of all; None where there is no Result."""
        kept, escalated = (self.routes[task, decision] for decision in ("kept", "escalated"))
        return kept / (kept + escalated) if kept + escalated else None

    def count(self, result: Mapping[str, Any], decided_at: int | None = None) -> None:
        """Count a Result, given as its JSON; `decided_at` is the broker's timestamp, epoch milliseconds."""
        task, decision, model = str(result["task"]), str(result["route"]["decision"]), result["model"]
        for each in (task, ALL):
            self.routes[each, decision] += 1
        if result["source"] == "small" and model is not None:
            self.versions[task, str(model["name"])] = str(model["version"])
        if decided_at is not None:
            latency_ms = max(0, decided_at - int(result["origin"]["appended_at"]))
            for each in (ALL, ESCALATED if decision == "escalated" else task):
                self.latencies_ms.setdefault(each, deque(maxlen=_LATEST)).append(latency_ms)
        self.results += 1
        counted: Counter[str] = Counter((result["route"]["decision"], result["status"]))
        self.kept += counted["kept"]
        self.escalated += counted["escalated"]
        self.degraded += counted["degraded"]
        self.unanswered += counted["unanswered"]
        self.cost_eur += float(result["cost_eur"])
        self.simulated_eur += _simulated_eur(result)


def percentile(values: Iterable[float], share: float) -> float | None:
    """Return the smallest value that at least this share of them do not exceed (nearest rank); None without values."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)] if ordered else None


def _simulated_eur(result: Mapping[str, Any]) -> float:
    """Return the part of a Result's cost for which nobody was paid: its tiers', where it was asked of some."""
    priced = [step for step in result.get("tiers") or () if step["cost_eur"]] or [result]
    return sum(float(each["cost_eur"]) for each in priced if (each.get("egress") or {}).get("simulated"))


@dataclass(frozen=True, slots=True)
class GroupPace:
    """A group, its lag, and how fast its records arrive and are committed."""

    name: str
    """Without the prefix."""
    measured: GroupLag
    pace: Pace | None
    """None where it was measured only once."""


class Traffic:
    """Follows an installation through one consumer of the Results and one admin client. A context manager."""

    def __init__(self, kafka: KafkaSettings, groups: Collection[str] | None = None) -> None:
        """Measure the lag of these groups, named without the prefix, else of all that belong to the installation."""
        self.figures = TrafficFigures()
        self._topics = topics = kafka.topics
        self._consumer = make_consumer(
            kafka.client(),
            auto_offset_reset="latest",
            fetch_max_wait_ms=50,  # the broker answers in order: requests for offsets wait behind a fetch
        )
        self._admin = AIOKafkaAdminClient(**kafka.client())
        client = kafka.client() | {"request_timeout_ms": _REQUEST_MS}
        self._meter = LagMeter(client, topics, groups=groups, extra_topics=(topics.dead_letters,))
        self._first = self._before = self._now = LagSnapshot(0.0, {}, {})

    async def __aenter__(self) -> Self:
        """Connect, and take the first snapshot, which is slower than later ones.

        Raises:
            UserError: a topic of texts or Results is missing.
            KafkaError: Kafka cannot be reached or refuses.
        """
        try:
            await self._consumer.start()
            await self._admin.start()
            results = await self._result_partitions()
            self._consumer.assign(results)
            await self._consumer.seek_to_end(*results)
            self._first = self._now = await self._meter.measure()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await close_in_time(self._meter.close, self._admin.close, self._consumer.stop)

    async def look(self, timeout_s: float = _ANSWER_S) -> TrafficFigures:
        """Return the figures as they are now, as far as Kafka answers."""
        requests = cancel_requests()
        try:
            async with asyncio.timeout(timeout_s):
                while records := await self._consumer.getmany(timeout_ms=0, max_records=_MAX_RECORDS):
                    self._count(record for batch in records.values() for record in batch)
                snapshot = await self._meter.measure()
        except (KafkaError, OSError, TimeoutError):
            return await self._unmeasured()
        except asyncio.CancelledError:
            if cancel_requests() > requests:
                raise
            return await self._unmeasured()
        self._before, self._now = self._now, snapshot
        figures = self.figures
        figures.reachable = figures.measured = True
        figures.lag = {name: each.lag for name, each in snapshot.groups.items()}
        texts = self._appended(self._topics.texts)
        figures.texts_per_s = (texts - figures.texts) / max(snapshot.at_s - self._before.at_s, 0.001)
        figures.texts = texts
        return figures

    @property
    def groups(self) -> list[GroupPace]:
        """The groups in the last snapshot, by name."""
        return [GroupPace(name, each, self._pace(name)) for name, each in sorted(self._now.groups.items())]

    @property
    def dead_letters(self) -> int:
        """Dead letters since the first snapshot."""
        return self._appended(self._topics.dead_letters)

    def _pace(self, name: str) -> Pace | None:
        before, now = self._before, self._now
        if name not in before.groups:
            return None
        return pace_between(before.groups[name].partitions, now.groups[name].partitions, now.at_s - before.at_s)

    def _appended(self, topic: str) -> int:
        """Return how many records were appended to a topic since the first snapshot."""
        first = self._first.ends
        return sum(end - first.get(tp, 0) for tp, end in self._now.ends.items() if tp.topic == topic)

    async def _result_partitions(self) -> list[TopicPartition]:
        names = [self._topics.texts, *map(self._topics.results, self._topics.tasks)]
        described = await self._admin.describe_topics(names)
        if missing := missing_topics(described):
            raise UserError(
                f"there is no topic {', '.join(sorted(missing, key=names.index))}: run `sprat topics create`"
            )
        return [
            TopicPartition(each["topic"], part["partition"])
            for each in described
            if each["topic"] != self._topics.texts
            for part in each["partitions"]
        ]

    async def _unmeasured(self) -> TrafficFigures:
        """Reset the figures that hold for the present moment only, and find out whether any broker answers."""
        figures = self.figures
        figures.measured, figures.lag, figures.texts_per_s = False, {}, 0.0
        figures.reachable = await self._meter.answers(_REQUEST_MS / 1000)
        return figures

    def _count(self, records: Iterable[ConsumerRecord]) -> None:
        for record in records:
            # Other producers may write here as well; what is not a Result is not counted.
            try:
                self.figures.count(json.loads(record.value or b""), record.timestamp)
            except (ValueError, TypeError, KeyError):
                continue
