"""`/v1/texts` on a real broker: what a client gets, and what stands on the topics."""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, TopicPartition
from redis.asyncio import Redis as Client

from conftest import Kafka, Redis
from sprat_contracts import TextSubmitted, Topics, decode, ids
from sprat_operations.topics import create_topics
from support.door_stream import BODY, FrontDoor, answering, door_settings, serving
from support.metrics import Metrics
from support.stream import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

TWO = {"text": "what is my balance", "tasks": {"intent": {}, "translation": {"target": "de"}}}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(kafka: Kafka, redis_server: Redis) -> AsyncIterator[FrontDoor]:
    """Return a door for all tests of the module: it keeps Results in Redis."""
    topics = Topics(f"t{secrets.token_hex(5)}", 2)
    await create_topics({"bootstrap_servers": kafka.bootstrap}, topics)
    async with (
        answering(kafka.bootstrap, topics) as router,
        serving(door_settings(kafka.bootstrap, topics.prefix, redis_server.url), router) as served,
    ):
        yield served


@pytest.fixture
def door(shared: FrontDoor) -> FrontDoor:
    """Return the door; every text is answered at once until a test says otherwise."""
    shared.router.answers = lambda *_: True
    return shared


@pytest.fixture
def key() -> str:
    """Return an id that no other test uses."""
    return secrets.token_hex(5)


async def test_a_text_is_answered_with_the_results_of_all_tasks(door: FrontDoor, key: str) -> None:
    answer = await door.post(TWO, idempotency_key=key, prefer="wait=20")
    assert answer.status_code == 200
    assert answer.json() | {"results": 0} == {
        "uuid": str(ids.derive(ids.TEXT, "/web", key)),
        "id": key,
        "source": "/web",
        "complete": True,
        "results": 0,
        "rejected": [],
    }
    results = answer.json()["results"]
    assert set(results) == {"intent", "translation"}
    assert answer.content.endswith(b"}\n")
    assert (results["intent"]["output"]["label"], results["intent"]["tenant"]) == ("balance", "acme-bank")


async def test_what_is_published_is_the_text_of_the_keys_tenant_and_source(door: FrontDoor, key: str) -> None:
    trace = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
    await door.post(BODY | {"tenent": "x", "frontier": "maybe"}, idempotency_key=key, traceparent=trace)
    event = decode(await door.router.came(key), TextSubmitted)
    assert (event.message.tenant, event.envelope.source, event.envelope.id) == ("acme-bank", "/web", key)
    assert [each.code for each in event.warnings] == ["unknown_value", "unknown_field"]
    assert event.envelope.traceparent.trace_id in trace


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        pytest.param(b"{", 422, "invalid_json", None, id="no JSON"),
        pytest.param(b"[]", 422, "invalid_text", None, id="no object"),
        pytest.param(b"", 422, "empty_value", None, id="empty"),
        pytest.param({"text": "hi"}, 422, "invalid_text", "tasks", id="field missing"),
        pytest.param({"text": "hi", "tasks": {"translation": {}}}, 422, "invalid_text", "tasks.translation.target"),
        pytest.param(BODY | {"tenant": "globex"}, 403, "foreign_tenant", "tenant", id="another tenant"),
        pytest.param(
            {"specversion": "1.0", "id": "1", "source": "/app", "data": BODY},
            422,
            "invalid_text",
            "text",
            id="an event",
        ),
    ],
)
async def test_a_text_that_is_not_valid_is_refused_and_not_published(
    door: FrontDoor, body: object, status: int, code: str, field: str | None, key: str
) -> None:
    answer = await door.post(body, idempotency_key=key)
    assert (answer.status_code, answer.json()["code"], answer.json().get("field")) == (status, code, field)
    assert answer.headers["content-type"] == "application/problem+json"
    assert "record" not in answer.json()["detail"]
    assert answer.content.endswith(b"}\n")
    await door.post(BODY, idempotency_key=f"{key}-2", prefer="wait=20")
    assert not door.router.by_id(key)


async def test_a_text_that_the_router_rejects_is_422_with_its_code(door: FrontDoor, key: str) -> None:
    door.router.answers = lambda *_: False
    asking = asyncio.create_task(door.post(BODY, idempotency_key=key, prefer="wait=20"))
    record = await door.router.came(key)
    await door.router.reject(record, "bad_signature", "of another record", offset=record.offset + 1)
    await door.router.reject(record, "foreign_source", "source: not one of the tenant's")
    answer = await asking
    assert (answer.status_code, answer.json()["code"]) == (422, "foreign_source")
    assert answer.json()["detail"] == "source: not one of the tenant's"


