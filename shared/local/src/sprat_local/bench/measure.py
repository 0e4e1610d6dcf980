"""Measures an installation that is ready: a backlog, or an open load at one rate."""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from aiokafka import AIOKafkaProducer, TopicPartition

from sprat.base.errors import SpratError
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
class TextEnd:
    """The end of one text: its Result, or its request to a frontier, which a benchmark does not run."""

    at: float
    """When this process received it, by the monotonic clock: what a consumer experiences, independent of the broker."""
    appended_ms: int
    """When the broker appended it."""
    declined: bool
    """The service declined the text; it ended with a request to the frontier."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A text that was sent, and its end."""

    record: BenchRecord
    due: float
    """By the monotonic clock."""
    appended_ms: int
    """When the broker appended it."""
    end: TextEnd | None
    """None where it did not end in time."""

    @property
    def latency_s(self) -> float:
        """From the moment at which it was due."""
        return NEVER if self.end is None else self.end.at - self.due


@dataclass(frozen=True, slots=True)
class BacklogResult:
    """How a backlog of texts was processed."""

    texts: int
    """Published."""
    ended: int
    seconds: float
    """From the append of the first text to the last end, by the broker's clock."""
    declined: frozenset[int]
    """Places of the texts that the service declined."""
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

    @property
    def sustained(self) -> bool:
        """Whether the backlog did not grow. If it was there from the first text on, the remaining texts show it."""
        remaining = 1 - self.answered_per_s / self.offered_per_s
        backlog = remaining > _MAX_REMAINING_SHARE and remaining * self.texts / self.offered_per_s > _MIN_BACKLOG_S
        return self.ended == self.texts and self.latency_growth <= MAX_LATENCY_GROWTH and not backlog


class Bench:
    """Publishes through one producer and reads the ends through one consumer. A context manager; entering connects."""

    def __init__(self, installation: Installation, task: str, messages: BenchMessages) -> None:
        self._installation = installation
        self._messages = messages
        self._producer: Any = AIOKafkaProducer(**installation.kafka.client(), acks="all")
        self._consumer = make_consumer(installation.kafka.client(), group_id=None, auto_offset_reset="earliest")
        self._end_topics = installation.topics.results(task), installation.topics.frontier_requests
        self._ends: dict[int, TextEnd] = {}
        """Number → the first end of the text."""
        self._reading: asyncio.Task[None] | None = None
        self._next = 0

    async def __aenter__(self) -> Self:
        partitions = {state.name: state.partitions or 0 for state in self._installation.topic_states}
        try:
            await self._producer.start()
            await self._consumer.start()
            # The prefix is new and the topics are ours alone: reading from the beginning misses nothing.
            self._consumer.assign(
                [TopicPartition(name, each) for name in self._end_topics for each in range(partitions[name])]
            )
            self._reading = asyncio.create_task(self._read())
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        await close_in_time(self._consumer.stop, self._producer.stop)

    async def measure_backlog(self, count: int, meter: ProcessMeter) -> BacklogResult:
        """Publish so many texts at once, after a warm-up, and measure how they are processed.

        Raises:
            SpratError: a service died, or no text ended.
            KafkaError: the broker is unreachable.
        """
        await self.send([0.0] * min(count, WARM_UP))
        before = meter.cpu_s()
        sent = await self.send([0.0] * count)
        cpu_s = {name: used - before[name] for name, used in meter.cpu_s().items()}
        ends = {place: each.end for place, each in enumerate(sent) if each.end is not None}
        if not ends:
            raise SpratError("no text ended: `sprat doctor` may say why")
        seconds = max((max(end.appended_ms for end in ends.values()) - sent[0].appended_ms) / 1000, 0.001)
        declined = frozenset(place for place, end in ends.items() if end.declined)
        return BacklogResult(count, len(ends), seconds, declined, cpu_s)

    async def measure_rate(self, per_s: float, seconds: float) -> RateResult:
        """Publish at one rate by the clock, wait until all texts have ended, and return the latencies.

        Raises:
            SpratError: a service died.
            KafkaError: the broker is unreachable.
        """
        due = poisson_arrivals(per_s, seconds)
        sent = await self.send(due)
        last, latencies = sent[0].due - due[0] + seconds, [each.latency_s for each in sent]
        return RateResult(
            offered_per_s=len(due) / seconds,
            texts=len(due),
            ended=sum(each.end is not None for each in sent),
            answered_per_s=sum(each.end is not None and each.end.at <= last for each in sent) / seconds,
            latency=LatencyQuantiles.of(latencies),
            latency_growth=latency_growth([each.due for each in sent], latencies),
        )

    async def send(self, due: Sequence[float]) -> list[Sent]:
        """Publish texts when they are due, in seconds from now, and wait until they have ended.

        Raises:
            SpratError: a service died.
            KafkaError: the broker is unreachable.
        """
        numbers = range(self._next, self._next + len(due))
        self._next += len(due)
        records = self._messages.records(numbers)  # encoded before the clock runs
        topic, acknowledged = self._installation.topics.texts, []

        async def publish(place: int) -> None:
            each = records[place]
            acknowledged.append(await self._producer.send(topic, each.value, each.key, headers=list(each.headers)))

        await asyncio.sleep(_SETTLE_S)
        scheduled = await publish_on_time(due, publish)
        appended = [each.timestamp for each in await asyncio.gather(*acknowledged)]
        await self._wait(numbers)
        ends = map(self._ends.get, numbers)
        return [Sent(*each) for each in zip(records, scheduled, appended, ends, strict=True)]

    async def _wait(self, numbers: range) -> None:
        """Wait until all of these have ended, or none has for a while."""
        known, last = len(self._ends), time.monotonic()
        while not all(number in self._ends for number in reversed(numbers)):
            for name, process in self._installation.processes.items():
                if process.pid is None:
                    raise SpratError(f"{name} died during the measurement: {process.last_exit or 'unknown reason'}")
            if self._reading is not None and self._reading.done():
                self._reading.result()
            await asyncio.sleep(_CHECK_EVERY_S)
            if len(self._ends) > known:
                known, last = len(self._ends), time.monotonic()
            if time.monotonic() - last > _NO_NEWS_TIMEOUT_S:
                return

    async def _read(self) -> None:
        while True:
            records = await self._consumer.getmany(timeout_ms=_POLL_MS)
            now = time.monotonic()
            for record in (record for batch in records.values() for record in batch):
                value, declined = json.loads(record.value), record.topic == self._end_topics[1]
                number = self._messages.number_of((value["prediction"] if declined else value)["text_id"])
                if number is not None:
                    self._ends.setdefault(number, TextEnd(now, record.timestamp, declined))
