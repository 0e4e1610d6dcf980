"""Watching an installation that others started: its traffic, and its groups with their pace."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from sprat.admin.topics import list_topics
from sprat.errors import UserError
from sprat.local.console.traffic import Traffic
from sprat.operating.lag import GroupLag, LagMeter, Measured, Pace, pace
from sprat.settings import KafkaSettings
from sprat_contracts import TASKS, Topics


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