async def test_what_is_not_answered_in_time_is_202_and_found_later(door: FrontDoor, key: str) -> None:
    door.router.answers = lambda _, task: task == "intent"
    answer = await door.post(TWO, idempotency_key=key, prefer="wait=1")
    assert (answer.status_code, answer.json()["complete"], [*answer.json()["results"]]) == (202, False, ["intent"])
    place = answer.headers["location"]
    assert (await door.get(place)).status_code == 202
    await door.router.answer(door.router.by_id(key)[0], "translation")

    async def complete() -> bool:
        return (await door.get(place)).status_code == 200

    await eventually(complete)


async def test_no_other_tenant_or_source_finds_a_text(door: FrontDoor) -> None:
    place = f"/v1/texts/{(await door.post(BODY, prefer='wait=20')).json()['uuid']}"
    for path in (place, f"{place}/events"):
        assert (await door.get(path)).status_code == 200
        for key in ("other-tenant", "other-source"):
            assert (await door.get(path, key)).status_code == 404
        assert (await door.get(path, "none")).status_code == 401
    assert (await door.get(f"/v1/texts/{ids.derive(ids.TEXT, '/web', 'x')}")).status_code == 404


async def test_a_result_of_another_tenant_is_not_the_answer(door: FrontDoor, key: str) -> None:
    door.router.answers = lambda *_: False
    asking = asyncio.create_task(door.post(BODY, idempotency_key=key, prefer="wait=20"))
    record = await door.router.came(key)
    await door.router.answer(record, "intent", tenant="globex", reference={"secret": "of globex"})
    await door.router.answer(record, "intent", reference={"is": "ours"})
    assert (await asking).json()["results"]["intent"]["reference"] == {"is": "ours"}


async def test_events_are_what_is_known_and_each_change(door: FrontDoor, key: str) -> None:
    door.router.answers = lambda *_: False
    place = (await door.post(TWO, idempotency_key=key, prefer="wait=0")).headers["location"]
    seen: list[list[str]] = []
    async with door.client.stream("GET", f"{place}/events", headers=door.headers()) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        async for line in stream.aiter_lines():
            if line.startswith("data: "):
                seen.append(sorted(json.loads(line.removeprefix("data: "))["results"]))
                if len(seen) <= 2:
                    record = await door.router.came(key)
                    await door.router.answer(record, ("intent", "translation")[len(seen) - 1])
    assert seen == [[], ["intent"], ["intent", "translation"]]


async def test_a_repeat_gets_the_same_result_and_publishes_nothing(door: FrontDoor, key: str) -> None:
    first = await door.post(TWO, idempotency_key=key, prefer="wait=20")
    same = json.dumps({"tasks": TWO["tasks"], "text": TWO["text"]}, indent=4).encode()  # in another order
    again = await door.post(same, idempotency_key=f'"{key}"', prefer="wait=20")
    assert (again.status_code, again.json()) == (200, first.json())
    other = await door.post(TWO | {"text": "another"}, idempotency_key=key)
    assert (other.status_code, other.json()["code"]) == (409, "another_text")
    await door.post(BODY, idempotency_key=f"{key}-2", prefer="wait=20")
    assert len(door.router.by_id(key)) == 1


async def test_repeats_at_the_same_time_are_one_text(door: FrontDoor, key: str) -> None:
    sent = (door.post(BODY, idempotency_key=key, prefer="wait=20") for _ in range(20))
    answers = await asyncio.gather(*sent)
    assert {each.status_code for each in answers} == {200}
    assert len(door.router.by_id(key)) == 1


async def test_another_instance_and_a_later_one_know_the_text_from_redis(
    door: FrontDoor, kafka: Kafka, redis_server: Redis, key: str
) -> None:
    door.router.answers = lambda _, task: task == "intent"
    place = (await door.post(TWO, idempotency_key=key, prefer="wait=1")).headers["location"]
    async with serving(door.settings, door.router) as other:
        assert [*(await other.get(place)).json()["results"]] == ["intent"]
        asking = asyncio.create_task(other.post(TWO, idempotency_key=key, prefer="wait=20"))
        await asyncio.sleep(0.1)  # it waits by then, or finds the Result
        await door.router.answer(door.router.by_id(key)[0], "translation")
        assert (await asking).status_code == 200
    assert len(door.router.by_id(key)) == 1
    async with serving(door.settings, door.router) as later:

        async def complete() -> bool:
            return (await later.get(place)).status_code == 200

        await eventually(complete)
        assert (await later.post(TWO | {"text": "another"}, idempotency_key=key)).status_code == 409


