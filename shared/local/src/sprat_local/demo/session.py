"""`sprat demo` on a terminal: progress, summary, the file for machines, the exit code."""

import asyncio
import json
import logging
import os
import time
from pathlib import Path

from aiokafka.errors import KafkaError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from sprat.errors import UserError
from sprat_local.console.signals import Interrupted, StopSignals
from sprat_local.demo.report import Report
from sprat_local.demo.run import Demo
from sprat_local.demo.samples import Samples, load_samples
from sprat_local.demo.summary import Summary
from sprat_local.installation import Installation
from sprat_local.notices import Notice
from sprat_local.options import SHIPPED, Options

INTERRUPTED = 130


class DemoSession:
    """One run of `sprat demo`."""

    def __init__(self, options: Options, console: Console) -> None:
        self._console = console
        self._options = options
        self._installation = Installation(options, on_notice=self._tell, on_progress=self._say)

    def run(self, json_file: Path | None) -> int:
        """Run it; 0 when everything went as promised, 1 when not.

        Raises:
            UserError: it cannot start, or the file cannot be written.
        """
        # It logs each partition that has no leader yet as a warning; what matters reaches us as an exception.
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
        samples = load_samples(SHIPPED)
        _check_writable(json_file)
        with StopSignals(self._installation.kill_all) as signals:
            try:
                self._say("Starting Kafka, Redis and the services …")
                self._installation.start()
                self._say(f"Ready after {self._installation.phases['services']:.1f} s: {_names(self._installation)}")
                report = asyncio.run(self._watched(samples, signals))
            except (Interrupted, asyncio.CancelledError):
                return INTERRUPTED
            except KafkaError as error:
                raise UserError(f"the broker went away during the demo: {type(error).__name__}") from None
            finally:
                began = time.monotonic()
                self._installation.stop()
                self._say(f"Stopped everything in {time.monotonic() - began:.1f} s")
        Summary(report, self._console, self._options.simulation).print()
        if json_file is not None:
            json_file.write_text(json.dumps(report.as_json(), indent=2, ensure_ascii=False) + "\n", "utf-8")
        return 0 if report.ok else 1

    async def _watched(self, samples: Samples, signals: StopSignals) -> Report:
        """Run the demo with a progress bar; the first signal cancels it."""
        task, loop = asyncio.current_task(), asyncio.get_running_loop()

        def leave() -> None:
            if task is not None:
                loop.call_soon_threadsafe(task.cancel)

        signals.instead(leave)
        columns = (TextColumn("Results and dead letters"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self._console, disable=not self._console.is_terminal) as progress:
            bar = progress.add_task("", total=None)
            return await Demo(
                self._installation,
                samples,
                lambda done, whole: progress.update(bar, completed=done, total=whole),
            ).run()

    def _tell(self, event: Notice) -> None:
        self._say(f"{event.service}: {event.text}")

    def _say(self, line: str) -> None:
        self._console.print(Text(line), soft_wrap=True)


def _names(installation: Installation) -> str:
    return ", ".join((*installation.servers, *installation.processes))


def _check_writable(file: Path | None) -> None:
    """Find out before the work, not after it.

    Raises:
        UserError: the file cannot be written.
    """
    if file is not None and not os.access(file if file.exists() else file.absolute().parent, os.W_OK):
        raise UserError(f"{file} cannot be written: choose another file for --json")
