"""The HTTP front door on a real broker, and a router whose answers a test decides."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord
from pydantic import SecretStr

from sprat.base.settings import KafkaSettings, RedisSettings
from sprat_contracts import DeadLetterReason, Envelope, Result, TextSubmitted, Topics, Traceparent, decode, encode, ids
from sprat_gateway.runtime import OpenDoor, open_door
from sprat_gateway.settings import GatewaySection, GatewaySettings
from sprat_operations.api_keys import FILE, add_key
from support.router_records import reread
from support.stream import eventually

BODY = {"text": "what is my balance", "tasks": {"intent": {}}}
SEAL_KEY = "a seal key of the tests, with over 32 bytes"


OWNERS = {"key": ("acme-bank", "/web"), "other-tenant": ("globex", "/web"), "other-source": ("acme-bank", "/app")}
"""Name of a key in these tests → its tenant and source."""


def result_of(text: TextSubmitted, envelope: Envelope, record: ConsumerRecord, task: str) -> Result:
    """Return a Result as the router writes it."""
    return reread(
        Result,
        {
            "text_id": envelope.id,
            "text_source": envelope.source,
            "task": task,
            "requested": list(text.tasks.known),
            "origin": {"partition": record.partition, "offset": record.offset, "appended_at": record.timestamp},
            "status": "answered",
            "output": {"label": "balance"} if task != "translation" else {"text": "Hallo", "target": "de"},
            "confidence": 0.9,
            "source": "small",
            "route": {"decision": "kept", "reason": "confident"},
            "model": {"name": "fixed", "version": "1"},
            "language": "en",
            "tenant": text.tenant,
        },
    )


@dataclass
class Answering:
    """Reads texts, and answers those that the test lets through."""

    topics: Topics
    producer: AIOKafkaProducer
    texts: list[ConsumerRecord] = field(default_factory=list)
    answers: Callable[[str, str], bool] = lambda _id, _task: True
    """Returns whether a task of a text is answered at once."""

    def by_id(self, id: str) -> list[ConsumerRecord]:
        return [each for each in self.texts if dict(each.headers)["ce_id"] == id.encode()]

    async def came(self, id: str, count: int = 1) -> ConsumerRecord:
        await eventually(lambda: len(self.by_id(id)) >= count)
        return self.by_id(id)[-1]

    async def answer(self, record: ConsumerRecord, task: str, **changed: Any) -> None:
        """Write a Result."""
        event = decode(record, TextSubmitted)
        result = result_of(event.message, event.envelope, record, task).model_copy(update=changed)
        id = str(ids.derive(ids.RESULT, event.envelope.source, event.envelope.id, task))
        about = Envelope(id, f"/{self.topics.prefix}/router", Traceparent.root(event.envelope.source, id))
        value, headers = encode(result, about)
        await self.producer.send_and_wait(self.topics.results(task), value, record.key, headers=headers)

    async def reject(self, record: ConsumerRecord, code: str, detail: str, offset: int | None = None) -> None:
        """Write a dead letter."""
        at = record.offset if offset is None else offset
        reason = DeadLetterReason(code, detail, record.topic, record.partition, at, record.timestamp, "router", "1")
        headers = reason.headers(record.headers, record.value)
        await self.producer.send_and_wait(self.topics.dead_letters, record.value, record.key, headers=headers)

    async def run(self, consumer: AIOKafkaConsumer) -> None:
        async for record in consumer:
            self.texts.append(record)
            event = decode(record, TextSubmitted)
            for task in event.message.tasks.known:
                if self.answers(event.envelope.id, task):
                    await self.answer(record, task)


@dataclass
class FrontDoor:
    """A door that serves, and what answers behind it."""

    client: httpx.AsyncClient
    opened: OpenDoor
    router: Answering
    settings: GatewaySettings
    keys: Mapping[str, str]
    """By the names in `OWNERS`."""

    async def post(self, body: Any = BODY, **headers: str) -> httpx.Response:
        """Send a text; the names of headers have underscores."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        key = headers.pop("key", "key")
        return await self.client.post("/v1/texts", content=content, headers=self.headers(key, **headers))

    async def get(self, path: str, key: str = "key") -> httpx.Response:
        return await self.client.get(path, headers=self.headers(key))

    def headers(self, key: str = "key", **more: str) -> dict[str, str]:
        """Return those of a request with a key; the names of more have underscores."""
        return {"authorization": f"Bearer {self.keys.get(key, key)}", "content-type": "application/json"} | {
            name.replace("_", "-"): value for name, value in more.items()
        }


def door_settings(bootstrap: str, prefix: str, redis_url: str | None = None, **section: Any) -> GatewaySettings:
    seal = {} if redis_url is None else {"seal_key": SecretStr(SEAL_KEY)}
    return GatewaySettings(
        kafka=KafkaSettings(bootstrap=bootstrap, prefix=prefix, partitions=2),
        redis=RedisSettings(url=SecretStr(redis_url or "redis://127.0.0.1:1/0"), timeout_s=0.5),
        gateway=GatewaySection(port=0, **(seal | section)),
        health_port=0,
        _env_file=None,
    )


@asynccontextmanager
async def answering(bootstrap: str, topics: Topics) -> AsyncIterator[Answering]:
    """Run a router that answers every text at once, until the test says otherwise."""
    async with AsyncExitStack() as stack:
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap, linger_ms=0)
        consumer = AIOKafkaConsumer(
            topics.texts, bootstrap_servers=bootstrap, auto_offset_reset="earliest", isolation_level="read_committed"
        )
        for client in (producer, consumer):
            await client.start()
            stack.push_async_callback(client.stop)
        router = Answering(topics, producer)
        task = asyncio.create_task(router.run(consumer))
        stack.callback(task.cancel)
        yield router
        if task.done():
            task.result()


@asynccontextmanager
async def serving(settings: GatewaySettings, router: Answering) -> AsyncIterator[FrontDoor]:
    """Run a door in this process."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        keys = {name: add_key(folder / FILE, *owner)[0] for name, owner in OWNERS.items()}
        own = settings.gateway.model_copy(update={"keys_file": folder / FILE})
        door = await stack.enter_async_context(open_door(settings.model_copy(update={"gateway": own})))
        url = f"http://127.0.0.1:{door.port}"
        client = await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=40))
        yield FrontDoor(client, door, router, settings, keys)
