"""All records of topics, from the beginning to the end, read by librdkafka: another client than the services'."""

import time
from collections.abc import Collection, Iterator
from typing import Any, Final, NamedTuple, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

SILENCE_S: Final = 60.0
"""After so long without a record, the partitions that have not ended cannot be read."""
_BATCH: Final = 5_000


class TopicRecord(NamedTuple):
    """A record as it stands on its topic."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


class TopicReader:
    """Reads topics to their ends, once; nothing may write to them meanwhile."""

    def __init__(self, bootstrap: str, *, committed: bool) -> None:
        self._settings: dict[str, Any] = {
            "bootstrap.servers": bootstrap,
            "group.id": "soak-checker",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 50,  # an end is told when a fetch returns
            "isolation.level": "read_committed" if committed else "read_uncommitted",
        }
        self.ends: dict[tuple[str, int], int] = {}
        """Topic and partition → the offset at which reading ended."""
        self.removed: dict[tuple[str, int], int] = {}
        """Topic and partition → its first offset, where that is not 0: earlier records are gone."""

    def topics(self) -> frozenset[str]:
        """Return the names of all topics of the cluster."""
        consumer = Consumer(self._settings)
        try:
            return frozenset(consumer.list_topics(timeout=SILENCE_S).topics)
        finally:
            consumer.close()

    def read(self, topics: Collection[str]) -> Iterator[TopicRecord]:
        """Yield the records of the topics, each partition in its order.

        Raises:
            TimeoutError: a partition cannot be read; it is named, with what Kafka said last.
        """
        consumer = Consumer(self._settings)
        try:
            described = consumer.list_topics(timeout=SILENCE_S).topics
            waiting = {(topic, partition) for topic in topics for partition in described[topic].partitions}
            assigned = []
            for topic, partition in sorted(waiting):
                low = _first_offset(consumer, TopicPartition(topic, partition))
                if low:
                    self.removed[topic, partition] = low
                assigned.append(TopicPartition(topic, partition, low))
            consumer.assign(assigned)
            heard, said = time.monotonic(), "nothing came"
            while waiting:
                messages = consumer.consume(_BATCH, timeout=0.1)
                if messages:
                    heard = time.monotonic()
                elif time.monotonic() - heard > SILENCE_S:
                    raise TimeoutError(f"not read to their ends within {SILENCE_S:.0f} s: {sorted(waiting)}: {said}")
                for message in messages:
                    error = message.error()
                    if error is None:
                        yield _record(message)
                    elif error.code() == KafkaError._PARTITION_EOF:
                        place = _place(message)
                        self.ends[place] = cast("int", message.offset())
                        waiting.discard(place)
                    else:  # a leader may have changed: librdkafka looks for the next one
                        said = error.str()
        finally:
            consumer.close()


def _first_offset(consumer: Consumer, place: TopicPartition) -> int:
    """Return the first offset that stands there; a leader that has just been elected is asked again."""
    deadline = time.monotonic() + SILENCE_S
    while True:
        try:
            low, _ = consumer.get_watermark_offsets(place, timeout=SILENCE_S)
        except KafkaException as error:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{place.topic} {place.partition} does not answer: {error}") from None
            time.sleep(0.2)
        else:
            return low


def _record(message: Message) -> TopicRecord:
    topic, partition = _place(message)
    headers = cast("list[tuple[str, bytes | None]]", message.headers() or [])
    return TopicRecord(
        topic,
        partition,
        cast("int", message.offset()),
        message.timestamp()[1],
        message.key(),
        message.value(),
        tuple((name, value or b"") for name, value in headers),
    )


def _place(message: Message) -> tuple[str, int]:
    # A record that was read has both; the types of the library are those of one that is to be sent, too.
    return cast("str", message.topic()), cast("int", message.partition())
