"""The demo: a whole installation, the sample texts through it, the account of what came of them."""

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from sprat.kafka.clients import close_in_time
from sprat_local.demo.account import Account, Collector
from sprat_local.demo.publishing import Outgoing, Published, outgoing
from sprat_local.demo.report import Report, Run, expected_letters, expected_pairs, is_complete, make_report
from sprat_local.demo.samples import Samples
from sprat_local.installation import Installation
from sprat_operations.lag import LagMeter

PER_S = 60
"""Texts published a second: a busy day, but no flood, so that the latencies are those of ordinary work."""
_PATIENCE_S = 45.0
"""Above the longest wait of a hard case in the demo's policy (30 s)."""
_LAG_PATIENCE_S = 15.0
_QUIET_S = 0.5

Show = Callable[[int, int], None]
"""Gets how many of how many endings there are: Results and dead letters."""


class Demo:
    """One run against an installation that is ready."""

    def __init__(self, installation: Installation, samples: Samples, show: Show) -> None:
        self._installation = installation
        self._samples = samples
        self._show = show
        self._account = Account(installation.topics)
        self._published: list[Published] = []
        self._cold_start_s = 0.0

    async def run(self) -> Report:
        """Publish everything, wait for every ending, sum up.

        Raises:
            KafkaError: the broker is gone.
        """
        counts = {state.name: state.partitions or 0 for state in self._installation.topic_states}
        async with Collector(self._installation.kafka, self._account, counts) as collector:
            per_s = await self._publish(list(outgoing(self._samples)))
            timed_out = not await self._wait(lambda: is_complete(self._published, self._account), _PATIENCE_S)
            lag = await self._settled_lag(collector)
            await collector.catch_up(_LAG_PATIENCE_S)
        run = Run(self._cold_start_s, self._installation.phases, per_s, lag, timed_out)
        return make_report(self._published, self._account, run)

    async def _publish(self, records: Sequence[Outgoing]) -> float:
        """Publish the first text alone, to time the cold start, then the others at a steady pace; give that pace."""
        settings = self._installation.kafka
        producer = AIOKafkaProducer(**settings.client(), acks="all")
        await producer.start()
        try:
            await self._send(producer, records[0])
            if await self._wait(lambda: is_complete(self._published, self._account), _PATIENCE_S):
                self._cold_start_s = process_age_s()
            began = time.monotonic()
            for number, record in enumerate(records[1:]):
                await asyncio.sleep(began + number / PER_S - time.monotonic())
                await self._send(producer, record)
                self._progress()
        finally:
            await close_in_time(producer.stop)
        return (len(records) - 1) / (time.monotonic() - began)

    async def _send(self, producer: AIOKafkaProducer, record: Outgoing) -> None:
        topic = self._installation.topics.texts
        sent = await producer.send_and_wait(topic, record.value, record.key, headers=list(record.headers))
        self._published.append(Published(record, topic, sent.partition, sent.offset, sent.timestamp))

    async def _wait(self, reached: Callable[[], bool], patience_s: float) -> bool:
        """Wait until it is reached; False when nothing new came for `patience_s`."""
        endings, last = self._endings(), time.monotonic()
        while not reached():
            await asyncio.sleep(0.01 if len(self._published) == 1 else 0.1)
            self._progress()
            if self._endings() != endings:
                endings, last = self._endings(), time.monotonic()
            if time.monotonic() - last > patience_s:
                return False
        return True

    async def _settled_lag(self, collector: Collector) -> dict[str, int]:
        """Give the lag of every group once it is 0, or what it is when patience ends."""
        installation = self._installation
        admin = AIOKafkaAdminClient(**installation.kafka.client())
        await admin.start()
        try:
            running = [spec for spec in installation.specs if spec.name in installation.processes]
            groups = [group for spec in running if (group := spec.group_name(installation.models.get(spec.name)))]
            meter = LagMeter(collector.consumer, admin, installation.topics, groups=groups)
            deadline = time.monotonic() + _LAG_PATIENCE_S
            while True:
                snapshot = await meter.measure()
                lag = {f"{installation.topics.prefix}.{name}": each.lag for name, each in snapshot.groups.items()}
                if not any(lag.values()) or time.monotonic() > deadline:
                    return lag
                await asyncio.sleep(0.1)
        finally:
            await close_in_time(admin.close)

    def _endings(self) -> int:
        return len(self._account.endings) + len(self._account.letters)

    def _progress(self) -> None:
        whole = len(self._samples.broken) + sum(len(sample.submitted["tasks"]) for sample in self._samples.texts)
        whole += sum(len(broken.accepted_tasks) for broken in self._samples.broken)
        pairs, letters = expected_pairs(self._published), expected_letters(self._published)
        done = sum(bool(self._account.endings.get(pair)) for pair in pairs)
        self._show(done + sum(bool(self._account.letters.get(place)) for place in letters), whole)


def process_age_s() -> float:
    """Give the seconds since this process was started: the interpreter's start and all imports count."""
    try:
        fields = Path("/proc/self/stat").read_text("ascii").rpartition(")")[2].split()
        started = int(fields[19]) / os.sysconf("SC_CLK_TCK")  # proc(5): starttime, in ticks since the system booted
        return time.clock_gettime(time.CLOCK_BOOTTIME) - started
    except (OSError, AttributeError):
        return time.monotonic() - _IMPORTED_AT


_IMPORTED_AT = time.monotonic()