async def test_a_text_that_was_rejected_and_replayed_while_no_door_listened_has_its_result(
    door: FrontDoor, key: str
) -> None:
    door.router.answers = lambda *_: False
    async with serving(door.settings, door.router) as first:
        asking = asyncio.create_task(first.post(BODY, idempotency_key=key, prefer="wait=20"))
        record = await door.router.came(key)
        await door.router.reject(record, "foreign_source", "source: not one of the tenant's")
        assert (await asking).status_code == 422
    place = f"/v1/texts/{ids.derive(ids.TEXT, '/web', key)}"
    async with serving(door.settings, door.router) as second:
        assert (await second.get(place)).status_code == 422
    await door.router.answer(record, "intent")
    async with serving(door.settings, door.router) as third:

        async def is_answered() -> bool:
            return (await third.get(place)).status_code == 200

        await eventually(is_answered)


async def test_what_stands_in_redis_is_sealed(door: FrontDoor, redis_server: Redis, key: str) -> None:
    await door.post(TWO | {"reference": {"ticket": "a secret reference"}}, idempotency_key=key, prefer="wait=20")
    uuid, another = (str(ids.derive(ids.TEXT, "/web", each)) for each in (key, f"{key}-2"))
    start = f"{door.router.topics.prefix}:door:"
    async with Client.from_url(redis_server.url) as redis:
        await eventually(lambda: redis.exists(start + uuid))
        value = await redis.get(start + uuid)
        assert b"balance" not in value
        assert b"Hallo" not in value
        assert 86_000 < await redis.ttl(start + uuid) <= 86_400
        await redis.set(start + another, value)
    assert (await door.get(f"/v1/texts/{another}")).status_code == 404


async def test_a_door_that_keeps_nothing_says_so_and_publishes_a_repeat(
    kafka: Kafka, topics: Topics, prefix: str
) -> None:
    async with (
        answering(kafka.bootstrap, topics) as router,
        serving(door_settings(kafka.bootstrap, prefix), router) as d,
    ):
        place = f"/v1/texts/{(await d.post(BODY, idempotency_key='t-1', prefer='wait=20')).json()['uuid']}"
        for path in (place, f"{place}/events"):
            assert ((await d.get(path)).status_code, (await d.get(path)).json()["code"]) == (501, "not_kept")
        assert (await d.post(BODY, idempotency_key="t-1", prefer="wait=20")).status_code == 200
        await router.came("t-1", 2)


STATUSES = ("200", "202", "403", "422")


async def test_lines_get_a_status_each_in_their_order(door: FrontDoor, key: str, metrics: Metrics) -> None:
    door.router.answers = lambda text_id, _: text_id != f"{key}/4"
    lines = [json.dumps(BODY), "{", json.dumps(BODY | {"tenant": "globex"}), json.dumps(BODY), "", json.dumps(BODY)]
    headers = {"idempotency_key": key, "prefer": "wait=1", "content_type": "application/x-ndjson"}
    answer = await door.post("\n".join(lines).encode(), **headers)
    assert answer.status_code == 200
    found = [json.loads(line) for line in answer.text.splitlines()]
    assert [(each["line"], each["status"]) for each in found] == [(1, 200), (2, 422), (3, 403), (4, 202), (6, 200)]
    assert (found[1]["code"], found[3]["id"], found[4]["complete"]) == ("invalid_json", f"{key}/4", True)
    counted = [metrics.value("sprat.gateway.requests", route="/v1/texts line", http_result=each) for each in STATUSES]
    assert counted == [2, 1, 1, 1]
    again = await door.post("\n".join(lines).encode(), **headers)
    assert again.text.splitlines()[0] == answer.text.splitlines()[0]
    too_many = await door.post(b"{}\n" * 1001, content_type="application/x-ndjson")
    assert (too_many.status_code, too_many.json()["code"]) == (413, "too_many_lines")


async def test_a_text_that_is_waited_for_again_is_published_under_the_same_id(door: FrontDoor, key: str) -> None:
    """A rejected one: what was wrong may be repaired."""
    door.router.answers = lambda *_: False
    asking = asyncio.create_task(door.post(BODY, idempotency_key=key, prefer="wait=20"))
    await door.router.reject(await door.router.came(key), "foreign_source", "source: not one of the tenant's")
    assert (await asking).status_code == 422
    door.router.answers = lambda *_: True
    assert (await door.post(BODY, idempotency_key=key, prefer="wait=20")).status_code == 200
    assert len({TopicPartition(each.topic, each.partition) for each in door.router.by_id(key)}) == 1


