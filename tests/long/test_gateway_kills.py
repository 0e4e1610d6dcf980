"""The front door as a process: killed under load, stopped, and without Kafka for a while."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from typing import Any

import psutil
import pytest

from sprat_contracts import Topics, ids
from sprat_local.installation import gateway
from sprat_local.installation.lifecycle import Installation
from sprat_local.installation.options import Options
from sprat_local.kafka.broker import EmbeddedKafka
from sprat_operations.services import GATEWAY
from sprat_operations.topics import create_topics
from support.door_stream import answering, door_settings, serving
from support.http_load import HttpClient, post_until_taken
from support.stream import eventually, read_all

KILLS = 3
TEXTS = 300
WAITS = 2_000
BODY = {"text": "Where is my order?", "tasks": {"language-id": {}}, "language": "en"}
UNANSWERED: dict[str, Any] = {"text": "Where is my order?", "tasks": {"ner": {}}, "language": "en"}
"""No service of these installations answers it."""


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    limit = {"SPRAT_GATEWAY__MAX_WAITING": str(2 * WAITS)}  # half of it for each key
    options = Options(partitions=2, services=("router", "language-id", GATEWAY), service_environment={GATEWAY: limit})
    with Installation(options) as running:
        yield running


@pytest.fixture
async def client(installation: Installation) -> AsyncIterator[HttpClient]:
    door = installation.gateway
    assert door is not None
    async with HttpClient(door.port, door.key) as client:
        await eventually(lambda: takes(client))
        yield client


async def takes(client: HttpClient) -> bool:
    try:
        return (await client.post(BODY, "first", 20)).status == 200
    except OSError:
        return False


async def ids_on(installation: Installation, topic: str) -> list[str]:
    records = await read_all(installation.bootstrap, topic)
    return [dict(record.headers)["ce_id"].decode() for record in records]


async def test_a_door_killed_under_load_loses_no_acknowledged_text(
    installation: Installation, client: HttpClient
) -> None:
    sent = [f"kill-{number}" for number in range(TEXTS)]
    room = asyncio.Semaphore(20)
    taken: list[str] = []

    async def send(id: str) -> None:
        async with room:
            await post_until_taken(client, BODY, id)
            taken.append(id)

    async def kill() -> None:
        for part in range(1, KILLS + 1):
            await eventually(lambda part=part: len(taken) >= part * TEXTS // (KILLS + 1), 60)
            await asyncio.to_thread(installation.kill, GATEWAY)

    await asyncio.gather(kill(), *(send(id) for id in sent))
    results = {str(ids.derive(ids.RESULT, gateway.SOURCE, id, "language-id")) for id in sent}

    async def all_decided() -> bool:
        return results <= {*await ids_on(installation, installation.topics.results("language-id"))}

    await eventually(all_decided, 60)
    assert {*sent} <= {*await ids_on(installation, installation.topics.texts)}
    uuid = ids.derive(ids.TEXT, gateway.SOURCE, sent[0])
    again = await client.get(f"/v1/texts/{uuid}")
    assert (again.status, again.json()["complete"]) == (200, True)


async def test_as_many_wait_as_may_and_make_room_when_they_hang_up(
    installation: Installation, client: HttpClient
) -> None:
    async with HttpClient(client.port, client.key) as others:
        asked = [asyncio.create_task(others.post(UNANSWERED, f"waits-{number}", 30)) for number in range(WAITS)]

        async def is_full() -> bool:
            reply = await client.post(UNANSWERED, "one-more", 0)
            assert not any(each.done() for each in asked)
            return reply.status == 429 and reply.json()["code"] == "queue_full"

        await eventually(is_full, 25)
        began_mb = psutil.Process(installation.processes[GATEWAY].pid).memory_info().rss / 1e6
        others.hang_up()
        await asyncio.gather(*asked, return_exceptions=True)
    await eventually(lambda: takes(client))
    assert began_mb < 300


async def test_a_stop_answers_what_is_waited_for(installation: Installation, client: HttpClient) -> None:
    asking = asyncio.create_task(client.post(UNANSWERED, "stopped", 30))
    topic = installation.topics.texts

    async def is_published() -> bool:
        return "stopped" in await ids_on(installation, topic)

    await eventually(is_published)
    psutil.Process(installation.processes[GATEWAY].pid).send_signal(signal.SIGTERM)
    reply = await asyncio.wait_for(asking, 10)
    assert (reply.status, reply.json()["id"]) == (202, "stopped")


async def test_without_kafka_it_is_503_and_goes_on_afterwards() -> None:
    topics = Topics("away", 2)
    with EmbeddedKafka() as broker:
        await create_topics({"bootstrap_servers": broker.bootstrap}, topics)
        async with (
            answering(broker.bootstrap, topics) as router,
            serving(door_settings(broker.bootstrap, topics.prefix), router) as door,
        ):
            await door.post(prefer="wait=20")
            broker.pause()
            held = await door.post(idempotency_key="held")
            refused = await door.post(idempotency_key="refused")
            await eventually(lambda: not door.opened.reads(), 30)  # it is not ready
            broker.resume()
            assert [(each.status_code, each.json()["code"]) for each in (held, refused)] == [(503, "kafka_away")] * 2
            assert (held.json()["id"], held.headers["retry-after"]) == ("held", "5")

            async def answered() -> bool:
                return (await door.post(idempotency_key="held", prefer="wait=5")).status_code == 200

            await eventually(answered, 60)
            await eventually(door.opened.reads)
            assert not router.by_id("refused")
