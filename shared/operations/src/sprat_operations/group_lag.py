"""What `sprat lag` reports: each group and partition, whether it keeps up, and what to do where it does not."""

import asyncio
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace

from aiokafka.errors import TopicAuthorizationFailedError

from sprat.base.channels import FRONTIER
from sprat.base.errors import Fatal, UserError
from sprat.base.settings import KafkaSettings
from sprat.base.words import printable
from sprat.kafka.clients import client_arguments
from sprat.kafka.lag import GroupLag, LagMeter, LagSnapshot, OwnTexts, limit_to_owned
from sprat_operations.connection import reading_signatures
from sprat_operations.lag import Pace, count_own_texts, keeps_up, pace_between
from sprat_operations.models import read_registered_models

_FRONTIER_WAITS = (
    "the frontier may well be at work: it finishes no hard case before the provider answers or the deadline passes; "
    "observability/runbooks/SpratProviderDown.md, metric sprat_breaker"
)
_HANGS = (
    "{group} has committed nothing between the two measurements: look at its log, and restart it if it says nothing or "
    "tries again and again; observability/runbooks/SpratTextsWaitTooLong.md"
)
_FALLS_BEHIND = (
    "{group} commits less than arrives: start more instances, one for each partition at most; "
    "observability/runbooks/SpratGroupBehind.md"
)
_UNREAD = (
    "{group} does not read {topics}, though its members run: restart it, it learns its topics when it starts; "
    "`sprat doctor` says how"
)
NOBODY_SERVES = (
    "{texts} came, and no service runs for {model}: what asks for it waits, however long. Start its service, or retire "
    "it, so that new texts are escalated: sprat models retire {model}"
)


@dataclass(frozen=True, slots=True)
class LagRow:
    """A group in all its partitions, or in one."""

    measured: GroupLag
    """In these partitions."""
    pace: Pace
    whole: bool
    retired: bool = False
    """Whether its model was withdrawn."""

    @property
    def keeps_up(self) -> bool:
        """Whether the lag is 0, falls, or holds only what has just arrived."""
        return keeps_up(self.pace, len(self.measured.group.members))

    @property
    def is_over(self) -> bool:
        """Whether it is the group of a withdrawn model that has nothing left to do, and whose service has stopped."""
        return self.retired and not self.pace.lag and not self.measured.group.members

    def model_waited_for(self, tasks: Container[str]) -> str | None:
        """Return the model, as `task/model`, whose texts wait although no service runs for it; None where none does."""
        task, _, model = self.measured.group.name.partition(".")
        waits = self.whole and not self.retired and self.pace.lag and not self.measured.group.members
        return f"{task}/{model}" if waits and task in tasks and model else None

    @property
    def seems_to_hang(self) -> bool:
        """Whether a group with members has a lag and has committed nothing between the measurements."""
        return bool(self.whole and self.pace.lag and self.measured.group.members and not self.pace.committed)

    @property
    def advice(self) -> str | None:
        """What to do about a group with members that does not keep up; None where it does."""
        if not self.whole or not self.measured.group.members:
            return None
        if unread := dict.fromkeys(each.topic for each in self.measured.unread):
            return _UNREAD.format(group=printable(self.measured.group.name), topics=", ".join(unread))
        if self.keeps_up:
            return None
        if self.seems_to_hang and self.measured.group.name == FRONTIER:
            return _FRONTIER_WAITS
        return (_HANGS if self.seems_to_hang else _FALLS_BEHIND).format(group=printable(self.measured.group.name))


@dataclass(frozen=True, slots=True)
class LagMeasurement:
    """Two measurements of all groups of an installation."""

    before: LagSnapshot
    after: LagSnapshot
    withdrawn: OwnTexts
    """The models."""
    names: frozenset[str]
    """Of all groups on this Kafka, those of others too."""
    notes: Sequence[str]
    """What is not known, and why."""

    def rows_of(self, name: str) -> list[LagRow]:
        """Return the row of a group, and one for each of its partitions."""
        after, seconds = self.after.groups[name], self.after.at_s - self.before.at_s
        before = self.before.groups.get(name)
        known = () if before is None else before.partitions
        pace = pace_between(known, after.partitions, seconds)
        whole = LagRow(after, pace, whole=True, retired=name in self.withdrawn)
        parts = [
            LagRow(replace(after, partitions=(each,)), pace_between(known, [each], seconds), whole=False)
            for each in after.partitions
        ]
        return [whole, *parts]


async def measure_twice(kafka: KafkaSettings, seconds: float) -> LagMeasurement:
    """Measure all groups twice.

    Raises:
        UserError: there are no topics.
    """
    notes: list[str] = []
    async with LagMeter(client_arguments(kafka), kafka.topics) as meter:
        before = await meter.measure()
        await asyncio.sleep(seconds)
        after = await meter.measure()
        if not any(partition.topic == kafka.topics.texts for partition in after.ends):
            raise UserError(f"there is no topic {kafka.topics.texts}: run `sprat topics create`")
        withdrawn = await _withdrawn(kafka, after, notes)
        own = await count_own_texts(client_arguments(kafka), kafka.topics, limit_to_owned(after, withdrawn), withdrawn)
        after = await meter.with_ages(own)
        names = await meter.group_names()
    notes += [f"not everything is shown; Kafka's ACLs deny: {printable(right)}" for right in sorted(meter.denied)]
    return LagMeasurement(limit_to_owned(before, withdrawn), after, withdrawn, names, notes)


async def _withdrawn(kafka: KafkaSettings, measured: LagSnapshot, notes: list[str]) -> OwnTexts:
    """Return the withdrawn models; none if no model has a group, or if the user may not read them."""
    if not any(name.partition(".")[0] in kafka.topics.tasks for name in measured.groups):
        return {}
    try:
        return (await read_registered_models(kafka, reading_signatures(kafka))).withdrawn
    except (Fatal, TopicAuthorizationFailedError) as error:
        notes.append(f"it is not known which models are retired: {error or type(error).__name__}")
        return {}
