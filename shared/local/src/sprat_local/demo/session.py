"""`sprat demo`: send the samples through an installation, print the summary, write the JSON report."""

import asyncio
import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from sprat.base.errors import UserError
from sprat.base.settings import KafkaSettings
from sprat.kafka.clients import close_in_time
from sprat.kafka.lag import LagMeter
from sprat_local.demo.records import ObservationReader, Observations, PublishedRecord, SampleRecord, sample_records
from sprat_local.demo.report import (
    DemoReport,
    RunFacts,
    expected_dead_letters,
    expected_pairs,
    is_complete,
    make_report,
)
from sprat_local.demo.samples import Samples, load_samples
from sprat_local.demo.summary import DemoSummary
from sprat_local.demo.target import DemoTarget
from sprat_local.installation.lifecycle import Installation
from sprat_local.installation.options import DEMO_FOLDER, Options
from sprat_local.processes.notices import Notice
from sprat_local.processes.signals import Interrupted, StopSignals

INTERRUPTED = 130
RECORDS_PER_S = 60
"""Below saturation, so that the latencies are those of ordinary traffic."""
_TIMEOUT_S = 45.0
"""Above the longest wait of an escalated text in the demo's policy (30 s)."""
_LAG_TIMEOUT_S = 15.0

OnCount = Callable[[int, int], None]
"""Receives how many of how many expected Results and dead letters have arrived."""


