"""Measures an installation that is ready: a backlog, or an open load at one rate."""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Self

from aiokafka import AIOKafkaProducer, TopicPartition

from sprat.base.errors import SpratError
from sprat.kafka.clients import close_in_time, make_consumer
from sprat_local.bench.open_loop import (
    MAX_LATENCY_GROWTH,
    NEVER,
    LatencyQuantiles,
    latency_growth,
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
class Load:
    """Texts that were sent, all at once or by the clock, and what they took."""

    sent: Sequence[Sent]
    cpu_s: Mapping[str, float]
    """Process → CPU seconds from the first text to the last end."""

    @property
    def ends(self) -> list[TextEnd]:
        """The ends of the texts that ended, at least one.

        Raises:
            SpratError: none ended.
        """
        if ends := [each.end for each in self.sent if each.end is not None]:
            return ends
        raise SpratError("no text ended: `sprat doctor` may say why")

    @property
    def texts_per_s(self) -> float:
        """Texts that ended per second, from the append of the first to the last end, by the broker's clock."""
        ends = self.ends
        return 1000 * len(ends) / max(max(end.appended_ms for end in ends) - self.sent[0].appended_ms, 1)

    def cpu_s_per_1000(self, process: str) -> float:
        """Return the CPU seconds of a process per 1,000 texts."""
        return 1000 * self.cpu_s[process] / len(self.ends)

    @property
    def latency(self) -> LatencyQuantiles:
        """From the moment at which each text was due to its end at this consumer."""
        return LatencyQuantiles.of([each.latency_s for each in self.sent])

    @property
    def sustained(self) -> bool:
        """Whether the backlog did not grow. If it was there from the first text on, the remaining texts show it."""
        last = self.sent[-1].due
        remaining = sum(each.end is None or each.end.at > last for each in self.sent) / len(self.sent)
        backlog = remaining > _MAX_REMAINING_SHARE and remaining * (last - self.sent[0].due) > _MIN_BACKLOG_S
        growth = latency_growth([each.due for each in self.sent], [each.latency_s for each in self.sent])
        return all(each.end for each in self.sent) and growth <= MAX_LATENCY_GROWTH and not backlog


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
        self.repeats = 0
        """Further ends of texts that had ended."""
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

    async def measure_backlog(self, count: int, meter: ProcessMeter) -> Load:
        """Publish so many texts at once, after a warm-up, and measure how they are processed; see `send`."""
        await self.send([0.0] * min(count, WARM_UP))
        before = meter.cpu_s()
        load = await self.send([0.0] * count)
        return replace(load, cpu_s={name: used - before[name] for name, used in meter.cpu_s().items()})

    async def send(self, due: Sequence[float]) -> Load:
        """Publish texts when they are due, in seconds from now, and wait until they have ended. No CPU is measured.

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
        return Load([Sent(*each) for each in zip(records, scheduled, appended, ends, strict=True)], {})

    async def _wait(self, numbers: range) -> None:
        """Wait until all of these have ended, or none has for a while."""
        known, last = len(self._ends), time.monotonic()
        while not all(number in self._ends for number in reversed(numbers)):
            for name, process in self._installation.processes.items():
                if process.pid is None and process.last_exit:  # not one that is being restarted
                    raise SpratError(f"{name} died during the measurement: {process.last_exit}")
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
                    self.repeats += number in self._ends
                    self._ends.setdefault(number, TextEnd(now, record.timestamp, declined))
