"""What two hops over Kafka cost at least, and what Sprat adds to them. `make bench-floor`.

    python -m tests.bench.floor --data DIR [--rates 30,60,150] [--seconds 15] [--rounds 3] [--json FILE]

The floor: two processes of 20 lines (`bare_hop.py`) that hand JSON on with idempotent producers, acknowledgements of
all replicas and commits. Both ways run in turns at the same rates, on the same broker and cores, with the same texts
and an open load; the time in the model is what the service notes in its Predictions. A backlog of all texts shows the
CPU of full batches, and the model alone that of its part. Saves docs/figures/floor.json.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from sprat.kafka.clients import make_consumer
from sprat_local.bench.measure import WARM_UP, Bench
from sprat_local.bench.open_loop import LatencyQuantiles, poisson_arrivals, publish_on_time
from sprat_local.bench.options import bench_options
from sprat_local.bench.resources import ProcessMeter, meter_of
from sprat_local.bench.texts import BenchMessages, BenchText
from sprat_local.installation.lifecycle import Installation
from tests.bench.arguments import write_json
from tests.bench.bare_model import BareModel
from tests.bench.benchmarks_page import save
from tests.bench.latency import predictions
from tests.bench.machine import machine_facts
from tests.bench.stream_cost import TASK, clinc150_texts

HOPS: Final = ("first hop", "second hop")
WITHIN_S: Final = 30.0
P50_MORE_MS: Final = 8.0
"""The aim: p50 at most the floor, the time in the model, and this; p99 at most three times that."""


class BarePath:
    """The topics of the bare path, and the client at its ends."""

    def __init__(self, installation: Installation) -> None:
        self._bootstrap = installation.bootstrap
        self.topics = tuple(f"{installation.topics.prefix}-bare.{number}" for number in range(3))
        self._partitions = installation.topics.partitions

    @contextmanager
    def hops(self) -> Iterator[dict[str, int]]:
        """Run both processes; give the process id by name."""
        running = {
            name: subprocess.Popen([sys.executable, "-m", "tests.bench.bare_hop", self._bootstrap, *between])
            for name, between in zip(HOPS, (self.topics[:2], self.topics[1:]), strict=True)
        }
        try:
            yield {name: process.pid for name, process in running.items()}
        finally:
            for process in running.values():
                process.kill()
                process.wait()

    async def create(self) -> None:
        """Create the topics, as Sprat's are."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap)
        await admin.start()
        try:
            configs = {"message.timestamp.type": "LogAppendTime"}
            await admin.create_topics(
                [NewTopic(name, self._partitions, 1, topic_configs=configs) for name in self.topics]
            )
        finally:
            await admin.close()

    async def backlog_cpu_s(self, values: Sequence[bytes], hops: ProcessMeter) -> dict[str, float]:
        """Publish all values at once; return the CPU seconds of each process until all have arrived."""
        before = hops.cpu_s()
        await self.send(values, [0.0] * len(values))
        return {name: used - before[name] for name, used in hops.cpu_s().items() if name in HOPS}

    async def send(self, values: Sequence[bytes], due: Sequence[float]) -> list[float]:
        """Publish each value when it is due; return the milliseconds until each arrives.

        Raises:
            SystemExit: one has not arrived in time.
        """
        arrived: dict[bytes, float] = {}
        producer = AIOKafkaProducer(bootstrap_servers=self._bootstrap, acks="all")
        consumer = make_consumer({"bootstrap_servers": self._bootstrap}, group_id=None)
        async with producer, consumer:
            places = [TopicPartition(self.topics[2], each) for each in range(self._partitions)]
            consumer.assign(places)
            await consumer.seek_to_end(*places)

            async def publish(place: int) -> None:
                await producer.send(self.topics[0], values[place], str(place).encode())

            async def read() -> None:
                while len(arrived) < len(due):
                    batches = await consumer.getmany(timeout_ms=100)
                    now = time.monotonic()
                    arrived.update((each.key, now) for batch in batches.values() for each in batch)

            reading = asyncio.create_task(read())
            scheduled = await publish_on_time(due, publish)
            try:
                await asyncio.wait_for(reading, WITHIN_S)
            except TimeoutError:
                raise SystemExit("a record of the bare path did not arrive") from None
        return [1000 * (arrived[str(place).encode()] - at) for place, at in enumerate(scheduled)]


def middle_of(costs: Sequence[dict[str, float]]) -> dict[str, float]:
    """Return the median of each name's values."""
    return {name: median(each[name] for each in costs) for name in costs[0]}


def measure(texts: Sequence[str], rates: Sequence[float], seconds: float, rounds: int) -> dict[str, Any]:
    """Measure both ways with full batches and at each rate, in turns; the last rate is half of the saturation."""
    machine = machine_facts(TASK)
    asked = [BenchText(text, "en", None) for text in texts]
    model = BareModel(TASK, asked, {})
    alone = median(model.run(count=len(asked)).cpu_s_per_1000 for _ in range(rounds))
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        installation = stack.enter_context(Installation(bench_options(TASK, Path(folder))))
        bare = BarePath(installation)
        asyncio.run(bare.create())
        hops = ProcessMeter(stack.enter_context(bare.hops()))
        sprat = meter_of(installation)
        backlog = asyncio.run(_backlogs(installation, bare, hops, sprat, asked, rounds))
        backlog["cpu_ms_per_text"]["model"] = alone
        half = backlog["texts_per_s"] / 2
        loads = asyncio.run(_all(installation, bare, hops, sprat, asked, (*rates, half), seconds, rounds))
    return {"machine": machine, "backlog": backlog, "seconds": seconds, "rounds": rounds, "loads": loads}


