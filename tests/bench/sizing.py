"""What a service needs per text, for planning: CPU, memory, bytes in Kafka and in Redis. `make bench-sizing`.

Texts are published as a backlog to a whole installation on this machine, one kind after the other: those of each task,
and intents in a language that the small model declines, so that the simulated frontier answers. CPU is that of the
processes from the first publication to the last Result, memory the peak of each process over all of it. Each text is
different (the demo's English ones, numbered), so no cache answers. Saves docs/figures/sizing.json, and fills
docs/deploy/sizing.md.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import redis
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from sprat_local.bench.resources import OURS, meter_of
from sprat_local.bench.texts import load_texts
from sprat_local.installation.lifecycle import Installation
from sprat_local.installation.options import Options, Simulation
from tests.bench.benchmarks_page import save
from tests.bench.machine import machine_facts

POLICY: Final = """\
# Every answer of a small model is kept; what it declines, such as a translation that is a guess, may leave.
tasks:
  intent: {keep_at: 0, out_of_scope: keep}
  ner: {keep_at: 0}
  translation: {keep_at: 0}
tenants:
  sizing: {frontier: allow, regions: [local]}
"""
DECLINED: Final = "sv"
"""A language that no shipped model of intents serves."""
_WAIT_S: Final = 300
_SETTLE_S: Final = 3.0
"""After the last Result: until offsets are committed and Redis has all that was cached."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Texts that take the same way."""

    name: str
    task: str
    service: str
    """The service whose speed is measured."""
    count: int
    language: str | None = None


KINDS: Final = (
    Kind("intent", "intent", "intent", 4000),
    Kind("ner", "ner", "ner", 4000),
    Kind("translation", "translation", "translation", 800),
    Kind("intent, escalated", "intent", "frontier", 1500, DECLINED),
)


def values(kind: Kind) -> Iterator[tuple[str, bytes]]:
    """Yield the texts of a kind and their records."""
    texts = [text for text in load_texts(kind.task) if text.language == "en"]
    for number in range(kind.count):
        text = texts[number % len(texts)]
        options = {} if text.target is None else {"target": text.target}
        # The number goes to the end, where it changes neither language nor sense.
        words = f"{text.text} ({number + 1})"
        yield (
            words,
            json.dumps(
                {
                    "text": words,
                    "language": kind.language or text.language,
                    "tasks": {kind.task: options},
                    "tenant": "sizing",
                    "frontier": "allow",
                    "deadline_ms": 600_000,
                }
            ).encode(),
        )


async def run(installation: Installation, kind: Kind) -> dict[str, Any]:
    """Publish the texts of a kind, wait for their Results, and return what that took."""
    meter, topics = meter_of(installation), installation.topics
    client = redis.Redis.from_url(installation.redis_url)
    log = installation.folder / "kafka/log"
    await asyncio.sleep(_SETTLE_S)
    sizes, cached, began_cpu, others = log_sizes(log), cache(client), meter.cpu_s(), meter.others_s()
    consumer = AIOKafkaConsumer(
        topics.results(kind.task), bootstrap_servers=installation.bootstrap, isolation_level="read_committed"
    )
    producer = AIOKafkaProducer(bootstrap_servers=installation.bootstrap)
    await consumer.start()
    await producer.start()
    ends: Counter[str] = Counter()
    lengths = []
    began = time.monotonic()
    try:
        await consumer.seek_to_end()
        for partition in consumer.assignment():
            await consumer.position(partition)
        for number, (text, value) in enumerate(values(kind)):
            lengths.append(len(text))
            await producer.send(topics.texts, value, key=str(number).encode())
        await producer.flush()
        async with asyncio.timeout(_WAIT_S):
            while ends.total() < kind.count:
                for found in (await consumer.getmany(timeout_ms=500)).values():
                    for record in found:
                        result = json.loads(record.value)
                        ends[result["source"]] += 1
    finally:
        await producer.stop()
        await consumer.stop()
    seconds = time.monotonic() - began
    cpu = {name: (spent - began_cpu[name]) for name, spent in meter.cpu_s().items()}
    busy = (meter.others_s() - others) / seconds
    await asyncio.sleep(_SETTLE_S)
    grown = {name: size - sizes.get(name, 0) for name, size in log_sizes(log).items()}
    after = cache(client)
    return {
        "kind": kind.name,
        "service": kind.service,
        "texts": kind.count,
        "characters": round(statistics.mean(lengths)),
        "seconds": round(seconds, 2),
        "ends": ends,
        "cpu_s_per_1000": {name: round(1000 * spent / kind.count, 3) for name, spent in cpu.items() if name != OURS},
        "bytes_per_text": {
            name: round(size / kind.count) for name, size in grown.items() if name.startswith(topics.prefix)
        },
        "redis": {"keys": after[0] - cached[0], "bytes": after[1] - cached[1]},
        "others_cores": round(busy, 2),
    }


def log_sizes(log: Path) -> dict[str, int]:
    """Return topic → bytes of the records in the broker's log."""
    sizes: dict[str, int] = {}
    for segment in log.glob("*/*.log"):
        topic = segment.parent.name.rpartition("-")[0]
        sizes[topic] = sizes.get(topic, 0) + segment.stat().st_size
    return sizes


def cache(client: redis.Redis) -> tuple[int, int]:
    """Return the number of keys and the bytes of memory of Redis."""
    return int(client.dbsize()), int(client.info("memory")["used_memory_dataset"])


def measure() -> dict[str, Any]:
    """Measure every kind on one installation."""
    machine = machine_facts("intent")
    with tempfile.TemporaryDirectory() as name:
        policy = Path(name) / "policy.yaml"
        policy.write_text(POLICY, "utf-8")
        options = Options(
            policy=policy,
            simulation=Simulation(latency_ms=150, jitter_ms=150, invent=True),
            # All escalated texts come at once: none is to be declined for those that wait.
            environment={"SPRAT_LOG_LEVEL": "warning", "SPRAT_FRONTIER__MAX_WAITING": "2000"},
            restart=False,
        )
        with Installation(options) as installation:
            rows = []
            for kind in KINDS:
                rows.append(asyncio.run(run(installation, kind)))
                _print(rows[-1])
            memory = {name: round(peak) for name, peak in meter_of(installation).peak_mb().items()}
            days = {
                topic.name: topic.retention_ms / 86_400_000
                for topic in installation.topics.table()
                if topic.retention_ms
            }
    return {"machine": machine, "rows": rows, "memory_peak_mb": memory, "retention_days": days}


def _print(row: Mapping[str, Any]) -> None:
    cpu = row["cpu_s_per_1000"][row["service"]]
    print(
        f"{row['kind']}: {row['texts']} texts in {row['seconds']} s, {row['service']} {cpu} s of CPU per 1,000; "
        f"ends {row['ends']}; others used {row['others_cores']} cores",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures there, and leave the page as it is")
    arguments = parser.parse_args()
    figures = measure()
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1), "utf-8")
    else:
        save("sizing", figures)


if __name__ == "__main__":
    main()
