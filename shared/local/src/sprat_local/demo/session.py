"""One run of the demo: publish the samples, read what comes of them, report."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import psutil  # type: ignore[import-untyped] # its types are a package of their own
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError
from rich.console import Console
from rich.text import Text

from sprat.base.errors import UserError
from sprat.base.settings import KafkaSettings
from sprat.kafka.clients import close_in_time
from sprat.kafka.lag import LagMeter
from sprat_cli.progress import ProgressBar
from sprat_local.demo.records import Observations, PublishedRecord, SampleRecord, sample_records
from sprat_local.demo.report import DemoReport, RunFacts, arrived, make_report
from sprat_local.demo.samples import Samples, load_samples
from sprat_local.demo.target import DemoTarget
from sprat_local.installation.lifecycle import Installation
from sprat_local.installation.options import DEMO_FOLDER, Options
from sprat_operations.topic_reader import TopicReader

RECORDS_PER_S = 60
"""Below saturation, so that the latencies are those of ordinary traffic."""
_TIMEOUT_S = 45.0
"""Above the longest wait of an escalated text in the demo's policy (30 s)."""
_LAG_TIMEOUT_S = 15.0
_LOOK_EVERY_S = 0.1
_FIRST_LOOK_EVERY_S = 0.01

OnCount = Callable[[int, int], None]
"""Receives how many of how many expected Results and dead letters have arrived."""


def run_demo(
    options: Options,
    console: Console,
    running: KafkaSettings | None = None,
    then: Callable[[DemoReport, DemoTarget], None] = lambda _report, _target: None,
) -> DemoReport:
    """Run it on an installation of its own, which is stopped afterwards, or on one that runs already.

    Args:
        options: of an installation of its own.
        console: for what happens meanwhile.
        running: the Kafka of an installation that runs already; None: start one.
        then: called with what came of it, while the installation still runs.

    Raises:
        UserError: it cannot start, or the broker becomes unreachable.
    """

    def say(line: str) -> None:
        console.print(Text(line), soft_wrap=True)

    # aiokafka logs each partition without a leader as a warning; real failures arrive as exceptions.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    found = _started(options, say) if running is None else _running(running, say)
    try:
        with found as target:
            with ProgressBar() as bar:
                samples = load_samples(DEMO_FOLDER)
                report = asyncio.run(Demo(target, samples, lambda *count: bar.show("Results", *count)).run())
            then(report, target)
            return report
    except KafkaError as error:
        raise UserError(f"the broker became unreachable during the demo: {type(error).__name__}") from None


@contextmanager
def _started(options: Options, say: Callable[[str], None]) -> Iterator[DemoTarget]:
    installation = Installation(
        options, on_notice=lambda notice: say(f"{notice.service}: {notice.text}"), on_progress=say
    )
    say("Starting Kafka, Redis and the services …")
    with installation:
        names = ", ".join((*installation.servers, *installation.processes))
        say(f"Ready after {installation.phases['services']:.1f} s: {names}")
        yield DemoTarget.started(installation)


@contextmanager
def _running(kafka: KafkaSettings, say: Callable[[str], None]) -> Iterator[DemoTarget]:
    say(f"Waiting for all services at {kafka.bootstrap} …")
    yield asyncio.run(DemoTarget.running(kafka))


