"""Reading the egress records of a span of time, from its beginning to what stands there now."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from sprat.cli.connection import client_arguments
from sprat.cli.stream import Unreadable
from sprat.errors import UserError
from sprat.settings import KafkaSettings
from sprat_contracts import EgressRecord, WireError, decode

_MAX_RECORDS: Final = 500
_POLL_S: Final = 1.0
_STALL_S: Final = 30.0
"""No record for so long, though some are missing: the broker is gone."""


@dataclass(frozen=True, slots=True)
class SeenEgress:
    """An egress record on its topic."""

    record: EgressRecord
    at_ms: int
    """When the broker appended it: epoch milliseconds."""


async def read_egress(kafka: KafkaSettings, since_ms: int | None) -> AsyncIterator[SeenEgress | Unreadable]:
    """Give every egress record appended at `since_ms` or later (None: all), in each partition's order.

    It ends with what stood on the topic when it began, and holds one fetch in memory.

    Raises:
        UserError: there is no such topic.
        TimeoutError: the broker gives nothing more.
    """
    topic = kafka.topics.egress
    partitions = await _partitions(kafka, topic)
    consumer = AIOKafkaConsumer(**client_arguments(kafka), group_id=None, enable_auto_commit=False)
    consumer.assign(partitions)
    try:
        await consumer.start()
        ends: dict[TopicPartition, int] = await consumer.end_offsets(partitions)
        starts = await _starts(consumer, partitions, since_ms, ends)
        for partition, offset in starts.items():
            consumer.seek(partition, offset)
        open_ends = {partition: end for partition, end in ends.items() if starts[partition] < end}
        consumer.pause(*(partition for partition in partitions if partition not in open_ends))
        last = time.monotonic()
        while open_ends:
            found = await consumer.getmany(timeout_ms=int(_POLL_S * 1000), max_records=_MAX_RECORDS)
            for partition, records in found.items():
                for record in records:
                    if record.offset < ends[partition]:
                        yield _seen(record)
            for partition in [each for each, end in open_ends.items() if await consumer.position(each) >= end]:
                del open_ends[partition]
                consumer.pause(partition)
            if found:
                last = time.monotonic()
            elif time.monotonic() - last > _STALL_S:
                raise TimeoutError
    finally:
        await consumer.stop()


async def _starts(
    consumer: Any, partitions: list[TopicPartition], since_ms: int | None, ends: dict[TopicPartition, int]
) -> dict[TopicPartition, int]:
    beginnings: dict[TopicPartition, int] = await consumer.beginning_offsets(partitions)
    if since_ms is None:
        return beginnings
    found = await consumer.offsets_for_times(dict.fromkeys(partitions, since_ms))
    return {each: place.offset if (place := found.get(each)) else ends[each] for each in partitions}


async def _partitions(kafka: KafkaSettings, topic: str) -> list[TopicPartition]:
    """Give the topic's partitions. A consumer would wait for a missing topic until it times out."""
    admin = AIOKafkaAdminClient(**client_arguments(kafka))
    try:
        await admin.start()
        (described,) = await admin.describe_topics([topic])
    finally:
        await admin.close()
    if described["error_code"]:
        raise UserError(f"there is no topic {topic}: run `sprat topics create`")
    return [TopicPartition(topic, part["partition"]) for part in described["partitions"]]


def _seen(record: ConsumerRecord) -> SeenEgress | Unreadable:
    try:
        message = decode(record, EgressRecord).message
        if message.phase not in {"attempt", "outcome"}:
            return Unreadable(record.topic, record.partition, record.offset, "neither attempt nor outcome")
    except (WireError, ValueError) as error:
        return Unreadable(record.topic, record.partition, record.offset, str(error))
    return SeenEgress(message, record.timestamp)
