"""Where the values of texts stand, `deny` included: exactly in the topics that the page on privacy lists, nowhere else.

One run of router, intent and frontier on a real broker and a real Redis. All records of all topics with their headers
and keys, all of Redis, all log lines, spans and metrics are searched for values planted in each text and correction.
"""

import logging
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

import pytest
import pytest_asyncio
from redis.asyncio import Redis as Client

from conftest import Kafka, Redis
from sprat.telemetry.logs import JsonFormatter, configure_logs
from sprat.telemetry.signals import METRICS
from sprat_contracts import Entity, Envelope, FeedbackGiven, NerOutput, Topics, Traceparent, encode
from support.logs import own_logs
from support.metrics import Metrics
from support.sources import ROOT
from support.spans import Spans
from support.stream import publish, read_all
from support.system import ALLOWED, System, policy_with_reviews, whole_system

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

PREFIX = "stands"
PERSONS = {"allow": "Ottilie Zwerenz", "redact": "Leberecht Quandt", "deny": "Friedegard Xylander"}
"""What the text says of leaving → the person in it."""
BROKEN = "Notburga Ysenburg"
CORRECTED = "Walpurga Vierthaler"
REFERENCE = "note of Ingeborg Jauch"
KEY = "customer-Klothilde-Pfnuer"
PLANTED = (*PERSONS.values(), BROKEN, CORRECTED, REFERENCE)


