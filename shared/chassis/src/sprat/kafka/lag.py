"""The consumer groups of an installation: members, lag, and the age of the oldest record that waits.

`sprat lag` and the router, which publishes them as metrics, measure with this code, so their numbers agree.
"""

import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Self

from aiokafka import TopicPartition
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)

from sprat.base.channels import FRONTIER, ROUTER, service_channels
from sprat.kafka.cluster import EARLIEST, READ_UNCOMMITTED, Cluster, ConsumerGroup
from sprat_contracts import Topics

REQUIRED_GROUPS: Final = (ROUTER, FRONTIER)
"""The groups, without the prefix, that every installation needs: without them texts get no Result."""

OwnTexts = Mapping[str, Mapping[int, int] | None]
"""The group of a withdrawn model, without the prefix → the offsets before which texts are its own, by partition; None:
not known."""


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """The lag of a group in one partition."""

    partition: TopicPartition
    end: int
    """The last stable offset: consumers cannot read further."""
    committed: int | None
    """None: the group has committed nothing here yet."""
    start: int
    """Where the group continues: at its committed offset, else at the beginning of the partition."""
    oldest_age_s: float | None = None
    """How long ago the first record that the group has not committed was appended; 0 without such a record. None: not
    measured."""
    asking: int | None = None
    """How many of the records that the group has not committed are for it, where that was counted."""

    @property
    def lag(self) -> int:
        """Records that the group has not committed; where it was counted, those for it."""
        return max(0, self.end - self.start) if self.asking is None else self.asking


@dataclass(frozen=True, slots=True)
class GroupLag:
    """The lag of a group in all its partitions."""

    group: ConsumerGroup
    partitions: tuple[PartitionLag, ...]

    @property
    def lag(self) -> int:
        """Records that the group has not committed, in all partitions."""
        return sum(each.lag for each in self.partitions)

    @property
    def is_counted(self) -> bool:
        """Whether the lag holds only records that are for the group; else some may be for others."""
        return all(each.asking is not None for each in self.partitions)

    def until(self, ends: Mapping[TopicPartition, int]) -> int:
        """Return how many of the records before these ends the group has not committed."""
        return sum(max(0, ends.get(each.partition, each.end) - each.start) for each in self.partitions)

    @property
    def oldest_age_s(self) -> float | None:
        """The age of the oldest record that waits in any partition; None: not measured in all of them."""
        ages = [each.oldest_age_s for each in self.partitions if each.oldest_age_s is not None]
        return max(ages) if ages and len(ages) == len(self.partitions) else None

    @property
    def unread(self) -> tuple[TopicPartition, ...]:
        """The partitions that no member reads although the group is stable: what is there waits for ever."""
        if self.group.state != "Stable" or not self.group.members:
            return ()
        read = {partition for member in self.group.members for partition in member.partitions}
        return tuple(each.partition for each in self.partitions if each.partition not in read)

    def by_topic(self) -> dict[str, "GroupLag"]:
        """Return the lag in each topic alone."""
        topics = dict.fromkeys(each.partition.topic for each in self.partitions)
        return {
            topic: GroupLag(self.group, tuple(each for each in self.partitions if each.partition.topic == topic))
            for topic in topics
        }


@dataclass(frozen=True, slots=True)
class LagSnapshot:
    """The lag of all groups at one moment."""

    at_s: float
    """By the monotonic clock."""
    groups: Mapping[str, GroupLag]
    """By the name of the group without the prefix."""
    ends: Mapping[TopicPartition, int]
    """Last stable offsets of all partitions that a group reads, of the texts and of the extra topics."""