async def test_what_was_decided_while_no_door_ran_is_found(kafka: Kafka, redis_server: Redis, topics: Topics) -> None:
    settings = door_settings(kafka.bootstrap, topics.prefix, redis_server.url)
    async with answering(kafka.bootstrap, topics) as router:
        router.answers = lambda *_: False
        async with serving(settings, router) as first:
            place = (await first.post(TWO, idempotency_key="t-1", prefer="wait=0")).headers["location"]
        record = await router.came("t-1")
        await router.answer(record, "intent")
        async with serving(settings, router) as later:
            assert [*(await later.get(place)).json()["results"]] == ["intent"]
            await router.answer(record, "translation")
            repeat = await later.post(TWO, idempotency_key="t-1", prefer="wait=20")
            assert (repeat.status_code, [*repeat.json()["results"]]) == (200, ["intent", "translation"])
    assert len(router.by_id("t-1")) == 1


async def test_who_hangs_up_waits_no_longer_and_the_text_is_answered(door: FrontDoor, key: str) -> None:
    door.router.answers = lambda *_: False
    asking = asyncio.create_task(door.post(BODY, idempotency_key=key, prefer="wait=30"))
    record = await door.router.came(key)
    await eventually(lambda: len(door.opened.waiters) == 1)
    asking.cancel()
    await eventually(lambda: len(door.opened.waiters) == 0)
    await door.router.answer(record, "intent")
    assert (await door.post(BODY, idempotency_key=key, prefer="wait=20")).status_code == 200
    assert len(door.router.by_id(key)) == 1


async def test_a_full_table_is_429_and_publishes_nothing(kafka: Kafka, topics: Topics) -> None:
    settings = door_settings(kafka.bootstrap, topics.prefix, max_waiting=4)  # half of it for each key
    async with answering(kafka.bootstrap, topics) as router, serving(settings, router) as door:
        router.answers = lambda *_: False
        waiting = [asyncio.create_task(door.post(BODY, idempotency_key=f"t-{n}", prefer="wait=20")) for n in (1, 2)]
        records = [await router.came(f"t-{number}") for number in (1, 2)]
        third = await door.post(BODY, idempotency_key="t-3")
        assert (third.status_code, third.json()["code"]) == (429, "queue_full")
        assert third.headers["retry-after"] == "1"
        for record in records:
            await router.answer(record, "intent")
        assert {(await each).status_code for each in waiting} == {200}
        router.answers = lambda *_: True
        assert (await door.post(BODY, prefer="wait=20")).status_code == 200
        assert not router.by_id("t-3")


async def test_a_door_that_stops_answers_with_what_is_known(kafka: Kafka, redis_server: Redis, topics: Topics) -> None:
    settings = door_settings(kafka.bootstrap, topics.prefix, redis_server.url)
    async with answering(kafka.bootstrap, topics) as router, httpx.AsyncClient(timeout=40) as client:
        router.answers = lambda _, task: task == "intent"
        async with serving(settings, router) as door:
            url, headers = door.client.base_url.join("/v1/texts"), door.headers(idempotency_key="t-1", prefer="wait=30")
            asking = asyncio.create_task(client.post(url, json=TWO, headers=headers))
            await router.came("t-1")
            await eventually(lambda: any(each.outcome.results for each in door.opened.waiters.all()))
        assert (await asking).status_code == 202


async def test_where_the_lag_says_that_no_answer_comes_in_time_it_is_202_at_once(
    kafka: Kafka, redis_server: Redis, topics: Topics
) -> None:
    """A group that commits nothing, although texts wait."""
    settings = door_settings(kafka.bootstrap, topics.prefix, redis_server.url)
    async with answering(kafka.bootstrap, topics) as router, serving(settings, router) as door:
        router.answers = lambda *_: False
        group = AIOKafkaConsumer(
            topics.texts,
            bootstrap_servers=kafka.bootstrap,
            group_id=f"{topics.prefix}.router",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            isolation_level="read_committed",
        )
        await group.start()
        try:
            took_s = [10.0]

            async def at_once() -> bool:
                began_s = time.monotonic()
                answer = await door.post(BODY, prefer="wait=1")
                took_s[0] = time.monotonic() - began_s
                assert answer.status_code == 202
                return took_s[0] < 0.5

            await eventually(at_once)
        finally:
            await group.stop()
