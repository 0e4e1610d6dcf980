"""`sprat erase` names the records whose tenant cannot be read: they may be the tenant's."""

import asyncio
import json
from typing import Any

import pytest
from typer.testing import CliRunner

from conftest import Kafka, Redis
from sprat_cli.main import app
from sprat_contracts import DeadLetterReason, Topics
from support.cli_records import environment
from support.stream import made_topics, producing, settings_for

_SAID = {"text": "I am Heike", "tasks": {"intent": {}}}
_NESTED = b'{"text": "I am Heike", "tenant": "acme", "tasks": {"intent": {}}, "reference": '
UNREADABLE = {
    "comma": b'{"text": "I am Heike", "tenant": "acme", "tasks": {"intent": {}},}',
    "deep": _NESTED + b"[" * 2000 + b"]" * 2000 + b"}",
    "number": _NESTED + b"1" * 5000 + b"}",
    "list": json.dumps(_SAID | {"tenant": ["acme"]}).encode(),
    "no object": json.dumps([_SAID | {"tenant": "acme"}]).encode(),
    "no value": b"",
    "batch": json.dumps([{"specversion": "1.0", "id": "batch", "data": _SAID | {"tenant": "acme"}}]).encode(),
}
READABLE = {
    "acme": json.dumps(_SAID | {"tenant": "acme"}).encode(),
    "no tasks": b'{"text": "I am Heike", "tenant": "acme"}',
    "nordic": json.dumps(_SAID | {"tenant": "nordic"}).encode(),
    "default": b'{"text": "I am Heike"}',
    "structured": json.dumps(
        {"specversion": "1.0", "id": "structured", "source": "/crm", "data": _SAID | {"tenant": "acme"}}
    ).encode(),
    "not named": json.dumps(
        {"specversion": "1.0", "id": "not named", "source": "/crm", "data": _SAID | {"tenant": "acme"}}
    ).encode(),
}
MODES = {
    "batch": [("content-type", b"application/cloudevents-batch+json")],
    "structured": [("content-type", b"application/cloudevents+json")],
    "not named": [],
}
Place = tuple[str, int, int]


@pytest.fixture
async def places(kafka: Kafka, prefix: str) -> dict[str, set[Place]]:
    """Publish each text, and its dead letter; return where the records of each id are."""
    topics, found = await made_topics(settings_for(kafka.bootstrap, prefix)), {}

    async with producing(kafka.bootstrap) as producer:
        for id, value in (UNREADABLE | READABLE).items():
            headers = [("ce_specversion", b"1.0"), ("ce_id", id.encode()), ("ce_source", b"/crm")]
            headers = MODES[id] if id in {"structured", "not named"} else headers + MODES.get(id, [])
            text = await producer.send_and_wait(topics.texts, value, b"customer-7", headers=headers)
            place = (text.topic, text.partition, text.offset)
            reason = DeadLetterReason("invalid_json", "broken", *place, text.timestamp, "router", "1.2.3")
            letter = await producer.send_and_wait(
                topics.dead_letters, value, b"customer-7", headers=reason.headers(headers, value)
            )
            found[id] = {place, (letter.topic, letter.partition, letter.offset)}
    return found


async def erased(
    kafka: Kafka, prefix: str, redis: Redis, *arguments: str
) -> tuple[dict[str, set[Place]], dict[str, Any], str]:
    """Return the places by type of line, the last line, and what is said beside them."""
    env = environment(kafka.bootstrap, prefix, SPRAT_REDIS__URL=redis.url)
    result = await asyncio.to_thread(CliRunner().invoke, app, ["erase", "--json", "--dry-run", *arguments], env=env)
    assert result.exit_code == 0, result.output
    assert "Heike" not in result.output
    *rows, last = [json.loads(line) for line in result.stdout.splitlines()]
    listed: dict[str, set[Place]] = {}
    for row in rows:
        listed.setdefault(row["type"], set()).add((row["topic"], row["partition"], row["offset"]))
    return listed, last, result.stderr


def of(places: dict[str, set[Place]], *ids: str) -> set[Place]:
    return {place for id in ids for place in places[id]}


async def test_of_a_tenant_what_cannot_be_read_is_listed_as_of_an_unknown_tenant(
    kafka: Kafka, prefix: str, redis_server: Redis, places: dict[str, set[Place]]
) -> None:
    for tenant, own in (
        ("acme", ("acme", "no tasks", "structured", "not named")),
        ("default", ("default",)),
        ("nobody", ()),
    ):
        listed, last, said = await erased(kafka, prefix, redis_server, "--tenant", tenant)
        assert listed.get("record", set()) == of(places, *own)
        assert listed["tenant_unknown"] == of(places, *UNREADABLE)
        assert last["tenant_unknown"] == {Topics(prefix).texts: 7, Topics(prefix).dead_letters: 7}
        assert "14 records whose tenant cannot be read" in said
    env = environment(kafka.bootstrap, prefix, SPRAT_REDIS__URL=redis_server.url)
    shown = await asyncio.to_thread(CliRunner().invoke, app, ["erase", "--dry-run", "--tenant", "acme"], env=env)
    assert shown.stdout.count(" · tenant unknown\n") == 14
    assert shown.stdout.count(" · tenant acme\n") == 8
    assert f"{Topics(prefix).dead_letters}: 4 records, and 7 of an unknown tenant\n" in shown.stdout


@pytest.mark.long
async def test_of_a_text_or_a_person_and_a_tenant_what_cannot_be_read_counts_as_found(
    kafka: Kafka, prefix: str, redis_server: Redis, places: dict[str, set[Place]]
) -> None:
    for id in UNREADABLE:
        listed, last, said = await erased(kafka, prefix, redis_server, "--text-id", id, "--tenant", "acme")
        assert (listed, last["tenant_unknown"]) == ({"record": places[id]}, {})
        assert "2 records whose tenant cannot be read" in said
    listed, _, said = await erased(kafka, prefix, redis_server, "--key", "customer-7", "--tenant", "acme")
    assert listed == {"record": of(places, "acme", "no tasks", "structured", "not named", *UNREADABLE)}
    listed, _, said = await erased(kafka, prefix, redis_server, "--text-id", "structured", "--tenant", "acme")
    assert (listed, said) == ({"record": places["structured"]}, "")
    listed, _, said = await erased(kafka, prefix, redis_server, "--text-id", "acme", "--tenant", "nordic")
    assert (listed, said) == ({}, "")
    listed, _, said = await erased(kafka, prefix, redis_server, "--key", "customer-7")
    assert (listed, said) == ({"record": of(places, *places)}, "")
