"""Measures an installation that is ready: a backlog, or an open load at one rate."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from aiokafka import AIOKafkaProducer, ConsumerRecord, TopicPartition

from sprat.base.errors import SpratError
from sprat.base.settings import KafkaSettings
from sprat.kafka.clients import close_in_time, make_consumer
from sprat_local.bench.open_loop import (
    MAX_LATENCY_GROWTH,
    NEVER,
    LatencyQuantiles,
    latency_growth,
    poisson_arrivals,
    publish_on_time,
)
from sprat_local.bench.resources import ProcessMeter
from sprat_local.bench.texts import BenchMessages, BenchRecord
from sprat_local.installation.lifecycle import Installation

WARM_UP: Final = 128
"""Texts that are answered before anything is measured."""
_MAX_REMAINING_SHARE: Final = 0.25
"""The share of texts that may still be in progress when the last one is due: more is a backlog …"""
_MIN_BACKLOG_S: Final = 1.0
"""… unless they are the arrivals of a shorter time than this: those may be in progress on a slow machine."""
_SETTLE_S: Final = 0.3
_NO_NEWS_TIMEOUT_S: Final = 20.0
"""After so long without a new end, the remaining texts count as not ended."""
_POLL_MS: Final = 100
_CHECK_EVERY_S: Final = 0.01


@dataclass(frozen=True, slots=True)
class BacklogResult:
    """How a backlog of texts was processed."""

    texts: int
    """Published."""
    ended: int
    seconds: float
    """From the append of the first text to the last end, by the broker's clock."""
    declined: frozenset[int]
    """Places of the texts that the service declined; they ended with a request to a frontier."""
    cpu_s: Mapping[str, float]
    """Process → CPU seconds during that time."""

    @property
    def texts_per_s(self) -> float:
        """Texts that ended per second."""
        return self.ended / self.seconds

    def cpu_s_per_1000(self, process: str) -> float:
        """Return the CPU seconds of a process per 1,000 texts."""
        return 1000 * self.cpu_s[process] / self.ended


@dataclass(frozen=True, slots=True)
class RateResult:
    """The measurement of one rate."""

    offered_per_s: float
    texts: int
    ended: int
    answered_per_s: float
    """Texts that ended per second while texts were still arriving."""
    latency: LatencyQuantiles
    latency_growth: float
    """Seconds by which latency grew per second."""
    late_s: float
    """How late this process published, 99th percentile. It counts as latency."""

    @property
    def sustained(self) -> bool:
        """Whether the backlog did not grow. If it was there from the first text on, the remaining texts show it."""
        remaining = 1 - self.answered_per_s / self.offered_per_s
        backlog = remaining > _MAX_REMAINING_SHARE and remaining * self.texts / self.offered_per_s > _MIN_BACKLOG_S
        return self.ended == self.texts and self.latency_growth <= MAX_LATENCY_GROWTH and not backlog


@dataclass(frozen=True, slots=True)
class TextEnd:
    """The end of one text: its Result, or its request to a frontier, which a benchmark does not run."""

    at: float
    """When this process received it, by the monotonic clock: what a consumer experiences, independent of the broker."""
    appended_ms: int
    """When the broker appended it."""
    declined: bool
    """The service declined the text; it ended with a request to the frontier."""


class EndReader:
    """Reads the ends of texts as they come. A context manager; entering it connects."""

    def __init__(
        self, settings: KafkaSettings, task: str, messages: BenchMessages, partitions: Mapping[str, int]
    ) -> None:
        topics = settings.topics
        self._messages = messages
        self._requests = topics.frontier_requests
        self._consumer = make_consumer(settings.client(), group_id=None, auto_offset_reset="earliest")
        self._partitions = [
            TopicPartition(name, number)
            for name in (topics.results(task), self._requests)
            for number in range(partitions[name])
        ]
        self._task: asyncio.Task[None] | None = None
        self.by_number: dict[int, TextEnd] = {}
        """The first end of each text."""

    async def __aenter__(self) -> Self:
        await self._consumer.start()
        # The prefix is new and the topics are ours alone: reading from the beginning misses nothing.
        self._consumer.assign(self._partitions)
        self._task = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await close_in_time(self._consumer.stop)

    async def wait(self, numbers: range, check: Callable[[], None], *, timeout_s: float = _NO_NEWS_TIMEOUT_S) -> bool:
        """Wait until all of these have ended; return False after `timeout_s` without a new end. `check` may raise.

        Raises:
            KafkaError: the broker is unreachable.
        """
        known, last = len(self.by_number), time.monotonic()
        while not all(number in self.by_number for number in reversed(numbers)):
            check()
            if self._task is not None and self._task.done():
                self._task.result()
            await asyncio.sleep(_CHECK_EVERY_S)
            if len(self.by_number) > known:
                known, last = len(self.by_number), time.monotonic()
            if time.monotonic() - last > timeout_s:
                return False
        return True

    async def _read(self) -> None:
        while True:
            records = await self._consumer.getmany(timeout_ms=_POLL_MS)
            now = time.monotonic()
            for record in (record for batch in records.values() for record in batch):
                self._add(record, now)

    def _add(self, record: ConsumerRecord, now: float) -> None:
        value = json.loads(record.value)
        declined = record.topic == self._requests
        number = self._messages.number_of((value["prediction"] if declined else value)["text_id"])
        if number is not None:
            self.by_number.setdefault(number, TextEnd(now, record.timestamp, declined=declined))


