"""What the demo saw on the topics: results, predictions and dead letters by the text that they belong to."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Self

from aiokafka import TopicPartition

from sprat.kafka.clients import close_in_time, make_consumer
from sprat.settings import KafkaSettings
from sprat_contracts import (
    TASKS,
    DeadLetterReason,
    KafkaRecord,
    Prediction,
    Result,
    Topics,
    Traceparent,
    WireError,
    decode,
)


class Pair(NamedTuple):
    """A text and a task: what must end in exactly one Result."""

    source: str
    id: str
    task: str


class Place(NamedTuple):
    """Where a record stands on the texts topic."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Ending:
    """A Result as it was found."""

    result_id: str
    result: Result
    appended_at: int
    """When the broker appended it: epoch milliseconds."""

    @property
    def latency_ms(self) -> int:
        """From the broker's appending the text to its appending the Result."""
        return self.appended_at - self.result.origin.appended_at


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter as it was found."""

    reason: DeadLetterReason
    value: bytes
    headers: tuple[tuple[str, bytes], ...]

    @property
    def origin(self) -> Place:
        """Where the record stood that it holds."""
        return Place(self.reason.topic, self.reason.partition, self.reason.offset)

    def holds(self, value: bytes, headers: Iterable[tuple[str, bytes]]) -> bool:
        """Tell whether value and headers of the original are in it untouched."""
        original = tuple(headers)
        return self.value == value and self.headers[: len(original)] == original


class Account:
    """Everything seen so far."""

    def __init__(self, topics: Topics) -> None:
        self.endings: defaultdict[Pair, list[Ending]] = defaultdict(list)
        self.predictions: dict[Pair, Prediction] = {}
        self.letters: defaultdict[Place, list[Letter]] = defaultdict(list)
        self.traces: defaultdict[str, list[KafkaRecord]] = defaultdict(list)
        """By trace id, all records of the trace, in no order."""
        self.unreadable = 0
        """Records on our topics that are not what their topic holds."""
        self.topics = topics
        self._results = {topics.results(task) for task in TASKS}
        self._predictions = {topics.predictions(task) for task in TASKS}

    def take(self, record: KafkaRecord) -> None:
        """Note a record of any topic of the installation."""
        trace = trace_id(record.headers)
        if trace:
            self.traces[trace].append(record)
        try:
            if record.topic in self._results:
                self._take_result(record)
            elif record.topic in self._predictions:
                prediction = decode(record, Prediction).message
                self.predictions[Pair(prediction.text_source, prediction.text_id, prediction.task)] = prediction
            elif record.topic == self.topics.dead_letters:
                reason = DeadLetterReason.from_headers(record.headers)
                letter = Letter(reason, record.value or b"", tuple(record.headers))
                self.letters[letter.origin].append(letter)
        except (WireError, ValueError):
            self.unreadable += 1

    def _take_result(self, record: KafkaRecord) -> None:
        event = decode(record, Result)
        result = event.message
        pair = Pair(result.text_source, result.text_id, result.task)
        self.endings[pair].append(Ending(event.envelope.id, result, record.timestamp))


def trace_id(headers: Iterable[tuple[str, bytes]]) -> str:
    """Give the trace id that headers carry; empty without a readable one."""
    traceparent = Traceparent.parse(dict(headers).get("traceparent"))
    return "" if traceparent is None else traceparent.trace_id


# Reads every topic of an installation into an account, while the demo publishes.

_POLL_MS = 100


class Collector:
    """A consumer of all topics and the task that reads it."""

    def __init__(self, settings: KafkaSettings, account: Account, partitions: Mapping[str, int]) -> None:
        topics = settings.topics
        self.account = account
        self.consumer = make_consumer(settings.client(), auto_offset_reset="latest")
        self._ours = [
            TopicPartition(topic, number)
            for topic, count in partitions.items()
            if topic not in {topics.models, topics.feedback}
            for number in range(count)
        ]
        self._reading: asyncio.Task[None] | None = None
        self._positions: dict[TopicPartition, int] = {}

    async def __aenter__(self) -> Self:
        await self.consumer.start()
        self.consumer.assign(self._ours)
        # Where each partition ends now: what others put there before is not ours.
        self._positions = dict(await self.consumer.end_offsets(self._ours))
        for partition, offset in self._positions.items():
            self.consumer.seek(partition, offset)
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        await close_in_time(self.consumer.stop)

    async def catch_up(self, timeout_s: float) -> bool:
        """Wait until all is read that stands on the topics now; False where that takes longer than `timeout_s`."""
        ends = await self.consumer.end_offsets(self._ours)
        try:
            async with asyncio.timeout(timeout_s):
                while any(self._positions[partition] < end for partition, end in ends.items()):
                    self._check()
                    await asyncio.sleep(0.01)
        except TimeoutError:
            return False
        return True

    def _check(self) -> None:
        """Raise what ended the reading."""
        if self._reading is not None and self._reading.done():
            self._reading.result()

    async def _read(self) -> None:
        while True:
            for records in (await self.consumer.getmany(timeout_ms=_POLL_MS)).values():
                for record in records:
                    self.account.take(record)
            # Not the last record's place: the end of a partition may hold a transaction's marker.
            self._positions = {partition: await self.consumer.position(partition) for partition in self._ours}
