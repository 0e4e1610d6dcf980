"""Where the ingestion starts: where the store ends, or, without one, at the newest pairs that it may hold."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import UnknownTopicOrPartitionError, for_code

from sprat.base.settings import KafkaSettings
from sprat.kafka.clients import client_arguments, close_in_time
from sprat_contracts import Topics

_HOUR_MS: Final = 3_600_000
_SPANS_MS: Final = tuple(int(hours * _HOUR_MS) for hours in (400 * 24, 7 * 24, 48, 24, 8, 3, 1, 0.3, 0.1, 0.03, 0.01))
"""How far back a new store may begin: the longest span with few enough Results."""


@dataclass(frozen=True, slots=True)
class Start:
    """The first offset to read of each partition."""

    offsets: Mapping[TopicPartition, int]
    ends: Mapping[TopicPartition, int]
    """What was there when it began."""
    anew: bool
    """Whether what the store holds is of no use, and goes."""

    async def reached(self, consumer: Any) -> bool:
        """Return whether everything has been read that was there when it began."""
        for partition, end in self.ends.items():
            if await consumer.position(partition) < end:
                return False
        return True


async def find_start(
    consumer: Any, kafka: KafkaSettings, names: Iterable[str], stored: Mapping[tuple[str, int], int], most_pairs: int
) -> Start:
    """Return where to start. Topics that do not exist are left out.

    Args:
        consumer: that is connected.
        kafka: settings.
        names: of the topics.
        stored: where the store ends, by topic and partition; empty where it is new.
        most_pairs: how many pairs the store keeps.

    Raises:
        KafkaError: Kafka does not answer, or refuses.
    """
    partitions = await _partitions(kafka, names)
    begins: dict[TopicPartition, int] = await consumer.beginning_offsets(partitions)
    ends: dict[TopicPartition, int] = await consumer.end_offsets(partitions)
    known = {tp: stored[tp.topic, tp.partition] for tp in partitions if (tp.topic, tp.partition) in stored}
    results = [tp for tp in partitions if _is_result(tp, kafka.topics)]
    waits = sum(max(0, ends[tp] - known[tp]) for tp in results if tp in known)
    # A topic whose end lies before it was made anew; beside a new topic, all others have been read before.
    lost = any(offset > ends[tp] for tp, offset in known.items())
    widened = any(tp.topic == kafka.topics.texts and tp not in known for tp in partitions)
    if known and waits <= most_pairs and not lost and not widened:
        return Start({tp: max(begins[tp], known.get(tp, 0)) for tp in partitions}, ends, anew=False)
    first = await _newest(consumer, results, begins, ends, most_pairs)
    at = await _offsets_at(consumer, partitions, first, ends)
    # Announcements are compacted: each that stands there counts.
    offsets = {tp: begins[tp] if tp.topic == kafka.topics.models else at[tp] for tp in partitions}
    return Start(offsets, ends, anew=bool(stored))


async def _newest(
    consumer: Any,
    results: list[TopicPartition],
    begins: Mapping[TopicPartition, int],
    ends: Mapping[TopicPartition, int],
    most_pairs: int,
) -> int:
    """Return the time, epoch milliseconds, from which on there are few enough Results."""
    now = time.time_ns() // 1_000_000
    if sum(ends[tp] - begins[tp] for tp in results) <= most_pairs:
        return 0
    for span in _SPANS_MS:
        at = await _offsets_at(consumer, results, now - span, ends)
        if sum(ends[tp] - at[tp] for tp in results) <= most_pairs:
            return now - span
    return now - _SPANS_MS[-1]


async def _offsets_at(
    consumer: Any, partitions: Iterable[TopicPartition], at_ms: int, ends: Mapping[TopicPartition, int]
) -> dict[TopicPartition, int]:
    found = await consumer.offsets_for_times(dict.fromkeys(partitions, max(0, at_ms)))
    return {tp: ends[tp] if place is None else place.offset for tp, place in found.items()}


async def _partitions(kafka: KafkaSettings, names: Iterable[str]) -> list[TopicPartition]:
    admin = AIOKafkaAdminClient(**client_arguments(kafka))
    try:
        await admin.start()
        described = await admin.describe_topics(list(names))
    finally:
        await close_in_time(admin.close)
    partitions = []
    for each in described:
        error = for_code(each["error_code"]) if each["error_code"] else None
        if error is UnknownTopicOrPartitionError:
            continue
        if error is not None:
            raise error(each["topic"])
        partitions += [TopicPartition(each["topic"], part["partition"]) for part in each["partitions"]]
    return partitions


def _is_result(partition: TopicPartition, topics: Topics) -> bool:
    return partition.topic in {topics.results(task) for task in topics.tasks}
