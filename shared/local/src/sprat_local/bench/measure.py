"""Measures an installation that is ready: first a backlog, then one rate after the other."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final, Self

from aiokafka import AIOKafkaProducer

from sprat.errors import SpratError
from sprat.kafka.clients import close_in_time
from sprat_local.bench.endings import Ending, Endings
from sprat_local.bench.figures import Drained, Rung
from sprat_local.bench.latency import NEVER, Latency, falling_behind
from sprat_local.bench.open_loop import poisson, publish_on_time
from sprat_local.bench.plan import SEED, Rate
from sprat_local.bench.resources import Meter
from sprat_local.bench.texts import Messages, OutgoingText
from sprat_local.installation import Installation

WARM_UP: Final = 128
"""Texts that are answered before anything counts."""
_PAUSE_S: Final = 0.3
_SHOW_S: Final = 0.2

Show = Callable[[str, int, int], None]
"""Gets a step, and how many of how many texts of it have ended."""


class Bench:
    """Publishes through one producer and reads through one consumer. A context manager; entering it connects."""

    def __init__(self, installation: Installation, task: str, messages: Messages, show: Show) -> None:
        partitions = {state.name: state.partitions or 0 for state in installation.topic_states}
        self._installation = installation
        self._messages = messages
        self._show = show
        self._endings = Endings(installation.kafka, task, messages, partitions)
        self._producer: Any = AIOKafkaProducer(**installation.kafka.client(), acks="all")
        self._next = 0

    async def __aenter__(self) -> Self:
        try:
            await self._producer.start()
            await self._endings.__aenter__()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._endings.__aexit__(*error)
        await close_in_time(self._producer.stop)

    async def drain(self, count: int, meter: Meter) -> Drained:
        """Publish so many texts at once, after some to warm up, and measure how they are worked off.

        Raises:
            SpratError: a service died, or nothing ended at all.
            KafkaError: the broker is gone.
        """
        await self._all_at_once("warming up", min(count, WARM_UP))
        before = meter.cpu_s()
        numbers, began_ms = await self._all_at_once("saturation", count)
        cpu_s = {name: used - before[name] for name, used in meter.cpu_s().items()}
        found = self._found(numbers)
        if not found:
            raise SpratError("not one text ended: `sprat doctor` may say why")
        seconds = max((max(each.appended_ms for each in found) - began_ms) / 1000, 0.001)
        cached, escalated = sum(each.cached for each in found), sum(each.escalated for each in found)
        return Drained(count, len(found), seconds, cached, escalated, cpu_s)

    async def climb(self, rate: Rate, saturation: float, seconds: float) -> Rung:
        """Publish at one rate by the clock, wait until all has ended, and give the latencies.

        Raises:
            SpratError: a service died.
            KafkaError: the broker is gone.
        """
        per_s = rate.texts_per_s(saturation)
        due = poisson(per_s, seconds, SEED)
        numbers, outgoing = self._prepared(len(due))
        await asyncio.sleep(_PAUSE_S)

        sent: list[Any] = []

        async def publish(place: int) -> None:
            sent.append(await self._send(outgoing[place]))

        showing = asyncio.create_task(self._showing(f"{per_s:,.0f} texts/s", numbers))
        try:
            scheduled, late = await publish_on_time(due, publish)
            await asyncio.gather(*sent)
            await self._endings.wait(numbers, self._check)
        finally:
            showing.cancel()
        ends = [self._endings.by_number.get(number) for number in numbers]
        latencies = [NEVER if end is None else end.at - at for end, at in zip(ends, scheduled, strict=True)]
        last = scheduled[0] - due[0] + seconds
        return Rung(
            share=rate.share,
            offered_per_s=len(due) / seconds,
            texts=len(due),
            ended=sum(end is not None for end in ends),
            answered_per_s=sum(end is not None and end.at <= last for end in ends) / seconds,
            latency=Latency.of(latencies),
            falling_behind=falling_behind(scheduled, latencies),
            late_s=Latency.of(late).p99,
        )

    async def _all_at_once(self, step: str, count: int) -> tuple[range, int]:
        """Publish so many texts and wait until they have ended; give their numbers and when the first arrived."""
        numbers, outgoing = self._prepared(count)
        showing = asyncio.create_task(self._showing(step, numbers))
        try:
            sent = [await self._send(each) for each in outgoing]
            first = await sent[0]
            await asyncio.gather(*sent[1:])
            await self._endings.wait(numbers, self._check)
        finally:
            showing.cancel()
        return numbers, first.timestamp

    def _prepared(self, count: int) -> tuple[range, Sequence[OutgoingText]]:
        """Make the next records before the clock runs."""
        numbers = range(self._next, self._next + count)
        self._next += count
        return numbers, self._messages.of(numbers)

    async def _send(self, text: OutgoingText) -> Any:
        """Hand a record over; what comes back tells where it stands, when it stands there."""
        topic = self._installation.topics.texts
        return await self._producer.send(topic, text.value, text.key, headers=list(text.headers))

    def _found(self, numbers: range) -> list[Ending]:
        return [end for number in numbers if (end := self._endings.by_number.get(number)) is not None]

    def _check(self) -> None:
        for name, process in self._installation.processes.items():
            if process.pid is None:
                raise SpratError(f"{name} died while it was measured: {process.last_exit or 'nobody knows why'}")

    async def _showing(self, step: str, numbers: range) -> None:
        while True:
            self._show(step, sum(number in self._endings.by_number for number in numbers), len(numbers))
            await asyncio.sleep(_SHOW_S)
