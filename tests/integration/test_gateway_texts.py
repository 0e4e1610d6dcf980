"""`/v1/texts` on a real broker: what a client gets, and what stands on the topics."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from aiokafka import TopicPartition
from redis.asyncio import Redis as Client

from conftest import Kafka, Redis
from sprat_contracts import TextSubmitted, Topics, decode, ids
from support.door_stream import BODY, FrontDoor, answering, door_settings, serving
from support.stream import eventually

TWO = {"text": "what is my balance", "tasks": {"intent": {}, "translation": {"target": "de"}}}


@pytest.fixture
async def door(kafka: Kafka, redis_server: Redis, topics: Topics, prefix: str) -> AsyncIterator[FrontDoor]:
    """Return a door that keeps Results in Redis."""
    async with (
        answering(kafka.bootstrap, topics) as router,
        serving(door_settings(kafka.bootstrap, prefix, redis_server.url), router) as served,
    ):
        yield served


async def test_a_text_is_answered_with_the_results_of_all_tasks(door: FrontDoor) -> None:
    answer = await door.post(TWO, idempotency_key="t-1", prefer="wait=20")
    assert answer.status_code == 200
    assert answer.json() | {"results": 0} == {
        "uuid": str(ids.derive(ids.TEXT, "/web", "t-1")),
        "id": "t-1",
        "source": "/web",
        "complete": True,
        "results": 0,
        "rejected": [],
    }
    results = answer.json()["results"]
    assert set(results) == {"intent", "translation"}
    assert (results["intent"]["output"]["label"], results["intent"]["tenant"]) == ("balance", "acme-bank")


async def test_what_is_published_is_the_text_of_the_keys_tenant_and_source(door: FrontDoor) -> None:
    trace = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
    await door.post(BODY | {"tenent": "x", "frontier": "maybe"}, idempotency_key="t-1", traceparent=trace)
    event = decode(await door.router.came("t-1"), TextSubmitted)
    assert (event.message.tenant, event.envelope.source, event.envelope.id) == ("acme-bank", "/web", "t-1")
    assert [each.code for each in event.warnings] == ["unknown_value", "unknown_field"]
    assert str(event.envelope.traceparent) == trace


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
    door: FrontDoor, body: object, status: int, code: str, field: str | None
) -> None:
    answer = await door.post(body, idempotency_key="t-1")
    assert (answer.status_code, answer.json()["code"], answer.json().get("field")) == (status, code, field)
    assert answer.headers["content-type"] == "application/problem+json"
    await door.post(BODY, idempotency_key="t-2", prefer="wait=20")
    assert not door.router.by_id("t-1")


async def test_a_text_that_the_router_rejects_is_422_with_its_code(door: FrontDoor) -> None:
    door.router.answers = lambda *_: False
    asking = asyncio.create_task(door.post(BODY, idempotency_key="t-1", prefer="wait=20"))
    record = await door.router.came("t-1")
    await door.router.reject(record, "bad_signature", "of another record", offset=record.offset + 1)
    await door.router.reject(record, "foreign_source", "source: not one of the tenant's")
    answer = await asking
    assert (answer.status_code, answer.json()["code"]) == (422, "foreign_source")
    assert answer.json()["detail"] == "source: not one of the tenant's"


async def test_what_is_not_answered_in_time_is_202_and_found_later(door: FrontDoor) -> None:
    door.router.answers = lambda _, task: task == "intent"
    answer = await door.post(TWO, idempotency_key="t-1", prefer="wait=1")
    assert (answer.status_code, answer.json()["complete"], [*answer.json()["results"]]) == (202, False, ["intent"])
    place = answer.headers["location"]
    assert (await door.get(place)).status_code == 202
    await door.router.answer(door.router.by_id("t-1")[0], "translation")

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


async def test_a_result_of_another_tenant_is_not_the_answer(door: FrontDoor) -> None:
    door.router.answers = lambda *_: False
    asking = asyncio.create_task(door.post(BODY, idempotency_key="t-1", prefer="wait=20"))
    record = await door.router.came("t-1")
    await door.router.answer(record, "intent", tenant="globex", reference={"secret": "of globex"})
    await door.router.answer(record, "intent", reference={"is": "ours"})
    assert (await asking).json()["results"]["intent"]["reference"] == {"is": "ours"}


async def test_events_are_what_is_known_and_each_change(door: FrontDoor) -> None:
    door.router.answers = lambda *_: False
    place = (await door.post(TWO, idempotency_key="t-1", prefer="wait=0")).headers["location"]
    seen: list[list[str]] = []
    async with door.client.stream("GET", f"{place}/events", headers=door.headers()) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        async for line in stream.aiter_lines():
            if line.startswith("data: "):
                seen.append(sorted(json.loads(line.removeprefix("data: "))["results"]))
                if len(seen) <= 2:
                    record = await door.router.came("t-1")
                    await door.router.answer(record, ("intent", "translation")[len(seen) - 1])
    assert seen == [[], ["intent"], ["intent", "translation"]]


async def test_a_repeat_gets_the_same_result_and_publishes_nothing(door: FrontDoor) -> None:
    first = await door.post(TWO, idempotency_key="t-1", prefer="wait=20")
    same = json.dumps({"tasks": TWO["tasks"], "text": TWO["text"]}, indent=4).encode()  # in another order
    again = await door.post(same, idempotency_key='"t-1"', prefer="wait=20")
    assert (again.status_code, again.json()) == (200, first.json())
    other = await door.post(TWO | {"text": "another"}, idempotency_key="t-1")
    assert (other.status_code, other.json()["code"]) == (409, "another_text")
    await door.post(BODY, idempotency_key="t-2", prefer="wait=20")
    assert len(door.router.by_id("t-1")) == 1


async def test_repeats_at_the_same_time_are_one_text(door: FrontDoor) -> None:
    sent = (door.post(BODY, idempotency_key="t-1", prefer="wait=20") for _ in range(20))
    answers = await asyncio.gather(*sent)
    assert {each.status_code for each in answers} == {200}
    assert len(door.router.by_id("t-1")) == 1


async def test_another_instance_and_a_later_one_know_the_text_from_redis(
    door: FrontDoor, kafka: Kafka, redis_server: Redis
) -> None:
    door.router.answers = lambda _, task: task == "intent"
    place = (await door.post(TWO, idempotency_key="t-1", prefer="wait=1")).headers["location"]
    async with serving(door.settings, door.router) as other:
        assert [*(await other.get(place)).json()["results"]] == ["intent"]
        asking = asyncio.create_task(other.post(TWO, idempotency_key="t-1", prefer="wait=20"))
        await asyncio.sleep(0.1)  # it waits by then, or finds the Result
        await door.router.answer(door.router.by_id("t-1")[0], "translation")
        assert (await asking).status_code == 200
    assert len(door.router.by_id("t-1")) == 1
    async with serving(door.settings, door.router) as later:

        async def complete() -> bool:
            return (await later.get(place)).status_code == 200

        await eventually(complete)
        assert (await later.post(TWO | {"text": "another"}, idempotency_key="t-1")).status_code == 409


async def test_what_stands_in_redis_is_sealed(door: FrontDoor, redis_server: Redis, prefix: str) -> None:
    await door.post(TWO | {"reference": {"ticket": "a secret reference"}}, idempotency_key="t-1", prefer="wait=20")
    async with Client.from_url(redis_server.url) as redis:

        async def names() -> list[bytes]:
            return await redis.keys(f"{prefix}:door:*")

        await eventually(names)
        (name,) = await names()
        value = await redis.get(name)
        assert b"balance" not in value
        assert b"Hallo" not in value
        assert 86_000 < await redis.ttl(name) <= 86_400
        await redis.set(f"{prefix}:door:{ids.derive(ids.TEXT, '/web', 't-2')}", value)
    moved = await door.get(f"/v1/texts/{ids.derive(ids.TEXT, '/web', 't-2')}")
    assert moved.status_code == 404


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


async def test_lines_get_a_status_each_in_their_order(door: FrontDoor) -> None:
    door.router.answers = lambda text_id, _: text_id != "batch/4"
    lines = [json.dumps(BODY), "{", json.dumps(BODY | {"tenant": "globex"}), json.dumps(BODY), "", json.dumps(BODY)]
    headers = {"idempotency_key": "batch", "prefer": "wait=1", "content_type": "application/x-ndjson"}
    answer = await door.post("\n".join(lines).encode(), **headers)
    assert answer.status_code == 200
    found = [json.loads(line) for line in answer.text.splitlines()]
    assert [(each["line"], each["status"]) for each in found] == [(1, 200), (2, 422), (3, 403), (4, 202), (6, 200)]
    assert (found[1]["code"], found[3]["id"], found[4]["complete"]) == ("invalid_json", "batch/4", True)
    again = await door.post("\n".join(lines).encode(), **headers)
    assert again.text.splitlines()[0] == answer.text.splitlines()[0]
    too_many = await door.post(b"{}\n" * 1001, content_type="application/x-ndjson")
    assert (too_many.status_code, too_many.json()["code"]) == (413, "too_many_lines")


async def test_a_text_that_is_waited_for_again_is_published_under_the_same_id(door: FrontDoor) -> None:
    """A rejected one: what was wrong may be repaired."""
    door.router.answers = lambda *_: False
    asking = asyncio.create_task(door.post(BODY, idempotency_key="t-1", prefer="wait=20"))
    await door.router.reject(await door.router.came("t-1"), "foreign_source", "source: not one of the tenant's")
    assert (await asking).status_code == 422
    door.router.answers = lambda *_: True
    assert (await door.post(BODY, idempotency_key="t-1", prefer="wait=20")).status_code == 200
    assert len({TopicPartition(each.topic, each.partition) for each in door.router.by_id("t-1")}) == 1