class Written(logging.Handler):
    """Keeps each line as it is written."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(JsonFormatter("test"))
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@dataclass
class Place:
    """Everything in one place, as bytes."""

    values: bytes
    headers: bytes
    keys: bytes


@dataclass
class Searched:
    topics: Mapping[str, Place]
    redis: Mapping[bytes, bytes]
    lines: list[str]
    spans: str
    metrics: str


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def searched(
    kafka: Kafka, redis_server: Redis, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Searched]:
    metrics, spans, written = Metrics(), Spans(), Written()
    policy = policy_with_reviews(tmp_path_factory.mktemp("policy"))
    with own_logs():
        configure_logs("test", "debug", "json")
        logging.getLogger().addHandler(written)
        async with whole_system(kafka.bootstrap, redis_server.url, PREFIX, exporting=True, policy=policy) as system:
            await take_all_ways(system)
            topics = {topic.name: await place(kafka.bootstrap, topic.name) for topic in system.topics.table()}
        async with Client.from_url(redis_server.url) as client:
            redis = {name: await stored(client, name) async for name in client.scan_iter()}
    emitted = str([metrics.series(metric.name) for metric in METRICS])
    yield Searched(topics, redis, written.lines, spans.words, emitted)


async def stored(client: Client, name: bytes) -> bytes:
    """Return what stands under a name: a value, or the fields and values of a hash, as counts of quotas are kept."""
    kind = await client.type(name)
    if kind == b"hash":
        return b"\n".join(part for field in (await client.hgetall(name)).items() for part in field)
    assert kind in (b"string", b"none"), f"this test does not read a {kind.decode()}"  # none: it has expired
    return await client.get(name) or b""


async def take_all_ways(system: System) -> None:
    """Keep, escalate, mask and decline a text of each rule; draw one; reject one; correct one."""
    key = KEY.encode()
    places = []
    for rule, person in PERSONS.items():
        fields = {"tenant": "nobody" if rule == "deny" else ALLOWED, "frontier": rule, "reference": {"note": REFERENCE}}
        text = f"Please do not move 100 euros from my savings to {person}, thank you"  # doubted, so escalated
        tasks = {"intent": {}, "ner": {}, "translation": {"target": "fi"}}
        places += [await system.submit({"text": text, "tasks": tasks} | fields, key=key) for _ in range(2)]
    for place_ in places:
        for task in ("intent", "ner", "translation"):
            await system.result(place_, task)
    drawn = {"text": "please move 100 euros to my savings", "tasks": {"intent": {}}, "reference": {"note": REFERENCE}}
    kept = await system.result(await system.submit({"tenant": ALLOWED, **drawn}, key=key))
    assert kept.route.decision == "kept", "so it is drawn to be reviewed"
    await system.letter(await system.submit(f"no JSON, says {BROKEN}".encode(), key=key))
    output = NerOutput(entities=(Entity(start=0, end=len(CORRECTED), text=CORRECTED, label="PER"),))
    given = FeedbackGiven(text_id="t-1", text_source="/test", task="ner", output=output, by="agent-3")
    value, headers = encode(given, Envelope("f-1", "/desk", Traceparent("1" * 32, "2" * 16)))
    await publish(system.bootstrap, system.topics.feedback, [value], headers)
    await system.settled()


async def place(bootstrap: str, topic: str) -> Place:
    records = await read_all(bootstrap, topic)
    headers = [name.encode() + b"=" + (value or b"") for record in records for name, value in record.headers]
    values = [record.value or b"" for record in records]
    return Place(b"\n".join(values), b"\n".join(headers), b"\n".join(record.key or b"" for record in records))


def found(content: bytes | str) -> set[str]:
    """Return the planted values of which a part stands there, as it is or as JSON escapes it."""
    text = content if isinstance(content, str) else content.decode("utf-8", "replace")
    return {value for value in PLANTED if any(word in text for word in value.split()[-2:])}


def listed() -> dict[str, tuple[str, int]]:
    """Return the table of the page: topic → what stands there, and for how many days."""
    page = (ROOT / "docs" / "reference" / "masking.md").read_text(encoding="utf-8")
    table = page.split("## Where values are stored")[1].split("## ")[0]
    rows: dict[str, tuple[str, int]] = {}
    for names, what, days in re.findall(r"^\| (`sprat\.[^|]*) \| ([^|]*) \| (\d+) days \|$", table, re.MULTILINE):
        for name in re.findall(r"`sprat\.([^`]*)`", names):
            rows[name] = (what, int(days))
    return rows


def generic(topic: str) -> str:
    return re.sub(r"\.(intent|ner|translation)\.", ".TASK.", topic.removeprefix(f"{PREFIX}."))


async def test_values_stand_in_the_topics_of_the_page_and_in_no_other(searched: Searched) -> None:
    holding = {generic(name) for name, place in searched.topics.items() if found(place.values)}
    assert holding == listed().keys()


async def test_each_topic_keeps_them_as_long_as_the_page_says() -> None:
    kept = {generic(topic.name): topic.retention_ms for topic in Topics(PREFIX).table()}
    assert {name: kept[name] for name in listed()} == {name: days * 86_400_000 for name, (_, days) in listed().items()}


async def test_texts_of_deny_stand_there_too_and_results_hold_what_the_page_says(searched: Searched) -> None:
    topics = searched.topics
    everybody = set(PERSONS.values()) | {REFERENCE}
    assert found(topics[f"{PREFIX}.texts.v1"].values) == everybody | {BROKEN}
    for task in ("intent", "ner", "translation"):
        requests = topics[f"{PREFIX}.frontier.requests.v1"].values
        assert everybody - {PERSONS["deny"]} <= found(requests)
        assert PERSONS["deny"] in found(requests), "the request is declined by the frontier; it stands in the topic"
        assert f'"task":"{task}"'.encode() in requests
    assert found(topics[f"{PREFIX}.results.intent.v1"].values) == {REFERENCE}
    assert PERSONS["redact"] in found(topics[f"{PREFIX}.results.translation.v1"].values), "put back into the answer"
    assert PERSONS["deny"] not in found(topics[f"{PREFIX}.results.translation.v1"].values)
    assert found(topics[f"{PREFIX}.dead-letters.v1"].values) == {BROKEN}
    assert found(topics[f"{PREFIX}.feedback.v1"].values) == {CORRECTED}
    assert topics[f"{PREFIX}.audit.egress.v1"].values
    assert found(topics[f"{PREFIX}.audit.egress.v1"].values) == set()


async def test_no_header_holds_a_value(searched: Searched) -> None:
    assert {name: found(place.headers) for name, place in searched.topics.items() if found(place.headers)} == {}
    assert any(b"ce_id=" in place.headers for place in searched.topics.values())


async def test_keys_are_the_upstreams_own_and_stand_where_its_texts_do(searched: Searched) -> None:
    holding = {generic(name) for name, place in searched.topics.items() if KEY.encode() in place.keys}
    assert holding <= listed().keys() - {"feedback.v1", "frontier.requests.v1", "reviews.v1"}
    assert {name for name, place in searched.topics.items() if found(place.keys)} == set()


async def test_redis_holds_none_neither_in_names_nor_in_values(searched: Searched) -> None:
    assert len([name for name in searched.redis if name.startswith(PREFIX.encode())]) >= 5
    for name, value in searched.redis.items():
        assert found(name) == found(value) == set()
        assert KEY.encode() not in name + value


async def test_logs_spans_and_metrics_hold_none(searched: Searched) -> None:
    assert searched.lines
    assert found("\n".join(searched.lines)) == set()
    assert searched.spans
    assert found(searched.spans) == set()
    assert searched.metrics
    assert found(searched.metrics) == set()
    assert not [line for line in searched.lines if KEY in line]
    assert KEY not in searched.spans + searched.metrics