class Bench:
    """Publishes through one producer and reads through one consumer. A context manager; entering it connects."""

    def __init__(self, installation: Installation, task: str, messages: BenchMessages) -> None:
        partitions = {state.name: state.partitions or 0 for state in installation.topic_states}
        self._installation = installation
        self._messages = messages
        self._ends = EndReader(installation.kafka, task, messages, partitions)
        self._producer: Any = AIOKafkaProducer(**installation.kafka.client(), acks="all")
        self._next = 0

    async def __aenter__(self) -> Self:
        try:
            await self._producer.start()
            await self._ends.__aenter__()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._ends.__aexit__(*error)
        await close_in_time(self._producer.stop)

    async def measure_backlog(self, count: int, meter: ProcessMeter) -> BacklogResult:
        """Publish so many texts at once, after a warm-up, and measure how they are processed.

        Raises:
            SpratError: a service died, or no text ended.
            KafkaError: the broker is unreachable.
        """
        await self._publish_at_once(min(count, WARM_UP))
        before = meter.cpu_s()
        numbers, began_ms = await self._publish_at_once(count)
        cpu_s = {name: used - before[name] for name, used in meter.cpu_s().items()}
        ends = {place: end for place, end in enumerate(map(self._ends.by_number.get, numbers)) if end is not None}
        if not ends:
            raise SpratError("no text ended: `sprat doctor` may say why")
        seconds = max((max(end.appended_ms for end in ends.values()) - began_ms) / 1000, 0.001)
        declined = frozenset(place for place, end in ends.items() if end.declined)
        return BacklogResult(count, len(ends), seconds, declined, cpu_s)

    async def measure_rate(self, per_s: float, seconds: float) -> RateResult:
        """Publish at one rate by the clock, wait until all texts have ended, and return the latencies.

        Raises:
            SpratError: a service died.
            KafkaError: the broker is unreachable.
        """
        due = poisson_arrivals(per_s, seconds)
        numbers, records = self._next_records(len(due))
        await asyncio.sleep(_SETTLE_S)
        sent: list[Any] = []

        async def publish(index: int) -> None:
            sent.append(await self._send(records[index]))

        scheduled, late = await publish_on_time(due, publish)
        await asyncio.gather(*sent)
        await self._ends.wait(numbers, self._check)
        ends = [self._ends.by_number.get(number) for number in numbers]
        latencies = [NEVER if end is None else end.at - at for end, at in zip(ends, scheduled, strict=True)]
        last = scheduled[0] - due[0] + seconds
        return RateResult(
            offered_per_s=len(due) / seconds,
            texts=len(due),
            ended=sum(end is not None for end in ends),
            answered_per_s=sum(end is not None and end.at <= last for end in ends) / seconds,
            latency=LatencyQuantiles.of(latencies),
            latency_growth=latency_growth(scheduled, latencies),
            late_s=LatencyQuantiles.of(late).p99,
        )

    async def _publish_at_once(self, count: int) -> tuple[range, int]:
        """Publish so many texts and wait until they have ended.

        Returns:
            Their numbers, and when the broker appended the first (epoch milliseconds).
        """
        numbers, records = self._next_records(count)
        sent = [await self._send(record) for record in records]
        first, *_ = await asyncio.gather(*sent)
        await self._ends.wait(numbers, self._check)
        return numbers, first.timestamp

    def _next_records(self, count: int) -> tuple[range, Sequence[BenchRecord]]:
        """Encode the next records before the clock runs."""
        numbers = range(self._next, self._next + count)
        self._next += count
        return numbers, self._messages.records(numbers)

    async def _send(self, record: BenchRecord) -> Any:
        """Pass a record to the producer; return a future of its metadata."""
        topic = self._installation.topics.texts
        return await self._producer.send(topic, record.value, record.key, headers=list(record.headers))

    def _check(self) -> None:
        for name, process in self._installation.processes.items():
            if process.pid is None:
                raise SpratError(f"{name} died during the measurement: {process.last_exit or 'unknown reason'}")
