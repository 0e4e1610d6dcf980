"""Consumer groups of an installation, their lag in each partition, and the time until they have caught up."""

import time
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from sprat.kafka.clients import close_in_time, make_consumer, missing_topics
from sprat.kafka.compat import assigned_partitions
from sprat_contracts import TASKS, Topics
from sprat_operations.services import SERVICES

REQUIRED_GROUPS: Final = ("router", "frontier")
"""The groups, without the prefix, that every installation needs: without them texts get no Result."""
STEADY_S: Final = 5.0
"""A group counts as keeping up while its lag is at most its own throughput of so many seconds."""


@dataclass(frozen=True, slots=True)
class GroupMember:
    """A consumer of a group."""

    client: str
    host: str
    partitions: tuple[TopicPartition, ...]
    """Those assigned to it, of the installation's topics."""


@dataclass(frozen=True, slots=True)
class ConsumerGroup:
    """A consumer group as its coordinator describes it."""

    name: str
    """Without the prefix and its dot."""
    state: str
    """Stable, Empty, PreparingRebalance, …"""
    members: tuple[GroupMember, ...]
    committed: Mapping[TopicPartition, int]
    """Committed offsets in the installation's topics; partitions without one are left out."""

    def reader_of(self, partition: TopicPartition) -> GroupMember | None:
        """Return the member that reads a partition."""
        return next((member for member in self.members if partition in member.partitions), None)


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """The lag of a group in one partition."""

    partition: TopicPartition
    end: int
    committed: int | None
    """None: the group has committed nothing here yet."""
    start: int
    """Where the group continues: at its committed offset, else at the beginning of the partition."""

    @property
    def lag(self) -> int:
        """Records that the group has not committed."""
        return max(0, self.end - self.start)


@dataclass(frozen=True, slots=True)
class GroupLag:
    """The lag of a group in all its partitions."""

    group: ConsumerGroup
    partitions: tuple[PartitionLag, ...]

    @property
    def lag(self) -> int:
        """Records that the group has not committed, in all partitions."""
        return sum(each.lag for each in self.partitions)


@dataclass(frozen=True, slots=True)
class LagSnapshot:
    """The lag of all groups at one moment."""

    at_s: float
    """By the monotonic clock."""
    groups: Mapping[str, GroupLag]
    """By the name of the group without the prefix."""
    ends: Mapping[TopicPartition, int]
    """End offsets of all partitions that a group reads, of the texts and of the extra topics."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Records a second that arrive for a group and that it commits, between two snapshots."""

    arriving: float
    committed: float
    lag: int
    """In the second snapshot."""

    @property
    def drained_in_s(self) -> float | None:
        """Seconds until the lag is 0 at this pace; None: never."""
        if not self.lag:
            return 0.0
        net = self.committed - self.arriving
        return self.lag / net if net > 0 else None

    @property
    def steady(self) -> bool:
        """Whether the lag is only what arrived in the last few seconds."""
        return self.committed > 0 and self.lag / self.committed <= STEADY_S


def pace_between(before: Iterable[PartitionLag], after: Sequence[PartitionLag], seconds: float) -> Pace:
    """Compare two snapshots of the same partitions. A partition that the first one lacks counts as unchanged."""
    known = {each.partition: each for each in before}
    pairs = [(known.get(each.partition, each), each) for each in after]
    arrived = sum(max(0, new.end - old.end) for old, new in pairs)
    committed = sum(max(0, new.start - old.start) for old, new in pairs)
    span = max(seconds, 0.001)
    return Pace(arrived / span, committed / span, sum(each.lag for each in after))


