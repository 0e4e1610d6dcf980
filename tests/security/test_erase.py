"""`sprat erase` on a real broker and a real Redis: it lists every record of a person or a tenant, and no other."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr
from redis.asyncio import Redis as Client
from typer.testing import CliRunner

from conftest import Kafka, Redis
from sprat.base.keys import Keys
from sprat.base.sealing import Seal
from sprat.base.settings import RedisSettings
from sprat.processing.cache import RedisCache, cache_key
from sprat_cli.main import app
from sprat_contracts import Origin, Record, TextSubmitted, Topics
from sprat_contracts.ids import TEXT, derive
from sprat_operations.gateway_stores import GatewayStore, gateway_namespace, keep_noted
from sprat_operations.record_summary import RecordKind
from sprat_operations.topics import create_topics
from support.cli_records import environment
from support.page_store import filled_store
from support.stream import eventually, open_transaction, producing
from support.traced_records import TracedText

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET = SecretStr("the secret of this installation")
PREVIOUS = SecretStr("the other secret of the rotation")
DAY_MS = 86_400_000


class PersonsText(TracedText):
    """A text of a person: with a key, words and a tenant of its own."""

    def __init__(self, topics: Topics, id: str, key: str, tenant: str) -> None:
        super().__init__(id, topics=topics)
        self.key, self.tenant, self.said = key, tenant, f"the words of {key} in {id}"

    @property
    def origin(self) -> Origin:
        _, partition, offset = self.place
        key = base64.b64encode(self.key.encode()).decode()
        return Origin(partition=partition, offset=offset, appended_at=self.began, key=key)

    @property
    def submitted(self) -> TextSubmitted:
        return TextSubmitted(text=self.said, tasks=self.options, tenant=self.tenant)

    def records(self) -> list[Record]:
        """All that it causes: each kind of record."""
        text, rejected = self.text(), self.text()
        attempt = self.call("attempt", 30, tenant=self.tenant)
        hashed = Keys(SECRET).keyed_hash("egress-text", self.tenant, self.said)
        attempt = replace(
            attempt, value=(attempt.value or b"").replace(b'"text_hash":"h"', f'"text_hash":"{hashed}"'.encode())
        )
        keyed = [
            text,
            self.prediction(),
            self.answer(),
            self.result(tenant=self.tenant),
            self.letter(rejected, value=text.value),
        ]
        return [
            *(replace(record, key=self.key.encode()) for record in keyed),
            replace(self.request(), key=b"a hash of tenant and question"),
            attempt,
            replace(self.review(), key=b"intent"),
            self.feedback(),
            self.reviewed(),
            self.review_closed(),
            self.alarm(PersonsText(self.topics, f"{self.id}-x", self.key, self.tenant)),
        ]


@dataclass
class Published:
    bootstrap: str
    topics: Topics
    texts: tuple[PersonsText, ...]
    places: dict[str, set[tuple[str, int, int]]] = field(default_factory=dict)
    """Id of a text → where its records stand."""


@dataclass
class Installation:
    published: Published
    redis_url: str
    cached: dict[str, str] = field(default_factory=dict)
    """Name in Redis → whose."""

    @property
    def places(self) -> dict[str, set[tuple[str, int, int]]]:
        return self.published.places

    async def run(self, *arguments: str, **more: str) -> tuple[int, list[dict[str, Any]], str]:
        """Run the command in a thread of its own, as it has a loop of its own; return exit code, lines and errors."""
        settings = {"SPRAT_SECRET": SECRET.get_secret_value(), "SPRAT_REDIS__URL": self.redis_url} | more
        env = environment(self.published.bootstrap, self.published.topics.prefix, **settings)
        result = await asyncio.to_thread(CliRunner().invoke, app, ["erase", *arguments, "--json"], env=env)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result.exit_code, [json.loads(line) for line in result.stdout.splitlines()], result.stderr


@pytest_asyncio.fixture(loop_scope="module")
async def client(redis_server: Redis) -> AsyncIterator[Client]:
    client = Client.from_url(redis_server.url)
    yield client
    await client.aclose()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def published(kafka: Kafka) -> Published:
    """Publish all records of four texts, once for all tests: none changes them."""
    topics = Topics("erased", 2)
    await create_topics({"bootstrap_servers": kafka.bootstrap}, topics)
    texts = (
        PersonsText(topics, "order-7", "anna", "acme"),
        PersonsText(topics, "order-8", "ben", "acme"),
        PersonsText(topics, "order-9", "anna", "nordic"),
        PersonsText(topics, "order-70", "anna-2", "acme"),
    )
    made = Published(kafka.bootstrap, topics, texts)
    async with producing(kafka.bootstrap) as producer:
        for text in texts:
            for record in text.records():
                place = await producer.send_and_wait(
                    record.topic, record.value, record.key, headers=list(record.headers)
                )
                made.places.setdefault(text.id, set()).add((place.topic, place.partition, place.offset))
    return made


@pytest_asyncio.fixture(loop_scope="module")
async def installation(published: Published, redis_server: Redis) -> Installation:
    """Store two answers to each text and one to each masked text, with either secret."""
    made = Installation(published, redis_server.url)
    settings = RedisSettings.model_validate({"url": redis_server.url, "timeout_s": 5})
    prefix = published.topics.prefix
    for secret in (SECRET, PREVIOUS):
        cache, hash = RedisCache(settings, f"{prefix}:", Seal(Keys(secret))), Keys(secret).keyed_hash
        before = "" if secret is SECRET else " before"
        for text in published.texts:
            keys = {
                cache_key(hash, text.tenant, text.said, "answer", "intent"): f"{text.id}{before}",
                cache_key(hash, text.tenant, text.said, "answer", "ner"): f"{text.id}{before}",
                cache_key(hash, text.tenant, f"masked {text.id}", "frontier-answer"): f"masked {text.id}{before}",
            }
            await cache.put_many(dict.fromkeys(keys, b"a value"))
            made.cached |= {f"{prefix}:{key}": whose for key, whose in keys.items()}
        await cache.close()
    return made


async def left(installation: Installation, client: Client) -> set[str]:
    """Return whose answers are still in Redis."""
    names = [name.decode() async for name in client.scan_iter(match=f"{installation.published.topics.prefix}:*")]
    return {installation.cached[name] for name in names}


def listed(rows: list[dict[str, Any]]) -> set[tuple[str, int, int]]:
    return {(row["topic"], row["partition"], row["offset"]) for row in rows if row["type"] == "record"}


ALL = {
    f"{masked}order-{number}{secret}"
    for masked in ("", "masked ")
    for number in (7, 8, 9, 70)
    for secret in ("", " before")
}


@pytest.mark.parametrize(
    ("arguments", "whose"),
    [
        (("--key", "anna"), {"order-7", "order-9"}),
        (("--text-id", "order-7"), {"order-7"}),
        (("--key", "anna", "--tenant", "acme"), {"order-7"}),
        (("--key", "anna", "--text-id", "order-9", "--tenant", "nordic"), {"order-9"}),
        (("--key", "anna", "--text-id", "order-8"), set()),
        (("--key", "nobody"), set()),
    ],
)
async def test_it_lists_all_records_of_a_person_and_deletes_the_answers_to_the_texts(
    installation: Installation, client: Client, arguments: tuple[str, ...], whose: set[str]
) -> None:
    code, rows, err = await installation.run(*arguments, "--dry-run")
    assert (code, err) == (0, "")
    expected = {place for id in whose for place in installation.places[id]}
    assert listed(rows) == expected
    assert {row["kind"] for row in rows[:-1]} == ({str(kind) for kind in RecordKind} if whose else set())
    assert rows[-1]["redis"] == {"searched": True, "found": 2 * len(whose), "deleted": 0}
    assert await left(installation, client) == ALL, "a dry run deletes nothing"
    code, rows, _ = await installation.run(*arguments)
    assert (code, listed(rows)) == (0, expected)
    assert rows[-1]["redis"] == {"searched": True, "found": 2 * len(whose), "deleted": 2 * len(whose)}
    assert await left(installation, client) == ALL - whose
    assert "words of" not in json.dumps(rows), "no text is shown"


async def test_of_a_tenant_all_answers_are_deleted_those_to_masked_texts_too(
    installation: Installation, client: Client
) -> None:
    previous = {"SPRAT_PREVIOUS_SECRET": PREVIOUS.get_secret_value()}
    code, rows, _ = await installation.run("--tenant", "acme", **previous)
    assert code == 0
    assert listed(rows) == {place for id in ("order-7", "order-8", "order-70") for place in installation.places[id]}
    assert await left(installation, client) == {each for each in ALL if "order-9" in each}


async def test_what_gateways_keep_is_deleted_and_one_on_another_machine_is_named(
    installation: Installation, client: Client, tmp_path: Path
) -> None:
    texts, prefix = installation.published.texts, installation.published.topics.prefix
    kept = {f"{gateway_namespace(prefix)}{derive(TEXT, text.source, text.id)}": text.id for text in texts}
    name, value = GatewayStore("another-host", "/var/lib/sprat").note(prefix)
    await client.mset({name: value} | dict.fromkeys(kept, "sealed"))
    redis = RedisSettings.model_validate({"url": installation.redis_url})
    noting = asyncio.create_task(keep_noted(redis, prefix, tmp_path))
    await eventually(lambda: _is_noted(client, prefix, tmp_path))
    records = [record for text in texts for record in text.records()]
    try:
        async with filled_store(tmp_path, *records, topics=installation.published.topics) as filled:
            code, rows, err = await installation.run("--key", "anna", SPRAT_GATEWAY__DATA=str(tmp_path))
            found = await filled.show(lambda store: store.execute("SELECT text_id FROM texts").fetchall())
        left_in_redis = {id for name, id in kept.items() if await client.exists(name)}
    finally:
        noting.cancel()
        await client.delete(name, GatewayStore.here(tmp_path).note(prefix)[0], *kept)
    assert {id for (id,) in found} == left_in_redis == {"order-8", "order-70"}
    here, there = rows[-1]["gateways"]
    assert (here["folder"], here["texts"], here["problem"]) == (str(tmp_path), 2, None)
    assert (there["host"], there["problem"]) == ("another-host", "on another machine")
    assert "on another-host, folder /var/lib/sprat: on another machine; run there: " in err
    assert "python -m sprat_gateway.erasure --key anna\n" in err
    assert code == 1, "not everything was reached"


async def _is_noted(client: Client, prefix: str, folder: Path) -> bool:
    return bool(await client.exists(GatewayStore.here(folder).note(prefix)[0]))


async def test_each_record_has_the_time_until_which_it_stands(installation: Installation) -> None:
    _, rows, _ = await installation.run("--text-id", "order-7", "--dry-run")
    days = {
        "text": 7, "prediction": 2, "request": 2, "answer": 2, "result": 7, "dead_letter": 14, "feedback": 400,
        "egress": 400, "review": 7, "review_closed": 400,
    }  # fmt: skip
    (alarm,) = (row for row in rows[:-1] if row["kind"] == "alarm")
    assert alarm["expires_at"] is None, "until the next alarm of its place"
    for row in rows[:-1]:
        if row is alarm:
            continue
        assert row["expires_at"] - row["appended_at"] == days[row["kind"]] * DAY_MS
        assert row["gone_by"] > row["expires_at"]
    assert rows[-1]["not_found"], "it says what it does not find"


async def test_without_the_right_secret_nothing_is_found_and_without_any_it_says_what_to_set(
    installation: Installation, client: Client
) -> None:
    _, rows, _ = await installation.run("--key", "anna", SPRAT_SECRET="another secret than theirs")
    assert rows[-1]["redis"]["found"] == 0
    code, rows, err = await installation.run("--key", "anna", SPRAT_SECRET="")
    assert (code, rows) == (2, [])
    assert "SPRAT_SECRET is not set" in err
    code, _, err = await installation.run()
    assert code == 2
    assert "--key KEY, --text-id ID or --tenant NAME" in err
    assert await left(installation, client) == ALL


async def test_what_an_open_transaction_holds_back_is_named_and_is_not_complete(installation: Installation) -> None:
    topic = installation.published.topics.texts
    async with open_transaction(installation.published.bootstrap, topic) as offset:
        code, rows, err = await installation.run("--key", "anna", "--dry-run")
        assert code == 1
        (held,) = rows[-1]["held_back"]
        assert (held["topic"], held["partition"], held["offset"]) == (topic, 0, offset)
        assert f"holds back {topic} partition 0 from offset {offset}: what stands behind was not looked at" in err
        assert f"kafka-transactions.sh --bootstrap-server … abort --topic {topic} --partition 0 --start-offset" in err
    code, rows, _ = await installation.run("--key", "anna", "--dry-run")
    assert (code, rows[-1]["held_back"]) == (0, [])


async def test_where_redis_is_away_the_records_are_listed_and_it_says_that_nothing_is_deleted(
    installation: Installation,
) -> None:
    code, rows, err = await installation.run("--key", "ben", SPRAT_REDIS__URL="redis://127.0.0.1:1/0")
    assert code == 1
    assert listed(rows) == installation.places["order-8"]
    assert rows[-1]["redis"] == {"searched": False, "found": 0, "deleted": 0}
    assert "nothing is deleted" in err
