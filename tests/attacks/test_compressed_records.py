"""Twenty records of each codec that unpack to 200 MB: everything goes on, in bounded memory, with its data intact."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from aiokafka.errors import UnknownError
from confluent_kafka import Producer

from sprat_contracts import DeadLetterReason
from sprat_local.installation.lifecycle import Installation
from sprat_local.installation.options import Options
from support.compressed import CODECS, bomb, forged_snappy
from support.stream import eventually, publish, read_all, send_batches

RECORDS = 20
MIB = 1024 * 1024
BROKER_MIB = 450
"""A heap of 256 MiB and the rest of a JVM; without records it has 170."""
GROWTH_MIB = 160
"""Of a service, by what it reads of one batch and of one poll."""
TEXT = json.dumps({"text": "what is my balance", "tasks": {"intent": {}}, "language": "en"}).encode()


def peak_mib(pid: int) -> int:
    """Return the most memory that a process has had."""
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) // 1024


async def answered(installation: Installation, texts: int) -> None:
    """Wait until so many texts have an answer."""

    async def counted() -> bool:
        records = await read_all(installation.bootstrap, installation.topics.results("intent"))
        results = [json.loads(record.value) for record in records]
        return len({(each["origin"]["partition"], each["origin"]["offset"]) for each in results}) == texts

    await eventually(counted, 60)


@pytest.mark.timeout(600)
async def test_a_flood_of_them_stops_nothing_and_loses_nothing(tmp_path: Path) -> None:
    options = Options(data=tmp_path / "data", services=("router", "intent"), partitions=1, ready_timeout_s=180)
    installation = Installation(options)
    await asyncio.to_thread(installation.start)
    try:
        topics, bootstrap = installation.topics, installation.bootstrap
        await publish(bootstrap, topics.texts, [TEXT] * 10)
        await answered(installation, 10)
        pids = {server.pid for server in installation.servers.values()} | {
            process.pid for process in installation.processes.values()
        }
        before = {name: peak_mib(process.pid) for name, process in installation.processes.items()}

        for codec in ("gzip", "snappy", "lz4", "zstd"):  # as a producer of the real world sends it
            producer = Producer(
                {"bootstrap.servers": bootstrap, "compression.type": codec, "message.max.bytes": 1_000_000_000}
            )
            producer.produce(topics.texts, b" " * (20_000_000 if codec == "snappy" else 200_000_000))
            assert await asyncio.to_thread(producer.flush, 60) == 0
        for codec in CODECS:
            one = await asyncio.to_thread(bomb, codec)
            await send_batches(bootstrap, topics.texts, [one] * (RECORDS - 1))
        for size in (100_000_000, 2**31 - 1):
            with pytest.raises(UnknownError):
                await send_batches(bootstrap, topics.texts, [forged_snappy(size)])
        await publish(bootstrap, topics.texts, [TEXT] * 10)
        await answered(installation, 20)

        async def letters() -> list[DeadLetterReason]:
            found = await read_all(bootstrap, topics.dead_letters)
            assert all(len(record.value) == 0 for record in found)
            return [DeadLetterReason.from_headers(record.headers) for record in found]

        expected = RECORDS * len(CODECS)

        async def all_there() -> bool:
            return len(await letters()) >= expected

        await eventually(all_there, 60)
        reasons = await letters()
        assert len(reasons) == len({(each.partition, each.offset) for each in reasons}) == expected
        assert {each.code for each in reasons} == {"too_large"}

        assert {server.pid for server in installation.servers.values()} | {
            process.pid for process in installation.processes.values()
        } == pids, "nothing was restarted"
        assert peak_mib(installation.servers["kafka"].pid) < BROKER_MIB
        grown = {name: peak_mib(process.pid) - before[name] for name, process in installation.processes.items()}
        assert max(grown.values()) < GROWTH_MIB, grown

        for command in ("dlq count --since 1h", "trace no-such-text", "audit --since 1h"):
            assert await asyncio.to_thread(peak_of_command, installation, command) < 400, command
        await asyncio.to_thread(installation.stop)
        await asyncio.to_thread(installation.start)
        assert len(await read_all(installation.bootstrap, topics.results("intent"))) == 20, "the data is intact"
        await publish(installation.bootstrap, topics.texts, [TEXT])
        await answered(installation, 21)
    finally:
        await asyncio.to_thread(installation.stop)


def peak_of_command(installation: Installation, command: str) -> int:
    """Run a command against the installation and return its most memory, MiB."""
    argv = [sys.executable, "-m", "sprat_cli", *command.split(), "--bootstrap", installation.bootstrap]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        peak, watched = 0, psutil.Process(process.pid)
        while process.poll() is None:
            try:
                peak = max(peak, watched.memory_info().rss // MIB)
            except psutil.NoSuchProcess:
                break
        _, errors = process.communicate(timeout=60)
    assert process.returncode in {0, 1}, f"{command}: {errors}"  # 1: nothing was found
    assert "Traceback" not in errors
    return peak
