"""The front door beside a Kafka client: how long an answer takes, and what waits and kills do. `make bench-door`.

    python -m tests.bench.door [--seconds 15] [--rounds 3] [--json FILE]

One intent a text, each text a new one, so that no cache answers. The load is open: requests come by the clock, at
shares of what the door answers at most (64 requests at a time). At the same rates, in turns, a Kafka client publishes
the same texts and waits for their Results. Both clients run in this process.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, Final, Self

import psutil
from aiokafka import AIOKafkaProducer, TopicPartition

from sprat.kafka.clients import make_consumer
from sprat_contracts import Envelope, TextSubmitted, Traceparent, encode, ids
from sprat_local.bench.open_loop import LatencyQuantiles, poisson_arrivals, publish_on_time
from sprat_local.bench.options import bench_options
from sprat_local.installation import gateway
from sprat_local.installation.lifecycle import Installation
from sprat_operations.api_keys import add_key
from sprat_operations.services import GATEWAY
from tests.bench.arguments import write_json
from tests.bench.benchmarks_page import ROOT
from tests.bench.machine import machine_facts
from tests.support.http_load import HttpClient, post_until_taken

TASK: Final = "intent"
SHARES: Final = (0.1, 0.5)
WAITS: Final = 2_000
_AT_ONCE: Final = 64
_WAIT_S: Final = 20.0
_QUICK_S: Final = 0.25
_KILLS: Final = 3
_PAGES: Final = 10
_LIMITS: Final = {"SPRAT_GATEWAY__REQUESTS_A_MINUTE": "10000000", "SPRAT_GATEWAY__CONNECTIONS_A_KEY": "10000"}

Ask = Callable[[int], Awaitable[None]]
"""Sends the text of this number and returns when its Result is here."""


class KafkaClient:
    """Publishes a text and waits for its Result, as a program does that has no door."""

    def __init__(self, installation: Installation, texts: "Texts") -> None:
        self.texts = texts
        self._topics = installation.topics
        self._producer: Any = AIOKafkaProducer(**installation.kafka.client(), acks="all", enable_idempotence=True)
        self._consumer = make_consumer(installation.kafka.client(), group_id=None)
        self._waiting: dict[bytes, asyncio.Future[None]] = {}
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._producer.start()
        await self._consumer.start()
        topic = self._topics.results(TASK)
        places = [TopicPartition(topic, number) for number in range(self._topics.partitions)]
        self._consumer.assign(places)
        await self._consumer.seek_to_end(*places)
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._reading is not None:
            self._reading.cancel()
        await self._consumer.stop()
        await self._producer.stop()

    async def ask(self, number: int) -> None:
        id = f"kafka-{number}"
        result = str(ids.derive(ids.RESULT, "/bench", id, TASK)).encode()
        self._waiting[result] = asyncio.get_running_loop().create_future()
        text = TextSubmitted.model_validate(self.texts.body(number))
        value, headers = encode(text, Envelope(id, "/bench", Traceparent.root("/bench", id)))
        await self._producer.send_and_wait(self._topics.texts, value, id.encode(), headers=headers)
        async with asyncio.timeout(_WAIT_S):
            await self._waiting[result]

    async def _read(self) -> None:
        async for each in self._consumer:
            waiting = self._waiting.pop(dict(each.headers)["ce_id"], None)
            if waiting is not None and not waiting.done():
                waiting.set_result(None)


class Texts:
    """Texts that are all different."""

    def __init__(self) -> None:
        lines = (ROOT / "compose/samples/texts.jsonl").read_text("utf-8").splitlines()
        self._texts = [json.loads(line)["text"] for line in lines]
        self._numbers = count()

    def next(self) -> int:
        return next(self._numbers)

    def body(self, number: int, task: str = TASK) -> dict[str, Any]:
        return {"text": f"{self._texts[number % len(self._texts)]} {number}", "tasks": {task: {}}, "language": "en"}


async def at_most(ask: Ask, texts: Texts, seconds: float) -> float:
    """Return how many texts a second are answered where so many are asked at a time."""
    ends = time.monotonic() + seconds
    done = 0

    async def one_after_the_other() -> None:
        nonlocal done
        while time.monotonic() < ends:
            await ask(texts.next())
            done += 1

    began = time.monotonic()
    await asyncio.gather(*(one_after_the_other() for _ in range(_AT_ONCE)))
    return done / (time.monotonic() - began)


async def latencies(ask: Ask, texts: Texts, per_s: float, seconds: float) -> LatencyQuantiles:
    """Return how long answers take at a rate, from the moment when each text was due."""
    ended: list[tuple[int, float]] = []
    tasks: list[asyncio.Task[None]] = []

    async def timed(index: int) -> None:
        await ask(texts.next())
        ended.append((index, time.monotonic()))

    async def publish(index: int) -> None:
        tasks.append(asyncio.create_task(timed(index)))

    due = await publish_on_time(poisson_arrivals(per_s, seconds), publish)
    await asyncio.gather(*tasks)
    return LatencyQuantiles.of([at - due[index] for index, at in ended])


def quantiles(rounds: Sequence[LatencyQuantiles]) -> dict[str, float]:
    """Return the medians of rounds in milliseconds."""
    return {name: 1000 * statistics.median(getattr(each, name) for each in rounds) for name in ("p50", "p99")}


class Measured:
    """An installation with a door, and clients of it."""

    def __init__(self, installation: Installation, key: str, client: HttpClient, kafka: KafkaClient) -> None:
        self.installation = installation
        self.key = key
        self.client = client
        self.kafka = kafka
        self.texts = kafka.texts

    async def by_http(self, number: int) -> None:
        reply = await self.client.post(self.texts.body(number), f"http-{number}", _WAIT_S)
        if reply.status != 200:
            raise SystemExit(f"a text got {reply.status}: {reply.body[:300]!r}")

    @property
    def process(self) -> psutil.Process:
        """The door's."""
        return psutil.Process(self.installation.processes[GATEWAY].pid)

    def rss_mb(self) -> float:
        return self.process.memory_info().rss / 1e6

    def cpu_s(self) -> float:
        times = self.process.cpu_times()
        return times.user + times.system

    async def loads(self, seconds: float, rounds: int) -> dict[str, Any]:
        """Return the times at each load, of both clients in turns."""
        most = await at_most(self.by_http, self.texts, seconds)
        most_kafka = await at_most(self.kafka.ask, self.texts, seconds)
        print(f"at most {most:.0f} texts/s by HTTP, {most_kafka:.0f} by Kafka ({_AT_ONCE} at a time)", flush=True)
        found = []
        for share in SHARES:
            http, kafka = [], []
            spent_s = 0.0
            for _ in range(rounds):
                before_s = self.cpu_s()
                http.append(await latencies(self.by_http, self.texts, share * most, seconds))
                spent_s += self.cpu_s() - before_s
                kafka.append(await latencies(self.kafka.ask, self.texts, share * most, seconds))
            load = {"share": share, "per_s": share * most, "texts": round(share * most * seconds) * rounds}
            load |= {"http_ms": quantiles(http), "kafka_ms": quantiles(kafka)}
            load["door_cpu_ms_per_text"] = 1000 * spent_s / load["texts"]
            load["ratio"] = {name: load["http_ms"][name] / load["kafka_ms"][name] for name in ("p50", "p99")}
            print(json.dumps(load), flush=True)
            found.append(load)
        return {"most_per_s": most, "kafka_most_per_s": most_kafka, "loads": found}

    async def pages(self, per_s: float, seconds: float, rounds: int) -> dict[str, Any]:
        """Return the times of answers without and with ten open pages that show each Result, in turns."""
        door = self.installation.gateway
        assert door is not None
        second, _ = add_key(gateway.keys_file(door.folder), door.entry.tenant, door.entry.source)  # 8 streams a key
        keys = [(self.key, second)[number % 2] for number in range(_PAGES)]
        await asyncio.sleep(6)  # the door reads its keys again within 5 s
        without, beside = [], []
        for _ in range(rounds):
            without.append(await latencies(self.by_http, self.texts, per_s, seconds))
            pages = [asyncio.create_task(_show_live(door.port, key)) for key in keys]
            await asyncio.sleep(1)
            beside.append(await latencies(self.by_http, self.texts, per_s, seconds))
            ended = [page for page in pages if page.done()]
            for page in pages:
                page.cancel()
            await asyncio.gather(*pages, return_exceptions=True)
            if ended:
                raise SystemExit(f"{len(ended)} pages ended")
        found = {"without_ms": quantiles(without), "beside_ms": quantiles(beside)}
        ratio = {name: found["beside_ms"][name] / found["without_ms"][name] for name in ("p50", "p99")}
        return {"pages": _PAGES, "per_s": per_s, **found, "ratio": ratio}

    async def waits(self, per_s: float, seconds: float) -> dict[str, Any]:
        """Return what 2,000 open waits cost the others, and what remains when their clients hang up."""
        before_mb = self.rss_mb()
        self.client.hang_up()
        await self._until_open(0)
        async with HttpClient(self.client.port, self.key) as waiting:
            # No service of this installation answers this task.
            asked = [
                asyncio.create_task(waiting.post(self.texts.body(self.texts.next(), "ner"), f"wait-{number}", 30))
                for number in range(WAITS)
            ]
            try:
                await self._until_open(WAITS)
                open_mb = self.rss_mb()
                await self._until_quick()
                beside = await latencies(self.by_http, self.texts, per_s, seconds)
                still = sum(not each.done() for each in asked)
            finally:
                began = time.monotonic()
                waiting.hang_up()
                self.client.hang_up()
                await asyncio.gather(*asked, return_exceptions=True)
            await self._until_open(0)
        return {
            "open": still,
            "rss_mb": {"before": before_mb, "open": open_mb, "after": self.rss_mb()},
            "beside_ms": quantiles([beside]),
            "gone_after_s": time.monotonic() - began,
        }

    async def _until_quick(self) -> None:
        """Wait until the router has taken the texts that wait: what comes after them is answered at once."""
        for _ in range(40):
            began = time.monotonic()
            await self.by_http(self.texts.next())
            if time.monotonic() - began < _QUICK_S:
                return

    async def _until_open(self, connections: int) -> None:
        """Wait until the door has so many connections."""
        port, ends = self.client.port, time.monotonic() + 30

        def opened() -> int:
            held = [each for each in self.process.net_connections("tcp") if each.laddr.port == port and each.raddr]
            return len([each for each in held if each.status == psutil.CONN_ESTABLISHED])

        while (opened() < connections) if connections else (opened() > 0):
            if time.monotonic() > ends:
                raise SystemExit(f"{opened()} connections are open, not {connections}")
            await asyncio.sleep(0.1)

    async def kills(self, per_s: float, seconds: float) -> dict[str, Any]:
        """Return what becomes of texts whose door is killed under load: none that was acknowledged may be lost."""
        attempts: dict[str, int] = {}
        tasks: list[asyncio.Task[None]] = []
        numbers = {}

        async def sent(id: str, number: int) -> None:
            attempts[id] = await post_until_taken(self.client, self.texts.body(number), id)

        async def publish(_: int) -> None:
            number = self.texts.next()
            id = f"kill-{number}"
            numbers[id] = number
            tasks.append(asyncio.create_task(sent(id, number)))

        async def kill() -> None:
            for _ in range(_KILLS):
                await asyncio.sleep(seconds / (_KILLS + 1))
                await asyncio.to_thread(self.installation.kill, GATEWAY)

        await asyncio.gather(publish_on_time(poisson_arrivals(per_s, seconds), publish), kill())
        await asyncio.gather(*tasks)
        texts = await self._ids(self.installation.topics.texts, "kill-")
        results = {f"{ids.derive(ids.RESULT, gateway.SOURCE, id, TASK)}": id for id in attempts}
        found = await self._ids(self.installation.topics.results(TASK), "")
        return {
            "kills": _KILLS,
            "acknowledged": len(attempts),
            "sent_again": sum(each > 1 for each in attempts.values()),
            "on_the_topic": len(set(texts) & set(attempts)),
            "published_twice": len(texts) - len(set(texts)),
            "lost": len(set(attempts) - set(texts)),
            "without_result": len(results.keys() - set(found)),
        }

    async def _ids(self, topic: str, start: str) -> list[str]:
        """Return the ids of all events of a topic that begin so, also those that are written in the next seconds."""
        consumer = make_consumer(self.installation.kafka.client(), group_id=None, auto_offset_reset="earliest")
        await consumer.start()
        found: list[str] = []
        try:
            consumer.assign([TopicPartition(topic, number) for number in range(self.installation.topics.partitions)])
            while records := await consumer.getmany(timeout_ms=5_000):
                found += [dict(each.headers)["ce_id"].decode() for part in records.values() for each in part]
        finally:
            await consumer.stop()
        return [each for each in found if each.startswith(start)]


