"""How far each consumer group of an installation is behind: end offsets less committed ones."""

from collections.abc import Iterable, Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from sprat_contracts import Topics
from sprat_operations.services import ServiceSpec

Partitions = Mapping[str, int]
"""Topic → how many partitions it has."""


def group_of(spec: ServiceSpec, topics: Topics, models: Mapping[str, str]) -> str | None:
    """Give the consumer group of a service, None without one; `models` has the name of each service's model."""
    return f"{topics.prefix}.{spec.group.format(model=models.get(spec.name))}" if spec.group else None


def groups_of(specs: Iterable[ServiceSpec], topics: Topics, models: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Give the consumer groups of these services, each with the topics that it reads."""
    named = ((group_of(spec, topics, models), spec) for spec in specs)
    return {group: spec.reads(topics) for group, spec in named if group is not None}


class InstallationLag:
    """Measures lag with one consumer's and one admin client's connections, both the caller's."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        admin: AIOKafkaAdminClient,
        groups: Mapping[str, tuple[str, ...]],
        partitions: Partitions,
    ) -> None:
        self._consumer = consumer
        self._admin = admin
        self._groups = {
            group: [TopicPartition(name, number) for name in names for number in range(partitions[name])]
            for group, names in groups.items()
        }

    async def measure(self) -> tuple[dict[str, int], dict[TopicPartition, int]]:
        """Give the lag in records by group, and the end offsets that it was measured against.

        Raises:
            KafkaError: the broker does not answer.
        """
        # The committed offsets first: what is appended between the two look-ups counts as lag, never as less than none.
        committed = {group: await self._admin.list_consumer_group_offsets(group) for group in self._groups}
        every = sorted({partition for partitions in self._groups.values() for partition in partitions})
        ends = await self._consumer.end_offsets(every)
        unread = sorted({p for group, ps in self._groups.items() for p in ps if _offset(committed[group], p) < 0})
        begins = await self._consumer.beginning_offsets(unread) if unread else {}
        lags = {
            group: sum(_behind(ends[p], _offset(committed[group], p), begins.get(p, 0)) for p in partitions)
            for group, partitions in self._groups.items()
        }
        return lags, ends


def _offset(committed: Mapping[TopicPartition, object], partition: TopicPartition) -> int:
    """Give the committed offset; -1 without one."""
    found = committed.get(partition)
    return int(getattr(found, "offset", -1)) if found is not None else -1


def _behind(end: int, committed: int, begin: int) -> int:
    """Count what is left; a group without an offset in a partition starts at its beginning."""
    return max(0, end - (committed if committed >= 0 else begin))
