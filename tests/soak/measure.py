"""What is written down of a running installation: memory and file handles, disk, counters, and what waits."""

import asyncio
import json
import threading
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import psutil
from aiokafka.errors import KafkaError
from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from sprat.kafka.lag import LagMeter
from sprat_local.installation.lifecycle import Installation

_EVERY_S: Final = 5.0
_ANSWER_S: Final = 5.0
_QUIET: Final = 3
"""How often in a row nothing may wait, until nothing does: a record may be between two groups."""


class Samples(threading.Thread):
    """Writes memory and file handles of all processes, and what the brokers' data take, every few seconds."""

    def __init__(self, installation: Installation, file: Path, acknowledged: Callable[[], int]) -> None:
        super().__init__(name="soak-samples", daemon=True)
        self._installation = installation
        self._file = file
        self._acknowledged = acknowledged
        self._over = threading.Event()

    def end(self) -> None:
        """Stop."""
        self._over.set()
        self.join()

    def run(self) -> None:
        """Write until `end` is called."""
        with self._file.open("a", encoding="utf-8", buffering=1) as lines:
            while not self._over.is_set():
                for line in self._looked():
                    lines.write(json.dumps(line) + "\n")
                self._over.wait(_EVERY_S)

    def _looked(self) -> list[dict[str, Any]]:
        at = round(time.time(), 1)
        found: list[dict[str, Any]] = []
        for name, each in [*self._installation.processes.items(), *self._installation.servers.items()]:
            if (pid := each.pid) is None:
                continue
            try:
                process = psutil.Process(pid)
                rss, fds = process.memory_info().rss, process.num_fds()
            except psutil.Error:  # it has ended meanwhile
                continue
            found.append({"at": at, "process": name, "pid": pid, "rss": rss, "fds": fds})
        found.append({"at": at, "disk": _bytes_in(self._installation.folder), "texts": self._acknowledged()})
        return found


def _bytes_in(folder: Path) -> int:
    """Return what the files of a folder take on the disk: a log's index is long and empty."""
    total = 0
    for file in folder.rglob("*"):
        try:
            total += file.lstat().st_blocks * 512
        except OSError:  # it has been removed meanwhile
            continue
    return total


class Ends:
    """How many records stand on some topics."""

    def __init__(self, bootstrap: str, topics: list[str], partitions: int) -> None:
        self._client = {"bootstrap.servers": bootstrap, "log_level": 0}
        self._ends = {TopicPartition(topic, number): 0 for topic in topics for number in range(partitions)}

    def look(self) -> int:
        """Return how many there are now; of a partition whose leader does not answer, how many there were.

        Each look has a client of its own: librdkafka asks the leader that it knows for a quarter of an hour, also when
        another broker leads.
        """
        wanted = dict.fromkeys(self._ends, OffsetSpec.latest())
        admin = AdminClient(self._client)  # without a name of its own, it would be gone before it answers
        for place, answer in admin.list_offsets(wanted, request_timeout=_ANSWER_S).items():
            with suppress(KafkaException):
                self._ends[place] = max(self._ends[place], answer.result().offset)  # negative: it has no leader
        return sum(self._ends.values())


def waits(installation: Installation) -> int:
    """Return how many records wait for a group of the installation.

    Raises:
        KafkaError: a broker does not answer.
    """

    async def measured() -> int:
        async with LagMeter(installation.kafka.client(), installation.topics) as meter:
            return sum(group.lag for group in (await meter.measure()).groups.values())

    return asyncio.run(measured())


def settle(installation: Installation, within_s: float, tell: Callable[[str], None]) -> int | None:
    """Wait until nothing waits; return what still does, or None where that is not known."""
    deadline, quiet, left = time.monotonic() + within_s, 0, None
    while quiet < _QUIET and time.monotonic() < deadline:
        try:
            left = waits(installation)
        except (KafkaError, OSError):
            left = None
        quiet = quiet + 1 if left == 0 else 0
        if left != 0:
            tell(f"settling: {'unknown' if left is None else left} records wait")
        time.sleep(1 if left == 0 else 3)
    return left


def save_metrics(installation: Installation, folder: Path) -> None:
    """Write the metrics of each service, as Prometheus would read them."""
    folder.mkdir()
    for name, process in installation.processes.items():
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{process.port}/metrics", timeout=_ANSWER_S) as answer:
                (folder / f"{name}.prom").write_bytes(answer.read())
        except OSError:  # the simulator has none
            continue