async def _show_live(port: int, key: str) -> None:
    """Keep a page of live rows open, as a browser does."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"GET /page/live/rows HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\r\n".encode())
        status = (await reader.readline()).split()[1]
        if status != b"200":
            raise SystemExit(f"a page got {status.decode()}")
        while await reader.read(65_536):
            pass
    finally:
        writer.transport.abort()


def measure(seconds: float, rounds: int) -> dict[str, Any]:
    """Measure all in one installation."""
    options = bench_options(TASK, Path(tempfile.mkdtemp(prefix="sprat-door-")))
    options = replace(
        options, services=(*(options.services or ()), GATEWAY), service_environment={GATEWAY: _LIMITS}, restart=True
    )
    with Installation(options) as installation:
        return {"machine": machine_facts(TASK)} | asyncio.run(_all(installation, seconds, rounds))


async def _all(installation: Installation, seconds: float, rounds: int) -> dict[str, Any]:
    texts, door = Texts(), installation.gateway
    if door is None:
        raise SystemExit("the installation has no gateway")
    async with HttpClient(door.port, door.key) as client, KafkaClient(installation, texts) as kafka:
        measured = Measured(installation, door.key, client, kafka)
        for _ in range(128):  # a warm-up
            await measured.by_http(texts.next())
        found = await measured.loads(seconds, rounds)
        found["pages"] = await measured.pages(SHARES[0] * found["most_per_s"], seconds, rounds)
        print(json.dumps(found["pages"]), flush=True)
        found["waits"] = await measured.waits(SHARES[0] * found["most_per_s"], min(seconds, 15))
        print(json.dumps(found["waits"]), flush=True)
        found["kills"] = await measured.kills(SHARES[1] * found["most_per_s"], seconds)
        print(json.dumps(found["kills"]), flush=True)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=15.0, help="of each load")
    parser.add_argument("--rounds", type=int, default=3, help="of each load, by HTTP and by Kafka in turns")
    parser.add_argument("--json", type=Path, help="write the figures there")
    arguments = parser.parse_args()
    figures = measure(arguments.seconds, arguments.rounds)
    if arguments.json:
        write_json(arguments.json, figures)
    lost = figures["kills"]["lost"] + figures["kills"]["without_result"]
    if lost:
        print(f"{lost} texts were acknowledged and lost", file=sys.stderr)
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
