"""The lag of consumer groups: their pace, members that stand still, and texts that a withdrawn model has left."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import TopicAuthorizationFailedError

from sprat.base.errors import Rejected
from sprat.kafka.cluster import GroupMember
from sprat.kafka.lag import GroupLag, LagSnapshot, OwnTexts, PartitionLag
from sprat.registry.model_table import asking_pattern
from sprat.telemetry import signals
from sprat_contracts import TextSubmitted, Topics, decode
from sprat_operations.topic_reader import TopicReader

STEADY_S: Final = 5.0
"""A group counts as keeping up while its lag is at most its own throughput of so many seconds."""


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


def keeps_up(pace: Pace, members: int) -> bool:
    """Return whether a group has no lag, or less every second, or only what has just arrived."""
    return not pace.lag or (members > 0 and (pace.steady or pace.drained_in_s is not None))


def stalled_members(before: GroupLag, after: GroupLag) -> tuple[GroupMember, ...]:
    """Return the members that had records to handle in both measurements, and committed none between them.

    Where the group has committed nothing at all and nobody reads the partitions with those records: all members.
    """
    had_lag = {each.partition for each in before.partitions if each.lag}

    def stalled(partitions: Sequence[PartitionLag]) -> bool:
        waits = any(each.lag and each.partition in had_lag for each in partitions)
        return waits and not pace_between(before.partitions, partitions, 1).committed

    found = tuple(
        member
        for member in after.group.members
        if stalled([each for each in after.partitions if each.partition in member.partitions])
    )
    return found or (after.group.members if stalled(after.partitions) else ())


def as_metrics(measured: GroupLag) -> dict[str, Any]:
    """Return the values that the router publishes of a group, by the names of the metrics; by topic where they are."""
    topics = measured.by_topic()
    found: dict[str, Any] = {
        signals.GROUP_MEMBERS.name: len(measured.group.members),
        signals.GROUP_LAG.name: {topic: each.lag for topic, each in topics.items()},
    }
    ages = {topic: round(each.oldest_age_s, 3) for topic, each in topics.items() if each.oldest_age_s is not None}
    return found | {signals.GROUP_AGE.name: ages} if ages else found


MOST_READ: Final = 100_000
"""Texts of a group that are read at most: one for another task takes some 10 µs, one for this task 120 µs."""


async def count_own_texts(
    client: Mapping[str, Any], topics: Topics, measured: LagSnapshot, withdrawn: OwnTexts
) -> LagSnapshot:
    """Return the measurement in which of texts left by withdrawn models those alone count that ask for the model.

    That is so for groups without members, where it is known which texts are still the model's: who has a service needs
    no count. Where more than :data:`MOST_READ` would have to be read, or this user may not read the texts, all texts
    count, as before.

    Args:
        client: the arguments of an aiokafka client.
        topics: of the installation.
        measured: limited by :func:`sprat.kafka.lag.limit_to_owned`.
        withdrawn: the withdrawn models.

    Raises:
        KafkaError: Kafka does not answer.
    """
    left = {
        name: group
        for name, group in measured.groups.items()
        if withdrawn.get(name) is not None and not group.group.members and 0 < group.lag <= MOST_READ
    }
    if not left:
        return measured
    try:
        async with TopicReader(client) as reader:
            counted = {name: await _counted(reader, topics, group) for name, group in left.items()}
    except (TopicAuthorizationFailedError, TimeoutError):
        return measured
    return replace(measured, groups={**measured.groups, **counted})


async def _counted(reader: TopicReader, topics: Topics, group: GroupLag) -> GroupLag:
    task, _, model = group.group.name.partition(".")
    waiting = [each for each in group.partitions if each.lag and each.partition.topic == topics.texts]
    found: Counter[TopicPartition] = Counter()
    pattern = asking_pattern(task)
    between = {each.partition: (each.start, each.end) for each in waiting}
    async for records in reader.read_between(between):
        for record in records:
            if pattern.search(record.value or b"") and _asks(record, task, model):
                found[TopicPartition(record.topic, record.partition)] += 1
    return replace(group, partitions=tuple(replace(each, asking=found[each.partition]) for each in group.partitions))


def _asks(record: ConsumerRecord, task: str, model: str) -> bool:
    """Return whether the service of a model would answer a record."""
    try:
        received = decode(record, TextSubmitted)
    except Rejected:  # the router writes the dead letter
        return False
    options = received.message.tasks.options(task)
    return options is not None and options.model == model and received.envelope.replay_for in {None, task}
