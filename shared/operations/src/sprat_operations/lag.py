"""How far each consumer group is behind in each partition, and when it will have caught up."""

import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from sprat.kafka.clients import close_in_time, make_consumer, missing_topics
from sprat_contracts import Topics
from sprat_operations.groups import GroupState, find_groups, reads

STEADY_S: Final = 5.0
"""Who has what came in so short a time still in hand is at work, not behind."""


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """A group in a partition."""

    partition: TopicPartition
    end: int
    committed: int | None
    """None: it has committed nothing here yet."""
    start: int
    """Where it goes on: at its committed offset, else at the partition's beginning."""

    @property
    def lag(self) -> int:
        """Give how many records it has not committed."""
        return max(0, self.end - self.start)


@dataclass(frozen=True, slots=True)
class GroupLag:
    """A group at a moment."""

    group: GroupState
    partitions: tuple[PartitionLag, ...]

    @property
    def lag(self) -> int:
        """Give how many records it has not committed, in all."""
        return sum(each.lag for each in self.partitions)


@dataclass(frozen=True, slots=True)
class Measured:
    """All groups at a moment."""

    at_s: float
    """By the monotonic clock."""
    groups: Mapping[str, GroupLag]
    """By the group's name without the prefix."""
    ends: Mapping[TopicPartition, int]
    """Of all partitions that any of them reads, of the texts and of the topics asked for."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast records come and go between two measurements, a second."""

    coming: float
    going: float
    lag: int
    """At the second one."""

    @property
    def drained_in_s(self) -> float | None:
        """Give the seconds until nothing is left, if it goes on like this; None: never."""
        if not self.lag:
            return 0.0
        net = self.going - self.coming
        return self.lag / net if net > 0 else None

    @property
    def steady(self) -> bool:
        """Is what is left only what came in the last few seconds, and goes as fast as it comes?"""
        return self.going > 0 and self.lag / self.going <= STEADY_S


def pace(before: Iterable[PartitionLag], after: Sequence[PartitionLag], seconds: float) -> Pace:
    """Compare two measurements of the same partitions; one that was not measured before counts as standing still."""
    known = {each.partition: each for each in before}
    pairs = [(known.get(each.partition, each), each) for each in after]
    coming = sum(max(0, new.end - old.end) for old, new in pairs)
    going = sum(max(0, new.start - old.start) for old, new in pairs)
    span = max(seconds, 0.001)
    return Pace(coming / span, going / span, sum(each.lag for each in after))


class LagMeter:
    """Measures all groups of an installation, with a consumer's and an admin client's connections."""

    def __init__(
        self, consumer: AIOKafkaConsumer, admin: AIOKafkaAdminClient, topics: Topics, also: Sequence[str] = ()
    ) -> None:
        self._consumer: Any = consumer
        self._admin = admin
        self._topics = topics
        self._also = (topics.texts, *also)
        self._counts: dict[str, int] = {}
        """Topic → how many partitions it has."""

    async def measure(self) -> Measured:
        """Measure now.

        Raises:
            KafkaError: the broker does not answer, or lets this user see nothing.
        """
        # The committed offsets first: what is appended between the two look-ups counts as lag, never as less than none.
        groups = await find_groups(self._admin, self._topics)
        await self._count_partitions()
        read = {each.name: self._partitions(each) for each in groups}
        every = sorted(
            {tp for tps in read.values() for tp in tps} | {tp for each in self._also for tp in self._of(each)}
        )
        ends: dict[TopicPartition, int] = await self._consumer.end_offsets(every) if every else {}
        unread = sorted({tp for each in groups for tp in read[each.name] if tp not in each.committed})
        begins = await self._consumer.beginning_offsets(unread) if unread else {}
        at_s = time.monotonic()
        return Measured(at_s, {each.name: _lag(each, read[each.name], ends, begins) for each in groups}, ends)

    async def _count_partitions(self) -> None:
        names = [topic.name for topic in self._topics.table() if topic.name not in self._counts]
        if names:
            described = await self._admin.describe_topics(names)
            if not any(each["error_code"] == 0 for each in described):
                missing_topics(described)
            self._counts |= {each["topic"]: len(each["partitions"]) for each in described if not each["error_code"]}

    def _partitions(self, group: GroupState) -> list[TopicPartition]:
        """Give what a group reads: what its service declares, else what it holds or has committed."""
        named = [tp for topic in reads(group.name, self._topics) for tp in self._of(topic)]
        held = {tp for member in group.members for tp in member.holds} | set(group.committed)
        return named or sorted(tp for tp in held if tp.partition < self._counts.get(tp.topic, 0))

    def _of(self, topic: str) -> list[TopicPartition]:
        return [TopicPartition(topic, number) for number in range(self._counts.get(topic, 0))]


def _lag(
    group: GroupState,
    partitions: Iterable[TopicPartition],
    ends: Mapping[TopicPartition, int],
    begins: Mapping[TopicPartition, int],
) -> GroupLag:
    every = []
    for each in partitions:
        committed = group.committed.get(each)
        start = begins.get(each, 0) if committed is None else committed
        every.append(PartitionLag(each, ends[each], committed, start))
    return GroupLag(group, tuple(every))


@asynccontextmanager
async def measuring(client: Mapping[str, Any], topics: Topics) -> AsyncIterator[LagMeter]:
    """Give a meter with connections of its own; `client` holds the arguments of an aiokafka client.

    Raises:
        KafkaError: Kafka cannot be reached.
    """
    consumer = make_consumer(client, group_id=None)
    admin = AIOKafkaAdminClient(**client)
    try:
        await admin.start()
        await consumer.start()
        yield LagMeter(consumer, admin, topics)
    finally:
        await close_in_time(admin.close, consumer.stop)
