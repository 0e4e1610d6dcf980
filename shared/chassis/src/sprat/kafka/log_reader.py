"""Reading topics as logs: from their beginnings, without a group, to the ends of the moment, again and again."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError

from sprat.base.errors import Fatal, Retryable
from sprat.base.settings import KafkaSettings
from sprat.kafka.clients import make_consumer

CATCH_UP_S: Final = 10.0
_POLL_MS: Final = 200

Ends = Mapping[TopicPartition, int]
"""The offset that is written next, by partition."""


class LogReader:
    """Reads topics from their beginnings; each `catch_up` reads to the ends at that moment.

    In between, their partitions are paused: a broker answers the requests of a connection in order, so a request for
    the ends would wait behind a fetch that waits for records.

    Args:
        settings: of Kafka.
        topics: what to read: each time one to its end before the next one, and its partitions one by one.
        take: gets each record in turn.
        on_recreated: called where a topic was deleted and created again, before it is read from its beginning.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        topics: Sequence[str],
        take: Callable[[ConsumerRecord], object],
        on_recreated: Callable[[], object] = lambda: None,
    ) -> None:
        self._topics = topics
        self._take = take
        self._on_recreated = on_recreated
        self._consumer = make_consumer(
            settings.client(),
            *topics,
            group_id=None,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=100,
            # aiokafka asks this long for a topic that does not exist before it raises.
            request_timeout_ms=5_000,
        )
        self._partitions: list[TopicPartition] = []

    async def start(self, since_ms: int | None = None) -> None:
        """Connect. What is read begins at `since_ms`, epoch milliseconds by the broker's clock; None: at the beginning.

        Raises:
            Fatal: a topic does not exist.
        """
        try:
            await self._consumer.start()
        except UnknownTopicOrPartitionError:
            raise Fatal(f"topic {' or '.join(self._topics)} does not exist: run `sprat topics create`") from None
        self._partitions = sorted(self._consumer.assignment(), key=lambda each: (self._topics.index(each[0]), each[1]))
        self._consumer.pause(*self._partitions)
        if since_ms is not None:
            ends = await self.ends()  # first: what is appended between the two requests must not be skipped
            found = await self._consumer.offsets_for_times(dict.fromkeys(self._partitions, since_ms))
            for partition in self._partitions:
                place = found.get(partition)
                self._consumer.seek(partition, ends[partition] if place is None else place.offset)

    async def ends(self) -> Ends:
        """Return the present ends of all partitions.

        Raises:
            KafkaError: Kafka does not answer.
        """
        ends: Ends = await self._consumer.end_offsets(self._partitions)
        return ends

    async def catch_up(self, within_s: float = CATCH_UP_S, ends: Ends | None = None) -> None:
        """Read to the given ends, or to the present ones.

        Raises:
            Retryable: Kafka does not answer within `within_s`.
        """
        try:
            async with asyncio.timeout(within_s):
                await self._read_to(await self.ends() if ends is None else ends)
        except (KafkaError, TimeoutError) as error:
            raise Retryable(f"{', '.join(self._topics)} cannot be read: {type(error).__name__}") from None

    async def _read_to(self, ends: Ends) -> None:
        for partition in self._partitions:
            end = ends[partition]
            if await self._consumer.position(partition) > end:
                self._consumer.seek(partition, 0)
                self._on_recreated()
            while await self._consumer.position(partition) < end:
                self._consumer.resume(partition)
                for records in (await self._consumer.getmany(partition, timeout_ms=_POLL_MS)).values():
                    for record in records:
                        if record.offset >= end:  # it came meanwhile: what it refers to may not be read yet
                            self._consumer.seek(partition, record.offset)
                            break
                        self._take(record)
            self._consumer.pause(partition)

    async def stop(self) -> None:
        """Disconnect."""
        await self._consumer.stop()
