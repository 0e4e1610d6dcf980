"""Follows topics for a copy of their newest records: from where the copy ends, without a group."""

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import UnknownTopicOrPartitionError, for_code

from sprat.base.settings import KafkaSettings
from sprat.kafka.clients import client_arguments, close_in_time, make_consumer
from sprat_contracts.topics import DAY_MS

Place = tuple[str, int]
"""Topic and partition."""

_LONGEST_MS: Final = 400 * DAY_MS
"""How far back a new copy may begin."""
_FETCH_BYTES: Final = 2 * 1024 * 1024
_LEAST_BYTES: Final = 256 * 1024
_WAIT_MS: Final = 500
"""A broker collects so many bytes for so long before it answers: each answer costs more than what is in it."""
_PARTITION_BYTES: Final = 256 * 1024
"""A fetch holds at most so much of a partition, unless one record is larger."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is followed."""

    topics: Sequence[str]
    counted: Collection[str]
    """Those of whose records the copy holds a limited number."""
    whole: Collection[str]
    """Those that are read from their beginning: compacted ones."""
    most: int
    """How many counted records the copy holds."""


class TopicFollower:
    """A consumer without a group. A context manager; entering it connects."""

    def __init__(self, kafka: KafkaSettings, wanted: Wanted) -> None:
        self._kafka = kafka
        self._wanted = wanted
        self._consumer: Any = None
        self._ends: Mapping[TopicPartition, int] = {}
        self.missing: frozenset[str] = frozenset()
        """Topics that do not exist."""

    async def __aenter__(self) -> Self:
        self._consumer = make_consumer(
            client_arguments(self._kafka),
            group_id=None,
            auto_offset_reset="earliest",  # where records expired before they were read
            fetch_min_bytes=_LEAST_BYTES,
            fetch_max_wait_ms=_WAIT_MS,
            fetch_max_bytes=_FETCH_BYTES,
            max_partition_fetch_bytes=_PARTITION_BYTES,
        )
        try:
            await self._consumer.start()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await close_in_time(self._consumer.stop)

    async def start(self, known: Mapping[Place, int]) -> bool:
        """Start where a copy ends; return whether that could be done, else what the copy holds is of no use.

        It is not where more waits than the copy can hold, where a topic was made anew, or where a topic is followed
        that was not before. Then the newest records are read that the copy can hold.

        Args:
            known: the next offset by topic and partition; empty: there is no copy.

        Raises:
            KafkaError: Kafka does not answer, or refuses.
        """
        partitions = await self._partitions()
        begins: dict[TopicPartition, int] = await self._consumer.beginning_offsets(partitions)
        self._ends = await self._consumer.end_offsets(partitions)
        continued = {tp: known[tp.topic, tp.partition] for tp in partitions if (tp.topic, tp.partition) in known}
        goes_on = len(continued) == len(partitions) and self._fits(continued)
        if goes_on:
            offsets = {tp: max(begins[tp], offset) for tp, offset in continued.items()}
        else:
            first = await self._newest(begins)
            at = await self._offsets_at(partitions, first)
            offsets = {tp: begins[tp] if tp.topic in self._wanted.whole else at[tp] for tp in partitions}
        self._consumer.assign(partitions)
        for partition, offset in offsets.items():
            self._consumer.seek(partition, offset)
        return goes_on

    async def read(self, timeout_s: float, most: int) -> dict[Place, Sequence[ConsumerRecord]]:
        """Return what has arrived, at most so many records; wait at most `timeout_s` for the first."""
        found = await self._consumer.getmany(timeout_ms=int(timeout_s * 1000), max_records=most)
        return {(tp.topic, tp.partition): records for tp, records in found.items() if records}

    async def next_offsets(self) -> dict[Place, int]:
        """Return the offset that is read next, by topic and partition."""
        return {(tp.topic, tp.partition): await self._consumer.position(tp) for tp in self._ends}

    async def has_caught_up(self) -> bool:
        """Return whether everything was read that was there when it started."""
        for partition, end in self._ends.items():
            if await self._consumer.position(partition) < end:
                return False
        return True

    async def waiting(self) -> tuple[int, int]:
        """Return how many records wait to be read, and how many of them are counted ones."""
        waits = {
            tp: max(0, (self._consumer.highwater(tp) or end) - await self._consumer.position(tp))
            for tp, end in self._ends.items()
        }
        counted = sum(count for tp, count in waits.items() if tp.topic in self._wanted.counted)
        return sum(waits.values()), counted

    def _fits(self, known: Mapping[TopicPartition, int]) -> bool:
        anew = any(offset > self._ends[tp] for tp, offset in known.items())
        waits = sum(max(0, self._ends[tp] - known[tp]) for tp in known if tp.topic in self._wanted.counted)
        return not anew and waits <= self._wanted.most

    async def _newest(self, begins: Mapping[TopicPartition, int]) -> int:
        """Return the time, epoch milliseconds, from which on there are few enough counted records."""
        counted = [tp for tp in begins if tp.topic in self._wanted.counted]
        if sum(self._ends[tp] - begins[tp] for tp in counted) <= self._wanted.most:
            return 0
        late = time.time_ns() // 1_000_000
        early = late - _LONGEST_MS
        while late - early > 1:
            middle = (early + late) // 2
            at = await self._offsets_at(counted, middle)
            if sum(self._ends[tp] - at[tp] for tp in counted) <= self._wanted.most:
                late = middle
            else:
                early = middle
        return late

    async def _offsets_at(self, partitions: Iterable[TopicPartition], at_ms: int) -> dict[TopicPartition, int]:
        found = await self._consumer.offsets_for_times(dict.fromkeys(partitions, max(0, at_ms)))
        return {tp: self._ends[tp] if place is None else place.offset for tp, place in found.items()}

    async def _partitions(self) -> list[TopicPartition]:
        admin = AIOKafkaAdminClient(**client_arguments(self._kafka))
        try:
            await admin.start()
            described = await admin.describe_topics(list(self._wanted.topics))
        finally:
            await close_in_time(admin.close)
        partitions, missing = [], set()
        for each in described:
            error = for_code(each["error_code"]) if each["error_code"] else None
            if error is UnknownTopicOrPartitionError:
                missing.add(each["topic"])
            elif error is not None:
                raise error(each["topic"])
            else:
                partitions += [TopicPartition(each["topic"], part["partition"]) for part in each["partitions"]]
        self.missing = frozenset(missing)
        return partitions
