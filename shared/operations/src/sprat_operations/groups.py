"""The consumer groups of an installation, found by its prefix, with their members and what each holds."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment

from sprat_contracts import TASKS, Topics
from sprat_operations.services import SERVICES

NEEDED = ("router", "frontier")
"""The groups, after the prefix, without which pairs do not end."""


@dataclass(frozen=True, slots=True)
class Member:
    """A consumer of a group."""

    client: str
    host: str
    holds: tuple[TopicPartition, ...]


@dataclass(frozen=True, slots=True)
class GroupState:
    """A group as its coordinator tells it."""

    name: str
    """Without the prefix and its dot."""
    state: str
    """Stable, Empty, PreparingRebalance, …"""
    members: tuple[Member, ...]
    committed: Mapping[TopicPartition, int]
    """Where it goes on, in the topics of the installation; partitions without an offset are left out."""

    def holder(self, partition: TopicPartition) -> Member | None:
        """Give the member that reads a partition."""
        return next((member for member in self.members if partition in member.holds), None)


async def find_groups(admin: AIOKafkaAdminClient, topics: Topics) -> list[GroupState]:
    """Give the groups whose names begin with the prefix and that read this installation's topics, or are its services'.

    The prefix `sprat` is also the beginning of `sprat.test`, of another installation: its groups read none of ours.

    Raises:
        KafkaError: the broker does not answer.
    """
    beginning = f"{topics.prefix}."
    names = {name for name, *_ in await admin.list_consumer_groups() if name.startswith(beginning)}
    ours = {topic.name for topic in topics.table()}
    found = [await _state(admin, name, beginning, ours) for name in sorted(names)]
    return [each for each in found if each.committed or _holds(each.members) or reads(each.name, topics)]


async def _state(admin: AIOKafkaAdminClient, group: str, beginning: str, ours: Collection[str]) -> GroupState:
    places = await admin.list_consumer_group_offsets(group)
    committed = {tp: place.offset for tp, place in places.items() if place.offset >= 0 and tp.topic in ours}
    # One group at a time: aiokafka 0.14 cannot read an answer about several (it expects a field too few in each).
    for response in await admin.describe_consumer_groups([group]):
        for _error, _name, state, _type, _protocol, members, *_ in response.groups:
            told = tuple(_member(each, ours) for each in members)
            return GroupState(group.removeprefix(beginning), state, told, committed)
    return GroupState(group.removeprefix(beginning), "unknown", (), committed)


def _member(described: Sequence[Any], ours: Collection[str]) -> Member:
    _id, client, host, _metadata, assignment = described
    holds = ConsumerProtocolMemberAssignment.decode(assignment).partitions() if assignment else []
    return Member(client, host.removeprefix("/"), tuple(sorted(tp for tp in holds if tp.topic in ours)))


def _holds(members: Iterable[Member]) -> bool:
    return any(member.holds for member in members)


def reads(name: str, topics: Topics) -> tuple[str, ...]:
    """Give the topics that a group of Sprat's services reads; none for other people's groups."""
    task, _, model = name.partition(".")
    for spec in SERVICES:
        if spec.group and (name == spec.group or (spec.name == task and task in TASKS and model)):
            return spec.reads(topics)
    return ()