class DemoSession:
    """One run of `sprat demo`."""

    def __init__(self, options: Options, console: Console) -> None:
        self._console = console
        self._options = options

    def run(self, json_file: Path | None, running: KafkaSettings | None = None) -> int:
        """Run it. Return 0 if the promise was kept, 1 if not.

        Args:
            json_file: where to write the figures; None: nowhere.
            running: the Kafka of an installation that runs already; None: start one, and stop it afterwards.

        Raises:
            UserError: it cannot start, or the file cannot be written.
        """
        # aiokafka logs each partition without a leader as a warning; real failures arrive as exceptions.
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
        samples = load_samples(DEMO_FOLDER)
        _check_writable(json_file)
        try:
            with self._found(running) if running is not None else self._started() as (target, signals):
                report = asyncio.run(self._run_with_progress(target, samples, signals))
        except (Interrupted, asyncio.CancelledError):
            return INTERRUPTED
        except KafkaError as error:
            raise UserError(f"the broker became unreachable during the demo: {type(error).__name__}") from None
        DemoSummary(report, self._console, self._options.simulation).print()
        if json_file is not None:
            json_file.write_text(json.dumps(report.as_json(), indent=2, ensure_ascii=False) + "\n", "utf-8")
        return 0 if report.ok else 1

    @contextmanager
    def _started(self) -> Iterator[tuple[DemoTarget, StopSignals]]:
        installation = Installation(self._options, on_notice=self._print_notice, on_progress=self._print)
        with StopSignals(installation.kill_all) as signals:
            try:
                self._print("Starting Kafka, Redis and the services …")
                installation.start()
                self._print(f"Ready after {installation.phases['services']:.1f} s: {_names(installation)}")
                yield DemoTarget.started(installation), signals
            finally:
                stop_began = time.monotonic()
                installation.stop()
                self._print(f"Stopped everything in {time.monotonic() - stop_began:.1f} s")

    @contextmanager
    def _found(self, kafka: KafkaSettings) -> Iterator[tuple[DemoTarget, StopSignals]]:
        with StopSignals(lambda: None) as signals:
            self._print(f"Waiting for all services at {kafka.bootstrap} …")
            yield asyncio.run(DemoTarget.running(kafka)), signals

    async def _run_with_progress(self, target: DemoTarget, samples: Samples, signals: StopSignals) -> DemoReport:
        """Run the demo with a progress bar; the first signal cancels it."""
        task, loop = asyncio.current_task(), asyncio.get_running_loop()

        def cancel() -> None:
            if task is not None:
                loop.call_soon_threadsafe(task.cancel)

        signals.on_first(cancel)
        columns = (TextColumn("Results and dead letters"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self._console, disable=not self._console.is_terminal) as progress:
            bar = progress.add_task("", total=None)
            return await Demo(
                target,
                samples,
                lambda done, total: progress.update(bar, completed=done, total=total),
            ).run()

    def _print_notice(self, notice: Notice) -> None:
        self._print(f"{notice.service}: {notice.text}")

    def _print(self, line: str) -> None:
        self._console.print(Text(line), soft_wrap=True)


class Demo:
    """One run against an installation that is ready."""

    def __init__(
        self, target: DemoTarget, samples: Samples, on_count: OnCount, *, timeout_s: float = _TIMEOUT_S
    ) -> None:
        """Prepare a run; it ends when nothing new has arrived for `timeout_s`, in seconds."""
        self._timeout_s = timeout_s
        self._target = target
        self._samples = samples
        self._on_count = on_count
        self._observations = Observations(target.topics)
        self._published: list[PublishedRecord] = []
        self._cold_start_s = 0.0

    async def run(self) -> DemoReport:
        """Publish everything, wait for every Result and dead letter, return the report.

        Raises:
            KafkaError: the broker is unreachable.
        """
        async with ObservationReader(self._target.kafka, self._observations, self._target.partitions) as reader:
            per_s = await self._publish(list(sample_records(self._samples)))
            timed_out = not await self._wait_complete()
            lag = await self._final_lag()
            await reader.catch_up(_LAG_TIMEOUT_S)
        run = RunFacts(self._cold_start_s, self._target.phases, per_s, lag, timed_out)
        observed = self._observations if self._target.alone else self._observations.of(self._published)
        return make_report(self._published, observed, run)

    async def _publish(self, records: Sequence[SampleRecord]) -> float:
        """Publish the first text alone to time the cold start, then the others at a steady rate.

        Returns:
            The rate of the others, in records per second.
        """
        producer = AIOKafkaProducer(**self._target.kafka.client(), acks="all")
        await producer.start()
        try:
            await self._send(producer, records[0])
            if await self._wait_complete():
                self._cold_start_s = process_age_s()
            began = time.monotonic()
            for number, record in enumerate(records[1:]):
                await asyncio.sleep(began + number / RECORDS_PER_S - time.monotonic())
                await self._send(producer, record)
                self._report_count()
        finally:
            await close_in_time(producer.stop)
        return (len(records) - 1) / (time.monotonic() - began)

    async def _send(self, producer: AIOKafkaProducer, record: SampleRecord) -> None:
        topic = self._target.topics.texts
        sent = await producer.send_and_wait(topic, record.value, record.key, headers=list(record.headers))
        self._published.append(PublishedRecord(record, topic, sent.partition, sent.offset, sent.timestamp))

    async def _wait_complete(self) -> bool:
        """Wait until everything published has its Results and dead letters; False if none arrives in time."""
        count, last = self._arrived(), time.monotonic()
        while not is_complete(self._published, self._observations):
            await asyncio.sleep(0.01 if len(self._published) == 1 else 0.1)
            self._report_count()
            if self._arrived() != count:
                count, last = self._arrived(), time.monotonic()
            if time.monotonic() - last > self._timeout_s:
                return False
        return True

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
                await asyncio.sleep(0.1)

    def _arrived(self) -> int:
        """Return how many of the expected Results and dead letters are there."""
        pairs, positions = expected_pairs(self._published), expected_dead_letters(self._published)
        done = sum(bool(self._observations.results.get(pair)) for pair in pairs)
        return done + sum(bool(self._observations.dead_letters.get(each)) for each in positions)

    def _report_count(self) -> None:
        total = len(self._samples.broken) + sum(len(sample.submitted["tasks"]) for sample in self._samples.texts)
        total += sum(len(broken.accepted_tasks) for broken in self._samples.broken)
        self._on_count(self._arrived(), total)


def process_age_s() -> float:
    """Return the seconds since this process started, including the start of the interpreter and all imports."""
    try:
        fields = Path("/proc/self/stat").read_text("ascii").rpartition(")")[2].split()
        started = int(fields[19]) / os.sysconf("SC_CLK_TCK")  # proc(5): starttime, in ticks since the system booted
        return time.clock_gettime(time.CLOCK_BOOTTIME) - started
    except (OSError, AttributeError):
        return time.monotonic() - _IMPORTED_AT


_IMPORTED_AT = time.monotonic()


def _names(installation: Installation) -> str:
    return ", ".join((*installation.servers, *installation.processes))


def _check_writable(file: Path | None) -> None:
    """Check this before the work, not after it.

    Raises:
        UserError: the file cannot be written.
    """
    if file is not None and not os.access(file if file.exists() else file.absolute().parent, os.W_OK):
        raise UserError(f"{file} cannot be written: choose another file for --json")
