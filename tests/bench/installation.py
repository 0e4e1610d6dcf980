"""What an installation takes: cold start of `sprat up` to the first Result, memory and idle CPU of every process."""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError

from sprat_contracts import Topics
from sprat_local.processes.ports import is_free
from sprat_operations.services import SERVICES

BOOTSTRAP = "127.0.0.1:9092"
PROGRAMS = (
    *(spec.module for spec in SERVICES),
    "redis-server",
    "kafka.Kafka",
)
IDLE_S = 20.0
TASKS = {"intent": {}, "ner": {}, "translation": {"target": "de"}}
TEXT = json.dumps({"text": "please move 100 euros to my savings", "tasks": TASKS}).encode()


async def first_result_s(began: float) -> float:
    """Publish one text as soon as a broker answers and return the seconds until its Result is on its topic."""
    topics = Topics()
    while True:
        consumer = AIOKafkaConsumer(
            topics.results("intent"),
            bootstrap_servers=BOOTSTRAP,
            auto_offset_reset="earliest",
            request_timeout_ms=2000,
            isolation_level="read_committed",
        )
        producer = AIOKafkaProducer(bootstrap_servers=BOOTSTRAP)
        try:
            await consumer.start()
            await producer.start()
            break
        except KafkaError:
            await asyncio.sleep(0.05)
        finally:
            if time.monotonic() - began > 120:
                raise TimeoutError("no broker")
    try:
        # A text that comes before the intent service owns texts is escalated, and its tenant lets nothing leave: the
        # Result says so. The first *answer* counts.
        while True:
            await producer.send_and_wait(topics.texts, TEXT)
            found = await consumer.getmany(timeout_ms=50)
            if any(json.loads(r.value)["status"] == "answered" for records in found.values() for r in records):
                return time.monotonic() - began
    finally:
        await producer.stop()
        await consumer.stop()


def processes_below(pid: int) -> dict[str, psutil.Process]:
    """Return the services and servers that `sprat up` runs, by name."""
    found: dict[str, psutil.Process] = {}
    for child in psutil.Process(pid).children(recursive=True):
        command = " ".join(child.cmdline())
        for name in PROGRAMS:
            if name in command:
                found[name.removeprefix("sprat_")] = child
    return found


def cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def run_once(*, idle: bool) -> dict[str, Any]:
    began = time.monotonic()
    up = subprocess.Popen(
        [sys.executable, "-m", "sprat_cli", "up"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        figures: dict[str, Any] = {"first_result_s": asyncio.run(first_result_s(began))}
        if idle:
            time.sleep(3)
            processes = processes_below(up.pid)
            before = {name: cpu_s(process) for name, process in processes.items()}
            time.sleep(IDLE_S)
            figures["idle_share_of_a_core"] = {
                name: round((cpu_s(process) - before[name]) / IDLE_S, 4) for name, process in processes.items()
            }
            figures["rss_mb"] = {name: round(p.memory_info().rss / 1e6) for name, p in processes.items()}
    finally:
        stopping = time.monotonic()
        up.terminate()
        up.wait(30)
    figures["stop_s"] = time.monotonic() - stopping
    return figures


def measure(rounds: int) -> dict[str, Any]:
    """Measure cold starts, and memory and idle CPU once."""
    if not is_free(9092):
        raise SystemExit("port 9092 is taken: stop what runs there first")
    runs = [run_once(idle=number == 0) for number in range(rounds)]
    starts = [run["first_result_s"] for run in runs]
    print(
        f"cold start of sprat up to the first answer: median {statistics.median(starts):.1f} s of {rounds}", flush=True
    )
    for name in runs[0]["rss_mb"]:
        idle = runs[0]["idle_share_of_a_core"][name]
        print(f"  {name:12} RSS {runs[0]['rss_mb'][name]:4} MB, idle {idle:.1%} of a core", flush=True)
    return runs[0] | {
        "rounds": rounds,
        "first_result_s": statistics.median(starts),
        "stop_s": max(run["stop_s"] for run in runs),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    figures = measure(arguments.rounds)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