class Demo:
    """One run against an installation that is ready."""

    def __init__(
        self, target: DemoTarget, samples: Samples, on_count: OnCount, *, timeout_s: float = _TIMEOUT_S
    ) -> None:
        """Prepare a run; it ends when nothing new has arrived for `timeout_s`, in seconds."""
        self._timeout_s = timeout_s
        self._target = target
        self._records = list(sample_records(samples))
        self._expected = sum(len(each.sample.tasks) for each in self._records) + len(samples.broken)
        self._on_count = on_count
        self._observations = Observations(target.topics)
        self._published: list[PublishedRecord] = []
        self._read_to: Mapping[TopicPartition, int] = {}

    async def run(self) -> DemoReport:
        """Publish everything, wait for every Result and dead letter, return the report.

        Raises:
            KafkaError: the broker is unreachable.
        """
        topics = self._target.topics
        followed = [topic.name for topic in topics.table() if topic.name not in {topics.models, topics.feedback}]
        async with TopicReader(self._target.kafka.client()) as reader:
            self._read_to = await reader.ends(followed)  # records before the present ends belong to others
            cold_start_s, per_s = await self._publish(reader)
            timed_out = not await self._wait_complete(reader)
            lag = await self._final_lag()
            await self._look(reader)
        run = RunFacts(cold_start_s, self._target.phases, per_s, lag, timed_out)
        observed = self._observations if self._target.alone else self._observations.of(self._published)
        return make_report(self._published, observed, run)

    async def _publish(self, reader: TopicReader) -> tuple[float, float]:
        """Publish the first text alone to time the cold start, then the others at a steady rate.

        Returns:
            The seconds from the start of this process to the first Result, 0 without one; and the rate of the others,
            in records per second.
        """
        producer = AIOKafkaProducer(**self._target.kafka.client(), acks="all")
        await producer.start()
        try:
            await self._send(producer, self._records[0])
            answered = await self._wait_complete(reader, every_s=_FIRST_LOOK_EVERY_S)
            cold_start_s = time.time() - psutil.Process().create_time() if answered else 0.0
            began = time.monotonic()
            for number, record in enumerate(self._records[1:]):
                await asyncio.sleep(began + number / RECORDS_PER_S - time.monotonic())
                await self._send(producer, record)
                if number % RECORDS_PER_S == 0:
                    await self._look(reader)
            return cold_start_s, (len(self._records) - 1) / (time.monotonic() - began)
        finally:
            await close_in_time(producer.stop)

    async def _send(self, producer: AIOKafkaProducer, record: SampleRecord) -> None:
        topic = self._target.topics.texts
        sent = await producer.send_and_wait(topic, record.value, record.key, headers=list(record.headers))
        self._published.append(PublishedRecord(record, topic, sent.partition, sent.offset, sent.timestamp))

    async def _look(self, reader: TopicReader) -> tuple[int, int]:
        """Read what is new; return how many of how many Results and dead letters of the published have arrived."""
        ends = await reader.ends(sorted({partition.topic for partition in self._read_to}))
        new = {each: (begin, ends[each]) for each, begin in self._read_to.items() if begin < ends[each]}
        async for records in reader.read_between(new):
            for record in records:
                self._observations.add(record)
        self._read_to = ends
        done, expected = arrived(self._published, self._observations)
        self._on_count(done, self._expected)
        return done, expected

    async def _wait_complete(self, reader: TopicReader, every_s: float = _LOOK_EVERY_S) -> bool:
        """Wait until everything published has its Results and dead letters; False if none arrives in time."""
        known, last = -1, time.monotonic()
        while True:
            done, expected = await self._look(reader)
            if done == expected:
                return True
            if done > known:
                known, last = done, time.monotonic()
            if time.monotonic() - last > self._timeout_s:
                return False
            await asyncio.sleep(every_s)

    async def _final_lag(self) -> dict[str, int]:
        """Return the lag of every group when all are 0, or what it is after the timeout.

        Where others publish as well, only what was there at the first look counts: theirs goes on arriving.
        """
        target = self._target
        ends: Mapping[TopicPartition, int] = {}
        deadline = time.monotonic() + _LAG_TIMEOUT_S
        async with LagMeter(target.kafka.client(), target.topics, groups=target.groups) as meter:
            while True:
                snapshot = await meter.measure()
                ends = snapshot.ends if target.alone or not ends else ends
                lag = {f"{target.topics.prefix}.{name}": each.until(ends) for name, each in snapshot.groups.items()}
                if not any(lag.values()) or time.monotonic() > deadline:
                    return lag
                await asyncio.sleep(_LOOK_EVERY_S)