async def _backlogs(
    installation: Installation,
    bare: BarePath,
    hops: ProcessMeter,
    sprat: ProcessMeter,
    asked: Sequence[BenchText],
    rounds: int,
) -> dict[str, Any]:
    """Return how fast Sprat ends a backlog, and the CPU of each process of both ways."""
    messages, texts = BenchMessages(asked, TASK, installation.models[TASK]), len(asked)
    values = [each.value for each in messages.records(range(texts))]
    costs: list[dict[str, float]] = []
    rates = []
    async with Bench(installation, TASK, messages) as bench:
        for _ in range(rounds):
            floor = await bare.backlog_cpu_s(values, hops)
            load = await bench.measure_backlog(texts, sprat)
            rates.append(load.texts_per_s)
            costs.append({name: 1000 * used / texts for name, used in (floor | load.cpu_s).items()})
    figures = {"texts": texts, "texts_per_s": median(rates), "cpu_ms_per_text": middle_of(costs)}
    print(f"backlog {figures}", flush=True)
    return figures


async def _all(
    installation: Installation,
    bare: BarePath,
    hops: ProcessMeter,
    sprat: ProcessMeter,
    asked: Sequence[BenchText],
    rates: Sequence[float],
    seconds: float,
    rounds: int,
) -> list[dict[str, Any]]:
    messages = BenchMessages(asked, TASK, installation.models[TASK])
    loads = []
    async with Bench(installation, TASK, messages) as bench:
        await bench.send([0.0] * WARM_UP)
        await bare.send([each.value for each in messages.records(range(WARM_UP))], [0.0] * WARM_UP)
        for rate in rates:
            turns: list[dict[str, Any]] = []
            for number in range(rounds):
                due = poisson_arrivals(rate, seconds, seed=number)
                values = [each.value for each in messages.records(range(len(due)))]
                before = hops.cpu_s()
                floor = LatencyQuantiles.of(await bare.send(values, due))
                floor_cpu = _per_text(before, hops.cpu_s(), len(due))
                before = sprat.cpu_s()
                load = await bench.send(due)
                cpu = _per_text(before, sprat.cpu_s(), len(due))
                found = await predictions(installation, messages)
                model = [found[each.record.number].timings_ms.get("model", 0.0) for each in load.sent]
                turns.append(
                    {
                        "floor_ms": {"p50": floor.p50, "p99": floor.p99},
                        "sprat_ms": {"p50": 1000 * load.latency.p50, "p99": 1000 * load.latency.p99},
                        "model_ms": median(model),
                        "cpu_ms_per_text": floor_cpu | cpu,
                    }
                )
            loads.append(load_of(rate, round(rate * seconds), turns))
    return loads


def _per_text(before: dict[str, float], after: dict[str, float], texts: int) -> dict[str, float]:
    return {name: 1000 * (used - before[name]) / texts for name, used in after.items()}


def load_of(rate: float, texts: int, turns: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the medians of the rounds, and the aim that they imply."""
    floor, sprat = (middle_of([turn[way] for turn in turns]) for way in ("floor_ms", "sprat_ms"))
    model = median(turn["model_ms"] for turn in turns)
    aim = floor["p50"] + model + P50_MORE_MS
    cpu = middle_of([turn["cpu_ms_per_text"] for turn in turns])
    print(
        f"{rate:6.0f}/s ({texts} texts, {len(turns)} rounds): floor {floor['p50']:.1f} / {floor['p99']:.1f} ms, model "
        f"{model:.1f}, Sprat {sprat['p50']:.1f} / {sprat['p99']:.1f} (aim {aim:.1f} / {3 * aim:.1f})\n"
        "         CPU ms a text: " + ", ".join(f"{name} {used:.2f}" for name, used in cpu.items()),
        flush=True,
    )
    return {
        "per_s": rate,
        "texts": texts,
        "floor_ms": floor,
        "model_ms": model,
        "sprat_ms": sprat,
        "aim_ms": {"p50": aim, "p99": 3 * aim},
        "cpu_ms_per_text": cpu,
        "turns": list(turns),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("SPRAT_DATA"), help="folder of evaluation data")
    parser.add_argument("--rates", default="30,60,150", help="texts per second; half of the saturation comes last")
    parser.add_argument("--seconds", type=float, default=15.0, help="of each rate, way and round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the figures there, and leave the page as it is")
    options = parser.parse_args()
    if options.data is None:
        print("SPRAT_DATA names no folder of evaluation data: make bench-floor SPRAT_DATA=FOLDER", file=sys.stderr)
        return 2
    rates = [float(each) for each in options.rates.split(",")]
    figures = measure(clinc150_texts(options.data), rates, options.seconds, options.rounds)
    if options.json:
        write_json(options.json, figures)
    else:
        save("floor", figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
