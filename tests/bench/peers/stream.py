"""Measure a system that reads texts from a topic and writes answers to another: throughput, latency, loss in a crash.

The texts are numbered; what a system makes of them is known by the number alone. Latency begins when a text is due,
by an open load, and ends when its answer reaches a consumer.
"""

import asyncio
import time
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, Protocol, Self

import psutil
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition

from sprat_local.bench.open_loop import NEVER, LatencyQuantiles, latency_growth, poisson_arrivals, publish_on_time
from sprat_local.bench.resources import peak_mb

_POLL_MS: Final = 50
_NO_NEWS_S: Final = 20.0
_WARM_UP: Final = 64
_FIRST_EVERY_S: Final = 0.05

Record = tuple[bytes | None, bytes, Sequence[tuple[str, bytes]]]
"""Key, value, headers."""


class System(Protocol):
    """What is measured: processes between two topics."""

    texts: str
    """The topic that it reads."""
    answers: str
    """The topic that it writes."""

    def record(self, number: int) -> Record:
        """Return the record of a text."""
        ...

    def number_of(self, record: ConsumerRecord) -> int | None:
        """Return the number of the text that was answered."""
        ...

    def start(self) -> None:
        """Start the process that answers; return at once."""
        ...

    def kill(self) -> None:
        """SIGKILL it."""
        ...

    def restart(self) -> None:
        """Start it again after a SIGKILL."""
        ...

    def processes(self) -> Mapping[str, Sequence[psutil.Process]]:
        """Return all that the system's owner runs, by name: of each, the process and its children."""
        ...


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many texts were answered, all published at once."""

    texts: int
    seconds: float
    cpu_s: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Load:
    """Latencies at one rate."""

    texts: int
    per_s: float
    latency: LatencyQuantiles
    growth: float


@dataclass(frozen=True, slots=True)
class Crash:
    """What became of a known number of texts while the process was killed."""

    texts: int
    lost: int
    doubled: int
    silent_s: float
    """The longest time without an answer."""


class Stream:
    """A producer of numbered texts and a reader of their answers. A context manager; entering it connects."""

    def __init__(self, bootstrap: str, system: System) -> None:
        self._system = system
        self._producer: Any = AIOKafkaProducer(bootstrap_servers=bootstrap)
        self._consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, isolation_level="read_committed")
        self._reader: asyncio.Task[None] | None = None
        self._next = 0
        self.ends: dict[int, list[float]] = {}
        """Number → when each of its answers came, by the monotonic clock."""

    async def __aenter__(self) -> Self:
        await self._producer.start()
        await self._consumer.start()
        topic = self._system.answers
        partitions = [TopicPartition(topic, each) for each in sorted(await self._partitions(topic))]
        self._consumer.assign(partitions)
        await self._consumer.seek_to_end()
        for partition in partitions:
            await self._consumer.position(partition)
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
        await self._consumer.stop()
        await self._producer.stop()

    async def first_answer_s(self, timeout_s: float = 300.0) -> float:
        """Start the process and publish a text again and again; return the seconds until the first answer."""
        began = time.monotonic()
        self._system.start()
        while not self.ends:
            if time.monotonic() - began > timeout_s:
                raise TimeoutError("no answer")
            await self._send(self._take(1)[0])
            await asyncio.sleep(_FIRST_EVERY_S)
        seconds = min(each[0] for each in self.ends.values()) - began
        await asyncio.sleep(1.0)
        return seconds

    async def backlog(self, count: int) -> Backlog:
        """Publish so many texts at once, after a warm-up, and return how long they took."""
        await self._answered(await self._publish(self._take(_WARM_UP)))
        before = self._cpu_s()
        numbers = self._take(count)
        records = [self._system.record(number) for number in numbers]
        began = time.monotonic()
        sent = [await self._send_record(record) for record in records]
        await asyncio.gather(*sent)
        await self._answered(numbers)
        spent = {name: after - before[name] for name, after in self._cpu_s().items()}
        ended = [self.ends[number][0] for number in numbers if number in self.ends]
        if len(ended) < count:
            raise TimeoutError(f"{count - len(ended)} of {count} texts were not answered")
        return Backlog(count, max(ended) - began, spent)

    async def load(self, per_s: float, seconds: float) -> Load:
        """Publish at a rate by the clock, and return the latencies."""
        due = poisson_arrivals(per_s, seconds)
        numbers, scheduled = await self._publish_on_time(due)
        await self._answered(numbers)
        latencies = [
            self.ends[number][0] - at if number in self.ends else NEVER
            for number, at in zip(numbers, scheduled, strict=True)
        ]
        return Load(len(due), per_s, LatencyQuantiles.of(latencies), latency_growth(scheduled, latencies))

    async def crash(self, per_s: float, count: int, patience_s: float) -> Crash:
        """Publish so many texts at a rate, kill the process in the middle and start it again at once."""
        due = poisson_arrivals(per_s, count / per_s)

        async def kill() -> None:
            await asyncio.sleep(due[len(due) // 2])
            self._system.kill()
            self._system.restart()

        killing = asyncio.create_task(kill())
        numbers, _ = await self._publish_on_time(due)
        await killing
        await self._answered(numbers, no_news_s=patience_s)
        await asyncio.sleep(2.0)  # for answers that come twice
        times = sorted(at for number in numbers for at in self.ends.get(number, ()))
        gaps = [after - before for before, after in pairwise(times)]
        return Crash(
            len(due),
            lost=sum(number not in self.ends for number in numbers),
            doubled=sum(len(self.ends.get(number, ())) > 1 for number in numbers),
            silent_s=max(gaps, default=0.0),
        )

    def memory_mb(self) -> dict[str, float]:
        """Return the largest resident memory of each part so far, children included, in 10^6 bytes."""
        return {
            name: sum(peak_mb(process.pid) for process in processes)
            for name, processes in self._system.processes().items()
        }

    def _cpu_s(self) -> dict[str, float]:
        return {
            name: sum(_cpu_s(process) for process in processes) for name, processes in self._system.processes().items()
        }

    def _take(self, count: int) -> range:
        self._next += count
        return range(self._next - count, self._next)

    async def _publish(self, numbers: range) -> range:
        await asyncio.gather(*[await self._send(number) for number in numbers])
        return numbers

    async def _publish_on_time(self, due: Sequence[float]) -> tuple[range, list[float]]:
        numbers = self._take(len(due))
        records = [self._system.record(number) for number in numbers]
        sent: list[Awaitable[Any]] = []

        async def publish(index: int) -> None:
            sent.append(await self._send_record(records[index]))

        scheduled = await publish_on_time(due, publish)
        await asyncio.gather(*sent)
        return numbers, scheduled

    async def _send(self, number: int) -> Awaitable[Any]:
        return await self._send_record(self._system.record(number))

    async def _send_record(self, record: Record) -> Awaitable[Any]:
        key, value, headers = record
        sent: Awaitable[Any] = await self._producer.send(self._system.texts, value, key, headers=list(headers))
        return sent

    async def _answered(self, numbers: Iterable[int], *, no_news_s: float = _NO_NEWS_S) -> None:
        missing, known, last = set(numbers), len(self.ends), time.monotonic()
        while missing := {number for number in missing if number not in self.ends}:
            await asyncio.sleep(0.02)
            if len(self.ends) > known:
                known, last = len(self.ends), time.monotonic()
            if time.monotonic() - last > no_news_s:
                return

    async def _read(self) -> None:
        while True:
            found = await self._consumer.getmany(timeout_ms=_POLL_MS)
            now = time.monotonic()
            for record in (record for part in found.values() for record in part):
                number = self._system.number_of(record)
                if number is not None:
                    self.ends.setdefault(number, []).append(now)

    async def _partitions(self, topic: str) -> set[int]:
        while not (found := self._consumer.partitions_for_topic(topic)):
            await self._consumer._client.force_metadata_update()
            await asyncio.sleep(0.05)
        return found


def with_children(pid: int) -> list[psutil.Process]:
    """Return a process and all below it."""
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
