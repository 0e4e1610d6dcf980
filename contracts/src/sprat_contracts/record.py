"""A Kafka record as plain data, for clients whose own object is not a `KafkaRecord`, and for tests."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Record:
    """What `decode` reads.

    With confluent-kafka:
    `Record(m.topic(), m.partition(), m.offset(), m.timestamp()[1], m.key(), m.value(), m.headers() or ())`.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int
    """Epoch milliseconds, the broker's clock."""
    key: bytes | None
    value: bytes | None
    """None is a tombstone."""
    headers: Sequence[tuple[str, bytes]] = ()
