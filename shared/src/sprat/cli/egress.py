"""Reading the egress records of a span of time, from its beginning to what stands there now."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from aiokafka import ConsumerRecord

from sprat.cli.connection import client_arguments
from sprat.cli.stream import Unreadable
from sprat.operating.reading import read_since
from sprat.settings import KafkaSettings
from sprat_contracts import EgressRecord, WireError, decode


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
    async for record in read_since(client_arguments(kafka), [kafka.topics.egress], since_ms):
        yield _seen(record)


def _seen(record: ConsumerRecord) -> SeenEgress | Unreadable:
    try:
        message = decode(record, EgressRecord).message
        if message.phase not in {"attempt", "outcome"}:
            return Unreadable(record.topic, record.partition, record.offset, "neither attempt nor outcome")
    except (WireError, ValueError) as error:
        return Unreadable(record.topic, record.partition, record.offset, str(error))
    return SeenEgress(message, record.timestamp)
