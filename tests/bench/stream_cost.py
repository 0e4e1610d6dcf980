"""What the stream costs: CPU of the intent service for 1,000 texts, against the bare model's on the same texts.

Both run in processes of their own, one after the other, several rounds in one run, on a real Kafka and Redis; the ratio
counts, for machines are noisy. All texts differ, so that the cache answers none; it is asked and filled as always.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from sprat.admin.topics import create_topics
from sprat.local.kafka import EmbeddedKafka
from sprat.local.redis import EmbeddedRedis
from sprat.settings import KafkaSettings
from sprat_contracts import Topics

BATCH = 64

_BARE = """
import json, sys, time
from sprat_intent.__main__ import SHIPPED
from sprat_intent.model import IntentModel
from sprat.models.question import Question
model = IntentModel.load(SHIPPED)
questions = [Question(text, "en") for text in json.load(open(sys.argv[1]))]
model.answer(questions[:256])
began = time.process_time()
for start in range(0, len(questions), int(sys.argv[2])):
    model.answer(questions[start : start + int(sys.argv[2])])
print(time.process_time() - began)
"""


def bare_cpu_s(texts: Path) -> float:
    """Give the CPU seconds that the bare model takes for all texts."""
    done = subprocess.run(
        [sys.executable, "-c", _BARE, str(texts), str(BATCH)], check=True, capture_output=True, text=True
    )
    return float(done.stdout)


class Service:
    """The intent service as a process."""

    def __init__(self, kafka: EmbeddedKafka, redis: EmbeddedRedis, prefix: str) -> None:
        environment = os.environ | {
            "SPRAT_KAFKA__BOOTSTRAP": kafka.bootstrap,
            "SPRAT_KAFKA__PREFIX": prefix,
            "SPRAT_REDIS__URL": redis.url,
            "SPRAT_SECRET": "only for the benchmark",
            "SPRAT_HEALTH_PORT": "0",
            "SPRAT_LOG_LEVEL": "warning",
        }
        self._process = subprocess.Popen([sys.executable, "-m", "sprat_intent"], env=environment)
        self.about = psutil.Process(self._process.pid)

    def cpu_s(self) -> float:
        times = self.about.cpu_times()
        return float(times.user + times.system)

    def rss_mb(self) -> float:
        return float(self.about.memory_info().rss / 1e6)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(20)


async def publish(bootstrap: str, topic: str, texts: list[str], rate: float) -> None:
    """Publish all texts, at most `rate` a second."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, linger_ms=5)
    await producer.start()
    began = time.monotonic()
    for number, text in enumerate(texts):
        if rate:
            await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
        value = json.dumps({"text": text, "tasks": {"intent": {}}}).encode()
        await producer.send(topic, value=value, key=str(number).encode())
    await producer.stop()


async def predicted(bootstrap: str, topics: Topics, count: int) -> None:
    """Wait until the predictions topic holds `count` records."""
    consumer = AIOKafkaConsumer(topics.predictions("intent"), bootstrap_servers=bootstrap)
    await consumer.start()
    while sum((await consumer.end_offsets(list(consumer.assignment()))).values()) < count:
        await asyncio.sleep(0.2)
    await consumer.stop()


def measure(texts: list[str], rounds: int, folder: Path, rate: float = 0.0) -> dict[str, Any]:
    """Measure both, round by round."""
    ratios, services, bares = [], [], []
    with EmbeddedKafka() as kafka, EmbeddedRedis() as redis:
        for number in range(rounds):
            fresh = [f"{text} {number}" for text in texts]
            file = folder / "texts.json"
            file.write_text(json.dumps(fresh))
            settings = KafkaSettings(bootstrap=kafka.bootstrap, prefix=f"b{number}")
            asyncio.run(create_topics(settings.client(), settings.topics))
            service = Service(kafka, redis, settings.prefix)
            try:
                asyncio.run(publish(kafka.bootstrap, settings.topics.texts, ["warm up"], 0))
                time.sleep(4)
                asyncio.run(publish(kafka.bootstrap, settings.topics.texts, fresh[:256], 0))
                time.sleep(2)
                before, began = service.cpu_s(), time.monotonic()
                asyncio.run(publish(kafka.bootstrap, settings.topics.texts, fresh, rate))
                asyncio.run(predicted(kafka.bootstrap, settings.topics, len(fresh) + 256))
                wall, used = time.monotonic() - began, service.cpu_s() - before
                rss = service.rss_mb()
                idle = service.cpu_s()
                time.sleep(10)
                idle_share = (service.cpu_s() - idle) / 10
            finally:
                service.stop()
            bare = bare_cpu_s(file)
            services.append(used / len(fresh) * 1000)
            bares.append(bare / len(fresh) * 1000)
            ratios.append(used / bare)
            print(
                f"round {number + 1}: service {services[-1]:.3f} s, bare {bares[-1]:.3f} s per 1,000 texts, "
                f"ratio {ratios[-1]:.3f}; {len(fresh) / wall:.0f} texts/s, RSS {rss:.0f} MB, idle {idle_share:.1%}",
                flush=True,
            )
    return {
        "service_cpu_s_per_1000": statistics.median(services),
        "bare_cpu_s_per_1000": statistics.median(bares),
        "ratio": statistics.median(ratios),
        "rss_mb": rss,
        "idle_share_of_a_core": idle_share,
    }


def clinc150_texts(data: Path) -> list[str]:
    """Give the texts of CLINC150's test set."""
    rows = (data / "intent/clinc150/tsv/test.tsv").read_text().splitlines()
    return [row.split("\t")[0] for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("SPRAT_DATA"), help="folder of evaluation data")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    texts = clinc150_texts(arguments.data)
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(texts, arguments.rounds, Path(folder))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