class LagMeter:
    """Measures the lag of an installation's groups through a consumer and an admin client, both the caller's."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        admin: AIOKafkaAdminClient,
        topics: Topics,
        *,
        groups: Collection[str] | None = None,
        extra_topics: Sequence[str] = (),
    ) -> None:
        """Measure these groups, named without the prefix, else all that belong to the installation."""
        self._consumer: Any = consumer
        self._admin = admin
        self._topics = topics
        self._groups = groups
        self._extra_topics = (topics.texts, *extra_topics)
        self._partition_counts: dict[str, int] = {}

    async def measure(self) -> LagSnapshot:
        """Measure now.

        Raises:
            KafkaError: the broker does not answer, or this user may see none of the topics.
        """
        # Committed offsets before end offsets: a record that is appended in between counts as lag, never as negative.
        if self._groups is None:
            groups = await find_groups(self._admin, self._topics)
        else:
            groups = [await _describe(self._admin, name, self._topics) for name in self._groups]
        await self._count_partitions()
        read = {each.name: self._partitions_of(each) for each in groups}
        extra = {partition for topic in self._extra_topics for partition in self._partitions(topic)}
        every = sorted(extra.union(*read.values()))
        ends: dict[TopicPartition, int] = await self._consumer.end_offsets(every) if every else {}
        uncommitted = sorted({tp for each in groups for tp in read[each.name] if tp not in each.committed})
        begins = await self._consumer.beginning_offsets(uncommitted) if uncommitted else {}
        lags = {each.name: _lag(each, read[each.name], ends, begins) for each in groups}
        return LagSnapshot(time.monotonic(), lags, ends)

    async def _count_partitions(self) -> None:
        names = [topic.name for topic in self._topics.table() if topic.name not in self._partition_counts]
        if names:
            described = await self._admin.describe_topics(names)
            if not any(each["error_code"] == 0 for each in described):
                missing_topics(described)
            self._partition_counts |= {
                each["topic"]: len(each["partitions"]) for each in described if not each["error_code"]
            }

    def _partitions_of(self, group: ConsumerGroup) -> list[TopicPartition]:
        """Return what a group reads: the topics of its service, else what is assigned to it or committed."""
        declared = [tp for topic in topics_read_by(group.name, self._topics) for tp in self._partitions(topic)]
        in_use = {tp for member in group.members for tp in member.partitions} | set(group.committed)
        return declared or sorted(tp for tp in in_use if tp.partition < self._partition_counts.get(tp.topic, 0))

    def _partitions(self, topic: str) -> list[TopicPartition]:
        return [TopicPartition(topic, number) for number in range(self._partition_counts.get(topic, 0))]


def _lag(
    group: ConsumerGroup,
    partitions: Iterable[TopicPartition],
    ends: Mapping[TopicPartition, int],
    begins: Mapping[TopicPartition, int],
) -> GroupLag:
    lags = []
    for each in partitions:
        committed = group.committed.get(each)
        start = begins.get(each, 0) if committed is None else committed
        lags.append(PartitionLag(each, ends[each], committed, start))
    return GroupLag(group, tuple(lags))


@asynccontextmanager
async def open_lag_meter(client: Mapping[str, Any], topics: Topics) -> AsyncIterator[LagMeter]:
    """Open a meter with connections of its own; `client` holds the arguments of an aiokafka client.

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


async def find_groups(admin: AIOKafkaAdminClient, topics: Topics) -> list[ConsumerGroup]:
    """Return the groups with the installation's prefix that read its topics or belong to its services.

    The prefix alone is not enough: the groups of an installation with the prefix `sprat.test` also begin with `sprat.`,
    but they read none of the topics of `sprat`.

    Raises:
        KafkaError: the broker does not answer.
    """
    start = f"{topics.prefix}."
    names = sorted({name for name, *_ in await admin.list_consumer_groups() if name.startswith(start)})
    groups = [await _describe(admin, name.removeprefix(start), topics) for name in names]
    return [
        each
        for each in groups
        if each.committed or any(member.partitions for member in each.members) or topics_read_by(each.name, topics)
    ]


def topics_read_by(group: str, topics: Topics) -> tuple[str, ...]:
    """Return the topics that the group of a Sprat service reads; none for any other group."""
    task, _, model = group.partition(".")
    for spec in SERVICES:
        if spec.group and (group == spec.group or (spec.name == task and task in TASKS and model)):
            return spec.reads(topics)
    return ()


async def _describe(admin: AIOKafkaAdminClient, name: str, topics: Topics) -> ConsumerGroup:
    """Describe a group by its name without the prefix. One that does not exist has no members and no offsets."""
    group = f"{topics.prefix}.{name}"
    known = {topic.name for topic in topics.table()}
    offsets = await admin.list_consumer_group_offsets(group)
    committed = {tp: found.offset for tp, found in offsets.items() if found.offset >= 0 and tp.topic in known}
    # One group at a time: aiokafka 0.14 cannot parse an answer about several (it expects one field too few in each).
    for response in await admin.describe_consumer_groups([group]):
        for _error, _name, state, _type, _protocol, members, *_ in response.groups:
            return ConsumerGroup(name, state, tuple(_member(each, known) for each in members), committed)
    return ConsumerGroup(name, "unknown", (), committed)


def _member(described: Sequence[Any], topics: Collection[str]) -> GroupMember:
    _id, client, host, _metadata, assignment = described
    partitions = sorted(tp for tp in assigned_partitions(assignment) if tp.topic in topics)
    return GroupMember(client, host.removeprefix("/"), tuple(partitions))
