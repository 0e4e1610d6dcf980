"""The pace of consumer groups: records a second that arrive and are committed, and the time until the lag is 0."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sprat.kafka.cluster import GroupMember
from sprat.kafka.lag import GroupLag, PartitionLag
from sprat.telemetry import signals

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
