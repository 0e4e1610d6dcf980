"""Bounded reads: the records appended to topics since a moment, up to their present ends."""

import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final, Self

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import TopicAuthorizationFailedError, UnknownTopicOrPartitionError, for_code

from sprat.base.errors import UserError
from sprat.kafka.clients import close_in_time, make_consumer, missing_topics

OnReadProgress = Callable[[int, int], None]
"""Called with the number of records read and the number to read, both by their offsets."""
ProgressOf = Callable[[str], AbstractContextManager[OnReadProgress]]
"""Opens the display of one of several reads, by what is read."""

_MAX_RECORDS: Final = 5_000
_POLL_S: Final = 1.0
_WAIT_MS: Final = 50
"""How long the broker may hold a fetch that finds nothing: the fetch of another partition waits behind it."""
_STALL_S: Final = 30.0
"""The read fails when no record has arrived for so long although some are missing."""


def no_progress(done: int, total: int) -> None:
    """Show nothing."""


def no_progress_of(what: str) -> AbstractContextManager[OnReadProgress]:  # noqa: ARG001 - as a ProgressOf is called
    """Show nothing of any read."""
    return nullcontext(no_progress)


async def read_since(
    client: Mapping[str, Any], topics: Sequence[str], since_ms: int | None, *, progress: OnReadProgress = no_progress
) -> AsyncIterator[ConsumerRecord]:
    """Return every record of the topics appended at `since_ms` (epoch) or later, None: all, in each partition's order.

    The read ends at the end offsets of its beginning, and holds one fetch in memory. `client` holds the arguments of
    an aiokafka client.

    Raises:
        UserError: there is no such topic.
        TimeoutError: the broker returns no more records.
        KafkaError: Kafka cannot be reached or refuses.
    """
    async with TopicReader(client, progress) as reader:
        async for records in reader.read_since(topics, since_ms):
            for record in records:
                yield record


