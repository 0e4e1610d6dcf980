"""The whole system inside a test: router, intent and frontier on the real broker, the simulator as a process."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import yaml
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord
from aiokafka.structs import RecordMetadata
from pydantic import SecretStr

from sprat.base.model import DEFAULT_MODEL
from sprat.base.settings import KafkaSettings, RedisSettings, ServiceSettings
from sprat_contracts import TASKS, DeadLetterReason, Event, Result, Topics, decode
from sprat_frontier.__main__ import FrontierServiceSettings
from sprat_frontier.__main__ import build as build_frontier
from sprat_frontier.settings import FrontierSettings, Price
from sprat_intent.__main__ import SERVICE as INTENT
from sprat_intent.__main__ import SHIPPED
from sprat_local.processes.ports import free_port
from sprat_router.__main__ import RouterSettings
from sprat_router.__main__ import build as build_router
from sprat_testing.service import running
from support.frontier_parts import AUDIT, CONTROL_TOKEN
from support.stream import SECRET, eventually, lag, made_topics

POLICY = Path(__file__).parents[2] / "compose" / "policy.yaml"
ALLOWED = "acme-bank"
"""A tenant whose hard cases may leave."""


@dataclass
class System:
    """What is published and what comes of it."""

    bootstrap: str
    topics: Topics
    simulator: str
    groups: dict[str, tuple[str, ...]]
    producer: AIOKafkaProducer
    results: list[tuple[ConsumerRecord, Event[Result]]] = field(default_factory=list)
    letters: list[tuple[ConsumerRecord, DeadLetterReason]] = field(default_factory=list)

    async def submit(
        self, value: bytes | dict, headers: Sequence[tuple[str, bytes]] = (), key: bytes | None = None
    ) -> RecordMetadata:
        """Publish a text and give its place."""
        if isinstance(value, dict):
            value = json.dumps(value).encode()
        return await self.producer.send_and_wait(self.topics.texts, value=value, key=key, headers=list(headers))

    def results_of(self, place: RecordMetadata) -> list[Event[Result]]:
        return [
            event
            for _, event in self.results
            if (event.message.origin.partition, event.message.origin.offset) == (place.partition, place.offset)
        ]

    def letters_of(self, place: RecordMetadata) -> list[tuple[ConsumerRecord, DeadLetterReason]]:
        return [
            (record, reason)
            for record, reason in self.letters
            if (reason.topic, reason.partition, reason.offset) == (place.topic, place.partition, place.offset)
        ]

    async def result(self, place: RecordMetadata, task: str = "intent") -> Result:
        """Wait for the Result of a text."""
        await eventually(lambda: [e for e in self.results_of(place) if e.message.task == task], 30)
        return next(event.message for event in self.results_of(place) if event.message.task == task)

    async def letter(self, place: RecordMetadata) -> tuple[ConsumerRecord, DeadLetterReason]:
        """Wait for the dead letter of a record."""
        await eventually(lambda: self.letters_of(place), 30)
        return self.letters_of(place)[0]

    async def settled(self) -> None:
        """Wait until nothing is on its way: no group has lag, twice in a row."""

        async def quiet() -> bool:
            return not sum([await lag(self.bootstrap, group, topics) for group, topics in self.groups.items()])

        await eventually(quiet, 90)
        await asyncio.sleep(0.3)  # a record may go from one group to another between two looks
        await eventually(quiet, 90)
        await asyncio.sleep(0.3)  # time in which a surplus record would come


@asynccontextmanager
async def simulating(**behaviour: object) -> AsyncIterator[str]:
    """Run the simulator as a process and give its base URL."""
    port = free_port()
    own = {"port": port, "keep_requests": 1, "control_token": CONTROL_TOKEN}
    environment = os.environ | {f"SPRAT_SIMULATOR_{name.upper()}": str(value) for name, value in own.items()}
    environment |= {f"SPRAT_SIMULATOR_{name.upper()}": str(value) for name, value in behaviour.items()}
    process = subprocess.Popen([sys.executable, "-m", "sprat_simulator"], env=environment, stdout=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        async with httpx.AsyncClient() as client:

            async def up() -> bool:
                try:
                    return (await client.get(f"{url}/healthz")).is_success
                except httpx.TransportError:
                    return False

            await eventually(up)
        yield url
    finally:
        process.terminate()
        process.wait(10)


def policy_with_reviews(folder: Path, **review: object) -> Path:
    """Return a policy that draws every kept intent, and waits for no review as long as a person needs."""
    policy = yaml.safe_load(POLICY.read_text("utf-8"))
    policy["tasks"]["intent"]["review"] = {"share": 1, "per_day": 1_000_000, "wait": "1s"} | review
    path = folder / "policy.yaml"
    path.write_text(yaml.safe_dump(policy), "utf-8")
    return path


@asynccontextmanager
async def whole_system(
    bootstrap: str,
    redis_url: str,
    prefix: str,
    *,
    exporting: bool = False,
    policy: Path = POLICY,
    intents: Path = SHIPPED,
    **simulator: object,
) -> AsyncIterator[System]:
    """Run everything and follow what comes out; `exporting` makes spans. The simulator invents answers by default."""
    common = {
        "kafka": KafkaSettings(bootstrap=bootstrap, prefix=prefix, partitions=2),
        "redis": RedisSettings(url=SecretStr(redis_url)),
        "secret": SecretStr(SECRET),
        "health_port": 0,
        "drain_s": 5.0,
        "_env_file": None,
    }
    topics = await made_topics(ServiceSettings(**common))
    async with AsyncExitStack() as stack:
        simulator_url = await stack.enter_async_context(simulating(**({"invent": True} | simulator)))
        audit = AUDIT.model_copy(update={"checkpoints": Path(stack.enter_context(TemporaryDirectory()))})
        frontier = FrontierSettings(
            base_url=f"{simulator_url}/v1",
            model="simulated-large",
            provider="simulator",
            region="local",
            prices={"simulated-large": Price(input_eur=0.4, output_eur=2.0)},
            max_retries=1,
            retry_base_s=0.05,
        )
        router = await stack.enter_async_context(
            running("router", RouterSettings(policy=policy, lag_every_s=1, **common), build_router, exporting=exporting)
        )
        intent = await stack.enter_async_context(
            running(
                "intent",
                INTENT.settings(intent={"artefact": intents}, **common),
                INTENT.build,
                exporting=exporting,
                model=DEFAULT_MODEL,
            )
        )
        gate = await stack.enter_async_context(
            running(
                "frontier",
                FrontierServiceSettings(policy=policy, frontier=frontier, audit=audit, **common),
                build_frontier,
                exporting=exporting,
            )
        )
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap, max_request_size=4_000_000)
        await producer.start()
        stack.push_async_callback(producer.stop)
        predictions = tuple(topics.predictions(task) for task in TASKS)
        groups = {
            router.group: (topics.texts, *predictions, topics.frontier_answers),
            f"{intent.group}.default": (topics.texts,),
            gate.group: (topics.frontier_requests,),
        }
        system = System(bootstrap, topics, simulator_url, groups, producer)
        following = asyncio.create_task(_follow(system))
        stack.callback(following.cancel)
        await eventually(lambda: all(context.consumers[0].assignment() for context in (router, intent, gate)))
        yield system


async def _follow(system: System) -> None:
    topics = [*(system.topics.results(task) for task in TASKS), system.topics.dead_letters]
    consumer = AIOKafkaConsumer(
        *topics, bootstrap_servers=system.bootstrap, auto_offset_reset="earliest", isolation_level="read_committed"
    )
    await consumer.start()
    try:
        async for record in consumer:
            if record.topic == system.topics.dead_letters:
                system.letters.append((record, DeadLetterReason.from_headers(record.headers)))
            else:
                system.results.append((record, decode(record, Result)))
    finally:
        await consumer.stop()
