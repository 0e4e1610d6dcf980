"""Brokers of three that are lost while traffic is on: what was acknowledged is answered once."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from sprat_local.installation.lifecycle import Installation
from sprat_local.installation.options import Options
from sprat_local.processes.notices import Notice
from support.copies import in_sync, leader
from support.stream import eventually
from support.traffic import PAIRS, every_pair_ended, record, some_ended, submit

pytestmark = pytest.mark.timeout(300)
NODES = ("kafka#1", "kafka#2", "kafka#3")
INTENT = ("intent.default",)
OUTAGE_S = 20
SMALL_MIB = 256
"""Of the disk that is filled: Kafka's indexes take 20 MiB a partition, written or not."""


def event(run: str, number: int) -> tuple[bytes, list[tuple[str, bytes]]]:
    value = {"text": f"please move {number} euros to my savings", "tasks": {"intent": {}}, "deadline_ms": 240_000}
    return record(PAIRS, f"{run}-{number}", value)


class Three:
    """An installation on three brokers, what it reports, and traffic for it."""

    def __init__(self, data: Path | None = None) -> None:
        self.notices: list[Notice] = []
        options = Options(brokers=3, data=data, services=("simulator", "router", "intent", "frontier"))
        self.installation = Installation(options, on_notice=self.notices.append)
        self.pids: dict[str, int | None] = {}

    @property
    def everything(self) -> list[str]:
        """The topics that texts and Results pass through."""
        topics = self.installation.topics
        return [topics.texts, topics.predictions("intent"), topics.results("intent")]

    def sending(self, run: str, count: int, over_s: float) -> "asyncio.Task[None]":
        installation = self.installation
        self.pids = {name: process.pid for name, process in installation.processes.items()}
        return asyncio.create_task(
            submit(installation.bootstrap, installation.topics, partial(event, run), count, over_s)
        )

    async def all_ended(self, run: str, count: int) -> None:
        """Check each pair of a run, and that no service died."""
        await every_pair_ended(self.installation, run, count, INTENT)
        assert {name: process.pid for name, process in self.installation.processes.items()} == self.pids

    def told(self, service: str, text: str) -> int:
        return sum(notice.service == service and text in notice.text for notice in self.notices)

    @contextmanager
    def stopped(self, *services: str) -> Iterator[None]:
        """Stop services, and let them go on."""
        pids = [pid for name in services if (pid := self.pids[name]) is not None]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    async def back(self) -> None:
        await in_sync(self.installation.bootstrap, self.everything, 3)


@pytest.fixture(scope="module")
def three() -> Iterator[Three]:
    three = Three()
    with three.installation:
        yield three


async def test_the_leader_killed_twice_under_2000_texts_loses_nothing(three: Three) -> None:
    installation = three.installation
    for run in ("first", "second"):
        await three.back()
        sending = three.sending(run, 1_000, over_s=10)
        await some_ended(installation, run)
        led = f"kafka#{await leader(installation.bootstrap, installation.topics.texts)}"
        restarts = installation.servers[led].restarts
        installation.servers[led].kill()
        await sending
        await three.all_ended(run, 1_000)
        await eventually(lambda led=led, restarts=restarts: installation.servers[led].restarts > restarts)


async def test_with_two_brokers_away_nothing_is_acknowledged_and_nothing_lost(three: Three) -> None:
    installation = three.installation
    await three.back()
    sending = three.sending("two", 600, over_s=6)
    await some_ended(installation, "two")
    with three.stopped("router", "intent"):  # so that they have something to write when the brokers are away
        await asyncio.sleep(1)
        for name in NODES[1:]:
            await asyncio.to_thread(installation.crash_server, name)
    late = three.sending("late", 50, over_s=0.1)
    await eventually(lambda: sum(three.told(name, "not acknowledged") for name in ("router", "intent")), 120)
    await asyncio.sleep(OUTAGE_S)
    assert not late.done()
    assert not sending.done()
    await asyncio.gather(*(asyncio.to_thread(installation.start_server, name) for name in NODES[1:]))
    await sending
    await late
    await three.all_ended("two", 600)
    await three.all_ended("late", 50)


async def test_all_three_restarted_one_after_the_other_lose_nothing(three: Three) -> None:
    installation = three.installation
    await three.back()
    sending = three.sending("rolling", 1_500, over_s=25)
    await some_ended(installation, "rolling")
    for name in NODES:
        server = installation.servers[name]
        restarts = server.restarts
        server.kill(signal.SIGTERM)
        await eventually(lambda server=server, restarts=restarts: server.restarts > restarts)
        await three.back()
    await sending
    await three.all_ended("rolling", 1_500)


async def test_all_three_killed_at_once_come_back_by_themselves(three: Three) -> None:
    await three.back()
    sending = three.sending("none", 300, over_s=3)
    await some_ended(three.installation, "none")
    for name in NODES:
        three.installation.servers[name].kill()
    await sending
    await three.back()
    await three.all_ended("none", 300)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return the data folder of an installation whose third broker has a small disk."""
    disk = tmp_path / "data" / "kafka" / "3"
    disk.mkdir(parents=True)
    (tmp_path / "data").chmod(0o700)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_MIB}m,mode=700", "tmpfs", disk]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small file system can be mounted by root alone")
    yield tmp_path / "data"
    subprocess.run(["umount", "-l", disk], check=True)


async def test_a_broker_whose_disk_is_full_is_away_until_there_is_room(small_disk: Path) -> None:
    three = Three(small_disk)
    filler = small_disk / "kafka" / "3" / "filler"
    with three.installation as installation:
        sending = three.sending("full", 1_000, over_s=15)
        await some_ended(installation, "full")
        with filler.open("wb", buffering=0) as file:
            while True:
                try:
                    file.write(bytes(4096))
                except OSError:
                    break
        await eventually(lambda: three.told("kafka#3", "died: "), 60)
        await sending
        await three.all_ended("full", 1_000)
        filler.unlink()
        await eventually(lambda: three.told("kafka#3", "serves again"), 90)
        await three.back()
        assert not three.told("kafka#1", "died: ") + three.told("kafka#2", "died: ")
