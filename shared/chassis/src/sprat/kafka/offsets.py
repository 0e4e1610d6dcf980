"""Which offsets may be committed while records finish out of order: up to the lowest one that is not finished."""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import Protocol

from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from sprat.errors import Fatal, Retryable
from sprat.kafka.publisher import AUTHORISATION_ERRORS
from sprat_contracts import KafkaRecord


class OffsetTracker:
    """Offsets in flight, by partition. Not thread-safe; one event loop owns it."""

    def __init__(self) -> None:
        self._flying: dict[TopicPartition, dict[int, bool]] = {}

    def start(self, partition: TopicPartition, offset: int) -> None:
        """Note a record that begins; records of a partition begin in order."""
        self._flying.setdefault(partition, {})[offset] = False

    def finish(self, partition: TopicPartition, offset: int) -> None:
        """Note a record that is done; one that was let go meanwhile is ignored."""
        flying = self._flying.get(partition)
        if flying is not None and offset in flying:
            flying[offset] = True

    def committable(self) -> Mapping[TopicPartition, int]:
        """Give the next offset of each partition in which something new may be committed."""
        offsets: dict[TopicPartition, int] = {}
        for partition, flying in self._flying.items():
            for offset in list(flying):
                if not flying[offset]:
                    break
                offsets[partition] = offset + 1
                del flying[offset]
        return offsets

    def clear(self) -> None:
        """Let all go: the partitions have moved on."""
        self._flying.clear()


# Committing offsets. An offset is always that of the *next* record to read.

log = logging.getLogger(__name__)

_COMMIT_S = 30.0


class Consumer(Protocol):
    """What the loops need of an aiokafka consumer."""

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit the next offset of each partition."""
        ...

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Read on from there."""
        ...

    def pause(self, *partitions: TopicPartition) -> None:
        """Read no more from these."""
        ...

    def assignment(self) -> frozenset[TopicPartition]:
        """Give the partitions that are ours."""
        ...


def next_offsets(records: Iterable[KafkaRecord]) -> dict[TopicPartition, int]:
    """Give what to commit once these records are done."""
    offsets: dict[TopicPartition, int] = {}
    for record in records:
        partition = TopicPartition(record.topic, record.partition)
        offsets[partition] = max(offsets.get(partition, 0), record.offset + 1)
    return offsets


async def commit(consumer: Consumer, offsets: Mapping[TopicPartition, int]) -> bool:
    """Commit exactly these offsets.

    Returns:
        False where the partitions are no longer ours; their records come again to whoever has them now.

    Raises:
        Retryable: the group's coordinator does not answer.
        Fatal: not allowed.
    """
    try:
        async with asyncio.timeout(_COMMIT_S):
            await consumer.commit(dict(offsets))
    except (CommitFailedError, IllegalStateError) as error:
        log.warning("offsets not committed, the partitions have moved on: %s", type(error).__name__)
        return False
    except AUTHORISATION_ERRORS as error:
        raise Fatal(f"Kafka does not let this service commit: {type(error).__name__}; mend its ACLs") from None
    except (KafkaError, TimeoutError) as error:
        raise Retryable(f"offsets not committed: {type(error).__name__}") from None
    return True


def seek_back(consumer: Consumer, records: Iterable[KafkaRecord]) -> None:
    """Go back to the first of these records in each partition that is still ours."""
    first: dict[TopicPartition, int] = {}
    for record in records:
        partition = TopicPartition(record.topic, record.partition)
        first[partition] = min(first.get(partition, record.offset), record.offset)
    ours = consumer.assignment()
    for partition, offset in first.items():
        if partition in ours:
            consumer.seek(partition, offset)