class TopicReader:
    """Reads topics up to their present ends with one consumer, which has no group: it affects no other consumer.

    It can be used for several reads. A context manager; entering it connects.
    """

    def __init__(self, client: Mapping[str, Any], progress: OnReadProgress = no_progress) -> None:
        self._admin = AIOKafkaAdminClient(**client)
        self._consumer = make_consumer(
            client,
            group_id=None,
            auto_offset_reset="earliest",  # where records expired before they were read
            fetch_max_wait_ms=_WAIT_MS,
        )
        self._progress = progress

    async def __aenter__(self) -> Self:
        try:
            await self._admin.start()
            await self._consumer.start()
        except BaseException:  # a cancelled start leaves no connection either
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await close_in_time(self._admin.close, self._consumer.stop)

    async def unreadable_topics(self, topics: Sequence[str]) -> dict[str, str]:
        """Return the topics that cannot be read, each with the reason."""
        described = await self._admin.describe_topics(list(topics))
        return {each["topic"]: _reason(for_code(each["error_code"])) for each in described if each["error_code"]}

    async def bounds(self, topic: str) -> dict[int, tuple[int, int]]:
        """Return, by partition of a topic, the first offset that is still there and the one that is written next.

        Raises:
            UserError: there is no such topic.
            KafkaError: Kafka refuses.
        """
        partitions = await self._partitions([topic])
        begins: dict[TopicPartition, int] = await self._consumer.beginning_offsets(partitions)
        ends: dict[TopicPartition, int] = await self._consumer.end_offsets(partitions)
        return {each.partition: (begins[each], ends[each]) for each in partitions}

    async def ends(self, topics: Sequence[str]) -> dict[TopicPartition, int]:
        """Return the offset that is written next, by partition of the topics.

        Raises:
            UserError: there is no such topic.
            KafkaError: Kafka refuses.
        """
        ends: dict[TopicPartition, int] = await self._consumer.end_offsets(await self._partitions(topics))
        return ends

    async def read_since(self, topics: Sequence[str], since_ms: int | None) -> AsyncIterator[Sequence[ConsumerRecord]]:
        """Return the records appended at `since_ms` (epoch) or later, None: all, in batches.

        Each batch is of one partition, in its order. Records that are appended meanwhile are left out. One read must
        end before the next begins.

        Raises:
            UserError: there is no such topic.
            TimeoutError: the broker returns no more records.
            KafkaError: Kafka refuses.
        """
        partitions = await self._partitions(topics)
        ends: dict[TopicPartition, int] = await self._consumer.end_offsets(partitions)
        async for records in self._read(await self._starts(partitions, since_ms, ends), ends):
            yield records

    async def read_last(self, topic: str, count: int) -> AsyncIterator[Sequence[ConsumerRecord]]:
        """Return the last records of each partition of a topic, `count` at most, as `read_since` does.

        Raises:
            UserError: there is no such topic.
            TimeoutError: the broker returns no more records.
            KafkaError: Kafka refuses.
        """
        partitions = await self._partitions([topic])
        begins: dict[TopicPartition, int] = await self._consumer.beginning_offsets(partitions)
        ends: dict[TopicPartition, int] = await self._consumer.end_offsets(partitions)
        starts = {each: max(begins[each], ends[each] - count) for each in partitions}
        async for records in self._read(starts, ends):
            yield records

    async def read_between(
        self, bounds: Mapping[TopicPartition, tuple[int, int]]
    ) -> AsyncIterator[Sequence[ConsumerRecord]]:
        """Return the records of partitions from an offset to before another, as `read_since` does.

        Raises:
            TimeoutError: the broker returns no more records.
            KafkaError: Kafka refuses.
        """
        starts = {partition: start for partition, (start, _) in bounds.items()}
        async for records in self._read(starts, {partition: end for partition, (_, end) in bounds.items()}):
            yield records

    async def _read(
        self, starts: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
    ) -> AsyncIterator[Sequence[ConsumerRecord]]:
        self._consumer.assign(list(starts))
        for partition, offset in starts.items():
            self._consumer.seek(partition, offset)
        waiting = {partition: end for partition, end in ends.items() if starts[partition] < end}
        self._consumer.pause(*(partition for partition in starts if partition not in waiting))
        total = sum(end - starts[partition] for partition, end in waiting.items())
        last = time.monotonic()
        while waiting:
            found = await self._consumer.getmany(timeout_ms=int(_POLL_S * 1000), max_records=_MAX_RECORDS)
            for partition, records in found.items():
                yield [record for record in records if record.offset < ends[partition]]
            if found:
                last = time.monotonic()
            elif time.monotonic() - last > _STALL_S:
                raise TimeoutError
            places = {partition: await self._consumer.position(partition) for partition in waiting}
            self._progress(total - sum(max(0, waiting[each] - place) for each, place in places.items()), total)
            for partition in [each for each, place in places.items() if place >= waiting[each]]:
                del waiting[partition]
                self._consumer.pause(partition)

    async def _starts(
        self, partitions: list[TopicPartition], since_ms: int | None, ends: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, int]:
        if since_ms is None:
            beginnings: dict[TopicPartition, int] = await self._consumer.beginning_offsets(partitions)
            return beginnings
        found = await self._consumer.offsets_for_times(dict.fromkeys(partitions, since_ms))
        return {each: place.offset if (place := found.get(each)) else ends[each] for each in partitions}

    async def _partitions(self, topics: Sequence[str]) -> list[TopicPartition]:
        """Return the topics' partitions. A consumer would wait for a missing topic until it times out."""
        described = await self._admin.describe_topics(list(topics))
        if missing := missing_topics(described):
            raise UserError(f"there is no topic {', '.join(missing)}: run `sprat topics create`")
        return [TopicPartition(each["topic"], part["partition"]) for each in described for part in each["partitions"]]


def _reason(error: type[Exception]) -> str:
    if error is UnknownTopicOrPartitionError:
        return "it does not exist"
    return "you may not see it" if error is TopicAuthorizationFailedError else error.__name__