class LagMeter:
    """Measures the groups of an installation over connections of its own, which it opens when it first measures.

    What this user may not see is omitted, and named in `denied`.
    """

    def __init__(
        self,
        client: Mapping[str, Any],
        topics: Topics,
        *,
        groups: Collection[str] | None = None,
        extra_topics: Collection[str] = (),
    ) -> None:
        """Measure these groups, named without the prefix, else all that belong to the installation.

        Args:
            client: the arguments of an aiokafka client.
            topics: of the installation.
            groups: the groups; None: all.
            extra_topics: their ends are measured, too.
        """
        self._cluster = Cluster(client)
        self._topics = topics
        self._groups = groups
        self._names = [topic.name for topic in topics.table()]
        self._extra_topics = (topics.texts, *extra_topics)
        self._partition_counts: dict[str, int] = {}
        self._connected = False
        self.denied: set[str] = set()
        """The rights that were missing so far: `Describe on the topic sprat.texts.v1`."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Disconnect."""
        if self._connected:
            await self._cluster.__aexit__()

    async def answers(self, timeout_s: float) -> bool:
        """Return whether any broker answers in time; False before the first measurement."""
        return self._connected and await self._cluster.answers(timeout_s)

    async def measure(self, known: Iterable[str] = ()) -> LagSnapshot:
        """Measure now: where all groups are measured, also the known ones that do not exist yet.

        Raises:
            KafkaError: Kafka cannot be reached or does not answer, or this user may see none of the topics.
        """
        if not self._connected:
            await self._cluster.__aenter__()
            self._connected = True
        return await self._cluster.settled(lambda: self._measure(known))

    async def with_ages(self, measured: LagSnapshot) -> LagSnapshot:
        """Return the measurement with the age of the oldest record that waits, where there is one.

        Both its append and the present are taken from Kafka's clock. If the cluster does not report its time, or this
        user may not ask for it, the present is taken from this machine's clock.

        Raises:
            KafkaError: Kafka does not answer.
        """
        groups = {name: await self._with_ages(each) for name, each in measured.groups.items()}
        return replace(measured, groups=groups)

    async def high_watermarks(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the offsets up to which records are replicated, those of open transactions included.

        Raises:
            KafkaError: Kafka does not answer.
        """
        return await self._cluster.offsets(partitions, isolation=READ_UNCOMMITTED)

    async def group_names(self) -> frozenset[str]:
        """Return the full names of all groups on this Kafka that this user may see, also of other programs.

        Raises:
            KafkaError: Kafka does not answer.
        """
        return frozenset(await self._cluster.group_names())

    async def _measure(self, known: Iterable[str]) -> LagSnapshot:
        # Committed offsets before end offsets: a record that is appended in between counts as lag, never as negative.
        await self._count_partitions()
        groups = [await self._describe(name) for name in self._groups or ()]
        if self._groups is None:
            groups = await self._find_groups(known)
        read = {each.name: self._partitions_of(each) for each in groups if each is not None}
        extra = {partition for topic in self._extra_topics for partition in self._partitions(topic)}
        ends = await self._cluster.offsets(sorted(extra.union(*read.values())))
        lags = {}
        for group in groups:
            if group is not None:
                begins = await self._cluster.offsets(
                    [tp for tp in read[group.name] if tp not in group.committed], EARLIEST
                )
                lags[group.name] = _lag(group, read[group.name], ends, begins)
        return LagSnapshot(time.monotonic(), lags, ends)

    async def _count_partitions(self) -> None:
        missing = [name for name in self._names if name not in self._partition_counts]
        if not missing:
            return
        found = await self._cluster.partition_counts(missing)
        self._partition_counts |= {topic: count for topic, count in found.items() if isinstance(count, int)}
        errors = {topic: error for topic, error in found.items() if not isinstance(error, int)}
        for topic, error in errors.items():
            if not self._partition_counts and error is not UnknownTopicOrPartitionError:
                raise error(topic)
            if error is TopicAuthorizationFailedError:
                self.denied.add(f"Describe on the topic {topic}")

    async def _find_groups(self, known: Iterable[str]) -> list[ConsumerGroup | None]:
        """Return the groups with the installation's prefix that read its topics or belong to its services.

        The prefix alone is not enough: the groups of an installation with the prefix `sprat.test` also begin with
        `sprat.`, but they read none of the topics of `sprat`.
        """
        start = f"{self._topics.prefix}."
        listed = {name.removeprefix(start) for name in await self._cluster.group_names() if name.startswith(start)}
        return [
            group
            for name in sorted(listed.union(known))
            if (group := await self._describe(name)) is not None
            and (
                group.committed
                or any(member.partitions for member in group.members)
                or topics_read_by(name, self._topics)
            )
        ]

    async def _describe(self, name: str) -> ConsumerGroup | None:
        try:
            return await self._cluster.group(self._topics.prefix, name, self._partition_counts)
        except GroupAuthorizationFailedError:
            self.denied.add(f"Describe on the group {self._topics.prefix}.{name}")
            return None

    def _partitions_of(self, group: ConsumerGroup) -> list[TopicPartition]:
        """Return what a group reads: the topics of its service, else what is assigned to it or committed."""
        declared = [tp for topic in topics_read_by(group.name, self._topics) for tp in self._partitions(topic)]
        in_use = {tp for member in group.members for tp in member.partitions} | set(group.committed)
        return declared or sorted(tp for tp in in_use if tp.partition < self._partition_counts.get(tp.topic, 0))

    def _partitions(self, topic: str) -> list[TopicPartition]:
        return [TopicPartition(topic, number) for number in range(self._partition_counts.get(topic, 0))]

    async def _with_ages(self, measured: GroupLag) -> GroupLag:
        waiting = {each.partition: each.start for each in measured.partitions if each.lag}
        appended, unreadable = await self._cluster.append_times(waiting) if waiting else ({}, set())
        self.denied.update(f"Read on the topic {topic}" for topic in unreadable)
        now_ms = await self._now_ms() if appended else 0.0

        def age_s(partition: TopicPartition) -> float | None:
            if partition in appended:
                return max(0.0, now_ms - appended[partition]) / 1000
            return None if partition.topic in unreadable and partition in waiting else 0.0

        return replace(
            measured,
            partitions=tuple(replace(each, oldest_age_s=age_s(each.partition)) for each in measured.partitions),
        )

    async def _now_ms(self) -> float:
        try:
            now_ms = await self._cluster.time_ms()
        except ClusterAuthorizationFailedError:
            self.denied.add("Describe on the cluster")
            now_ms = None
        return time.time() * 1000 if now_ms is None else now_ms


class StableOffsets:
    """How long the last stable offset of each partition has stood still behind the high watermark."""

    def __init__(self) -> None:
        self._held: dict[TopicPartition, tuple[int, float]] = {}
        """Last stable offset, and since when it was seen."""

    def held_s(self, measured: LagSnapshot, high: Mapping[TopicPartition, int]) -> dict[str, float]:
        """Return for each topic the longest time in any of its partitions, 0 where nothing is held back.

        `high` are the high watermarks, read after the measurement.
        """
        found: dict[str, float] = {}
        for partition, end in measured.ends.items():
            if end >= high[partition]:
                self._held.pop(partition, None)
                held_s = 0.0
            else:
                before = self._held.get(partition)
                if before is None or before[0] != end:
                    before = self._held[partition] = end, measured.at_s
                held_s = measured.at_s - before[1]
            found[partition.topic] = max(found.get(partition.topic, 0.0), held_s)
        return found


def _lag(
    group: ConsumerGroup,
    partitions: Iterable[TopicPartition],
    ends: Mapping[TopicPartition, int],
    begins: Mapping[TopicPartition, int],
) -> GroupLag:
    lags = []
    for each in partitions:
        committed = group.committed.get(each)
        start = begins[each] if committed is None else committed
        lags.append(PartitionLag(each, ends[each], committed, start))
    return GroupLag(group, tuple(lags))


def topics_read_by(group: str, topics: Topics) -> tuple[str, ...]:
    """Return the topics that the group of a Sprat service reads, named without the prefix; none for other groups."""
    service, _, model = group.partition(".")
    for channels in service_channels(topics):
        if channels.service == service and bool(model) == (service in topics.tasks):
            return tuple(channels.reads)
    return ()


def limit_to_owned(measured: LagSnapshot, withdrawn: OwnTexts) -> LagSnapshot:
    """Return the measurement with the lag of withdrawn models limited to the texts that are still their own.

    Where the limit is not known, all texts that the group has not committed count.
    """
    groups = {name: _cut(group, withdrawn.get(name)) for name, group in measured.groups.items()}
    return replace(measured, groups=groups)


def _cut(group: GroupLag, ends: Mapping[int, int] | None) -> GroupLag:
    if ends is None:
        return group
    cut = (replace(each, end=min(each.end, ends.get(each.partition.partition, 0))) for each in group.partitions)
    return replace(group, partitions=tuple(cut))
