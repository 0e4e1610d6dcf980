"""A service that is killed: others get its partitions before its session ends, by who is there to leave for it."""

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from conftest import Kafka
from sprat.kafka.cluster import Cluster, ConsumerGroup
from sprat.kafka.membership import leave_groups, take_members
from sprat_contracts import Topics
from sprat_local.installation.lifecycle import Installation
from sprat_local.installation.options import Options
from support.stream import SECRET, eventually, made_topics, settings_for
from support.system import POLICY

INIT = Path(__file__).parents[2] / "compose" / "init.py"
SESSION_S = 60
"""So long that no test passes because a session has ended."""
SOON_S = 10
START_S = 90
"""How long a service may take to start and join, on a busy machine."""

Start = Callable[..., subprocess.Popen]


@pytest.fixture
async def start(kafka: Kafka, prefix: str, tmp_path: Path) -> AsyncIterator[Start]:
    """Return a way to start a router as a container does; by the name of the container."""
    await made_topics(settings_for(kafka.bootstrap, prefix))
    processes: list[subprocess.Popen] = []

    def started(name: str, **more: str) -> subprocess.Popen:
        environment = os.environ | {
            "SPRAT_KAFKA__BOOTSTRAP": kafka.bootstrap,
            "SPRAT_KAFKA__PREFIX": prefix,
            "SPRAT_KAFKA__PARTITIONS": "2",
            "SPRAT_KAFKA__SESSION_TIMEOUT_MS": str(SESSION_S * 1000),
            "SPRAT_KAFKA__MEMBERSHIP_FILE": str(tmp_path / f"{name}.members"),
            "SPRAT_REDIS__URL": "redis://127.0.0.1:1/0",
            "SPRAT_SECRET": SECRET,
            "SPRAT_HEALTH_PORT": "0",
            "SPRAT_POLICY": str(POLICY),
        }
        with (tmp_path / f"{name}.log").open("a") as log:
            command = [sys.executable, "-I", "-S", str(INIT), "-m", "sprat_router"]
            processes.append(subprocess.Popen(command, env=environment | more, stderr=log))
        return processes[-1]

    yield started
    for process in processes:
        for each in (*children(process), process):
            with suppress(psutil.NoSuchProcess, ProcessLookupError):
                each.kill()
        process.wait()


def children(process: subprocess.Popen) -> list[psutil.Process]:
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


async def group(kafka: Kafka, prefix: str) -> ConsumerGroup:
    async with Cluster({"bootstrap_servers": kafka.bootstrap}) as cluster:
        return await cluster.settled(lambda: cluster.group(prefix, "router", [Topics(prefix, 2).texts]))


async def members(kafka: Kafka, prefix: str, count: int, within_s: float) -> None:
    """Wait until a group has so many members, all of which are assigned."""

    async def stable() -> bool:
        described = await group(kafka, prefix)
        return described.state == "Stable" and len(described.members) == count

    await eventually(stable, within_s)


async def test_who_survives_a_killed_service_leaves_for_it_and_another_instance_goes_on(
    kafka: Kafka, prefix: str, start: Start, tmp_path: Path
) -> None:
    first, _ = start("first"), start("second")
    await members(kafka, prefix, 2, START_S)
    file = tmp_path / "first.members"
    assert file.stat().st_mode & 0o777 == 0o600
    (service,) = children(first)
    service.kill()
    await members(kafka, prefix, 1, SOON_S)

    assert first.wait(SOON_S) == 128 + signal.SIGKILL
    assert f"left {prefix}.router for a process that was killed" in (tmp_path / "first.log").read_text()
    assert not file.exists()


async def test_where_nobody_survives_the_next_process_leaves_before_it_joins(
    kafka: Kafka, prefix: str, start: Start, tmp_path: Path
) -> None:
    first = start("first")
    await members(kafka, prefix, 1, START_S)
    (service,) = children(first)
    first.kill()
    service.kill()
    start("first")
    await eventually(lambda: "for a process that was killed" in (tmp_path / "first.log").read_text(), START_S)
    await members(kafka, prefix, 1, SOON_S)


async def test_a_service_that_stops_leaves_by_itself_and_its_code_is_passed_on(
    kafka: Kafka, prefix: str, start: Start, tmp_path: Path
) -> None:
    process = start("first")
    await members(kafka, prefix, 1, START_S)
    process.terminate()

    assert process.wait(SOON_S) == 0
    assert not (tmp_path / "first.members").exists()
    assert not (await group(kafka, prefix)).members
    assert start("first", SPRAT_POLICY=str(tmp_path / "none.yaml")).wait(START_S) == 2


async def test_a_static_member_keeps_its_partitions_for_its_next_process(
    kafka: Kafka, prefix: str, start: Start, tmp_path: Path
) -> None:
    process = start("first", SPRAT_KAFKA__INSTANCE_ID="one")
    await members(kafka, prefix, 1, START_S)
    (service,) = children(process)
    service.kill()
    process.wait(SOON_S)

    assert not (tmp_path / "first.members").exists()
    assert len((await group(kafka, prefix)).members) == 1


async def test_of_two_processes_with_one_name_the_former_ends_and_says_why(
    kafka: Kafka, prefix: str, start: Start, tmp_path: Path
) -> None:
    """Without that, each takes the partitions from the other, every second or two, and neither says a word."""
    first = start("first", SPRAT_KAFKA__INSTANCE_ID="one")
    await members(kafka, prefix, 1, START_S)
    second = start("second", SPRAT_KAFKA__INSTANCE_ID="one")

    await eventually(lambda: first.poll() is not None, START_S)
    assert first.returncode == 1
    assert "another process has joined its group as one-" in (tmp_path / "first.log").read_text()
    await members(kafka, prefix, 1, SOON_S)
    assert second.poll() is None


async def test_a_member_that_has_left_already_is_no_failure(kafka: Kafka, prefix: str) -> None:
    await leave_groups(settings_for(kafka.bootstrap, prefix).kafka, {f"{prefix}.router": "gone"})


async def test_sprat_up_leaves_for_an_instance_that_was_killed(kafka: Kafka, prefix: str) -> None:
    options = Options(
        bootstrap=kafka.bootstrap,
        prefix=prefix,
        partitions=2,
        services=("router",),
        redis="redis://127.0.0.1:1/0",
        environment={"SPRAT_KAFKA__SESSION_TIMEOUT_MS": str(SESSION_S * 1000)},
        restart=False,
    )
    with Installation(options) as installation:
        installation.start_service("router", instance=2)
        await members(kafka, prefix, 2, START_S)
        installation.kill("router#2")
        await members(kafka, prefix, 1, SOON_S)
        await eventually(lambda: not take_members(installation.logs / "router#2.members"), SOON_S)
