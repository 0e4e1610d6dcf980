"""Who may write texts cannot write them in another tenant's name: the real router and frontier, fixed answers."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from conftest import Kafka, WritePolicy
from sprat.kafka.publisher import OutRecord, Publisher
from sprat_contracts import (
    SIGNATURE_HEADER,
    TASKS,
    DeadLetterReason,
    EgressRecord,
    Envelope,
    FrontierAnswered,
    FrontierRequested,
    Message,
    Prediction,
    Result,
    Topics,
    Traceparent,
    decode,
    encode,
    sign,
)
from sprat_operations import replay
from sprat_operations.dead_letters import read_dead_letter
from sprat_router.__main__ import RouterSettings
from sprat_router.__main__ import build as build_router
from sprat_testing.answers import AnswersFile, FixedAnswer, FixedAnswers
from sprat_testing.fixed import FixedModels
from sprat_testing.fixed_frontier import FixedFrontier
from sprat_testing.service import running
from support.frontier_parts import AUDIT
from support.metrics import Metrics
from support.router_records import reread
from support.stream import SIGNATURES, eventually, lag, made_topics, producing, read_all, settings_for

OLD, NEW, FORGED = ("the key of last year, thirty-two b", "the key of this year, thirty-two b", "f" * 32)
DOOR = "the key of the door, thirty-two b"
KEYS = {"BANK_KEY": NEW, "BANK_KEY_OLD": OLD, "BANK_DOOR_KEY": DOOR}
POLICY = """
tenants:
  bank:
    frontier: allow
    regions: [local]
    sources: [/bank/*]
    signing_keys: ['${BANK_KEY}', '${BANK_KEY_OLD}']
    door_sources: [/web/bank]
    door_keys: ['${BANK_DOOR_KEY}']
  shop: {frontier: allow, regions: [local], sources: [/shop/*]}
  free: {frontier: allow, regions: [local]}
"""
RETIRED = POLICY.replace(", '${BANK_KEY_OLD}'", "")
GROUPS = ("router", "fixed", "frontier")
EASY, HARD = "an easy text of Anna Schmidt", "a hard text of Anna Schmidt"
ANSWERS = FixedAnswers(
    answers=(
        FixedAnswer(task="intent", contains="easy", label="small"),
        FixedAnswer(task="intent", contains="hard", label="small", confidence=0.1),
        FixedAnswer(task="intent", contains="hard", label="large", by="frontier"),
        FixedAnswer(task="ner", by="frontier"),
    )
)


@dataclass
class Installation:
    """What is published, and what has come of it when nothing is on its way any more."""

    kafka: Kafka
    topics: Topics
    producer: AIOKafkaProducer
    results: list[Result] = field(default_factory=list)
    letters: list[Any] = field(default_factory=list)
    egress: list[EgressRecord] = field(default_factory=list)
    answers: list[FrontierAnswered] = field(default_factory=list)

    async def submit(
        self,
        id: str,
        tenant: str,
        source: str | None,
        *,
        text: str = HARD,
        key: str | None = None,
        signed: Mapping[str, str] | None = None,
        structured: bool = False,
        **fields: Any,
    ) -> None:
        """Publish a text; signed with `key`, for what `signed` says instead of its own tenant, source, id and text.

        In structured mode, the signed value is the whole event; `signed` may say `{"value": "data"}`.
        """
        unique = f"{text}, {id}"  # equal questions of a tenant share one call
        value = json.dumps({"text": unique, "tasks": {"intent": {}}, "tenant": tenant} | fields).encode()
        headers = [] if source is None else _cloudevent(id, source)
        if structured:
            signed = {"value": value.decode()} if signed == {"value": "data"} else signed
            event = {name.removeprefix("ce_"): each.decode() for name, each in headers}
            value = json.dumps(event | {"data": json.loads(value)}).encode()
            headers = [("content-type", b"application/cloudevents+json")]
        if key is not None:
            about = {"tenant": tenant, "source": source or "", "id": id} | (signed or {})
            over = about.pop("value", value.decode()).encode()
            headers.append((SIGNATURE_HEADER, sign(key.encode(), **about, value=over)))
        await self.producer.send_and_wait(self.topics.texts, value, id.encode(), headers=headers)

    async def write(self, topic: str, message: Message) -> None:
        """Publish a message on a topic of the services, as one of them."""
        envelope = Envelope("forged", "/forged", Traceparent.root("/forged", "forged"))
        value, headers = encode(message, envelope)
        record = SIGNATURES.sign(OutRecord(topic, b"key", value, headers))
        await self.producer.send_and_wait(topic, value, record.key, headers=list(record.headers))

    async def settle(self) -> None:
        """Wait until nothing is on its way, and read what there is."""
        topics = self.topics
        read = (topics.texts, *map(topics.predictions, TASKS), topics.frontier_requests, topics.frontier_answers)
        reads = {"router": (*read[:-2], read[-1]), "fixed": read[:1], "frontier": read[-2:-1]}

        async def quiet() -> bool:
            return not sum([await lag(self.kafka.bootstrap, f"{topics.prefix}.{name}", reads[name]) for name in GROUPS])

        await eventually(quiet, 60)
        await asyncio.sleep(0.3)  # a record may go from one group to another between two looks
        await eventually(quiet, 60)
        self.results = [decode(each, Result).message for each in await self.read(*map(topics.results, TASKS))]
        self.letters = await self.read(topics.dead_letters)
        self.egress = [decode(each, EgressRecord).message for each in await self.read(topics.egress)]
        self.answers = [decode(each, FrontierAnswered).message for each in await self.read(topics.frontier_answers)]

    async def read(self, *topics: str) -> Sequence[Any]:
        return await read_all(self.kafka.bootstrap, *topics)

    def ended(self, id: str) -> list[tuple[str, str]]:
        """Return the status and source of each Result of a text."""
        return [(each.status, each.source) for each in self.results if each.text_id == id]

    def codes(self, key: str) -> list[str]:
        """Return the codes of the dead letters of a text."""
        return [DeadLetterReason.from_headers(each.headers).code for each in self.letters if each.key == key.encode()]


def _cloudevent(id: str, source: str) -> list[tuple[str, bytes]]:
    names = {"specversion": "1.0", "id": id, "source": source, "type": "dev.sprat.text.submitted.v1"}
    return [(f"ce_{name}", value.encode()) for name, value in names.items()]


@asynccontextmanager
async def installation(kafka: Kafka, prefix: str, policy: Path) -> AsyncIterator[Installation]:
    """Run router, small models and frontier in this process."""
    common = settings_for(kafka.bootstrap, prefix)
    topics = await made_topics(common)
    fields = {name: getattr(common, name) for name in ("kafka", "redis", "secret", "health_port", "drain_s")}
    settings = RouterSettings(policy=policy, lag_every_s=0, _env_file=None, **fields)
    file = policy.with_name("answers.json")
    ANSWERS.write(file)
    answers = AnswersFile(file)
    builds = (build_router, FixedModels(answers).build, FixedFrontier(answers, AUDIT).build)
    async with AsyncExitStack() as stack:
        contexts = [
            await stack.enter_async_context(running(name, settings, build))
            for name, build in zip(GROUPS, builds, strict=True)
        ]
        producer = await stack.enter_async_context(producing(kafka.bootstrap))
        await eventually(lambda: all(context.consumers[0].assignment() for context in contexts))
        yield Installation(kafka, topics, producer)


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
async def sprat(
    kafka: Kafka,
    prefix: str,
    write_policy: WritePolicy,
    keys: None,
    metrics: Metrics,  # before anything is counted
) -> AsyncIterator[Installation]:
    async with installation(kafka, prefix, write_policy(POLICY)) as running_:
        yield running_


ACCEPTED: dict[str, dict[str, Any]] = {
    "signed": {"tenant": "bank", "source": "/bank/mail", "key": NEW},
    "signed-easy": {"tenant": "bank", "source": "/bank/mail", "key": NEW, "text": EASY},
    "signed-with-the-old-key": {"tenant": "bank", "source": "/bank/mail", "key": OLD},
    "signed-for-no-service": {
        "tenant": "bank",
        "source": "/bank/mail",
        "key": NEW,
        "tasks": {"ner": {"model": "nobody"}},
    },
    "signed-in-structured-mode": {"tenant": "bank", "source": "/bank/mail", "key": NEW, "structured": True},
    "signed-by-the-door": {"tenant": "bank", "source": "/web/bank", "key": DOOR},
    "bound": {"tenant": "shop", "source": "/shop/chat"},
    "unbound": {"tenant": "free", "source": "/crm"},
    "unbound-with-a-signature-of-no-use": {"tenant": "free", "source": "/crm", "key": FORGED},
}
FOREIGN: dict[str, dict[str, Any]] = {
    "another-tenants-source": {"tenant": "free", "source": "/shop/chat"},
    "another-tenants-source-easy": {"tenant": "free", "source": "/shop/chat", "text": EASY},
    "a-tenant-without-policy": {"tenant": "nobody", "source": "/bank/mail"},
    "another-tenant": {"tenant": "shop", "source": "/crm"},
    "another-tenants-door": {"tenant": "free", "source": "/web/bank", "key": DOOR},
    "bound-to-bound": {"tenant": "shop", "source": "/bank/mail"},
    "plain-json-of-a-bound-tenant": {"tenant": "shop", "source": None},
    "structured-from-elsewhere": {"tenant": "shop", "source": "/crm", "structured": True},
    "signed-from-elsewhere": {"tenant": "bank", "source": "/crm", "key": NEW},
    "no-service-from-elsewhere": {"tenant": "shop", "source": "/crm", "tasks": {"ner": {"model": "nobody"}}},
    "unknown-task-from-elsewhere": {"tenant": "shop", "source": "/crm", "tasks": {"intent": {}, "Anna Schmidt": {}}},
}
UNSIGNED: dict[str, dict[str, Any]] = {
    "not-signed": {"tenant": "bank", "source": "/bank/mail"},
    "forged": {"tenant": "bank", "source": "/bank/mail", "key": FORGED},
    "signed-by-the-door-for-another-source": {"tenant": "bank", "source": "/bank/mail", "key": DOOR},
    "forged-by-the-door": {"tenant": "bank", "source": "/web/bank", "key": FORGED},
    "forged-easy": {"tenant": "bank", "source": "/bank/mail", "key": FORGED, "text": EASY},
    "signed-for-another-tenant": {"tenant": "bank", "source": "/bank/mail", "key": NEW, "signed": {"tenant": "shop"}},
    "signed-for-another-source": {
        "tenant": "bank",
        "source": "/bank/mail",
        "key": NEW,
        "signed": {"source": "/bank/mai"},
    },
    "signed-for-another-id": {"tenant": "bank", "source": "/bank/mail", "key": NEW, "signed": {"id": "x"}},
    "signed-for-another-value": {"tenant": "bank", "source": "/bank/mail", "key": NEW, "signed": {"value": "{}"}},
    "signed-for-its-data-alone": {
        "tenant": "bank",
        "source": "/bank/mail",
        "key": NEW,
        "structured": True,
        "signed": {"value": "data"},
    },
    "no-service-forged": {
        "tenant": "bank",
        "source": "/bank/mail",
        "key": FORGED,
        "tasks": {"ner": {"model": "nobody"}},
    },
}


async def test_foreign_and_forged_texts_are_one_dead_letter_each_and_nothing_of_them_leaves(
    sprat: Installation, metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    for id, how in (ACCEPTED | FOREIGN | UNSIGNED).items():
        await sprat.submit(id, **how)
    await sprat.settle()

    for id in ACCEPTED:
        easy = id == "signed-easy"
        assert sprat.ended(id) == [("answered", "small" if easy else "frontier")], id
        assert sprat.codes(id) == []
    for refused, code in ((FOREIGN, "foreign_source"), (UNSIGNED, "bad_signature")):
        for id in refused:
            assert sprat.codes(id) == [code], id
        assert metrics.value("sprat.dead_letters", reason=code) == len(refused)
    ids = {result.text_id for result in sprat.results}
    assert ids == ACCEPTED.keys()
    asked = [record.tenant for record in sprat.egress if record.phase == "attempt"]
    assert sorted(asked) == ["bank"] * 5 + ["free"] * 2 + ["shop"], "nothing of a foreign text left"
    # Small models have answered for these before anybody judged; their predictions end at the router.
    served = [id for id, how in FOREIGN.items() if "nobody" not in str(how.get("tasks"))]
    assert metrics.value("sprat.skipped", reason="foreign_source") == len(served)
    assert metrics.value("sprat.skipped", reason="bad_signature") == len(UNSIGNED) - 1

    said = caplog.text + "".join(
        DeadLetterReason.from_headers(letter.headers).detail for letter in sprat.letters if letter.key is not None
    )
    assert not [word for word in ("Anna", "/bank", "/shop", "/web", NEW, OLD, DOOR, FORGED, "v1=") if word in said]


async def test_forged_records_of_a_foreign_text_on_internal_topics_come_to_nothing(
    sprat: Installation, metrics: Metrics
) -> None:
    """A prediction without the fields is also what a specialist of an earlier version writes."""
    await sprat.submit("real", "bank", "/bank/mail", key=NEW)
    await sprat.settle()
    (record,) = await sprat.read(sprat.topics.predictions("intent"))
    real = decode(record, Prediction).message
    fields = real.model_dump(mode="json")
    del fields["text_signature"]
    older = reread(Prediction, fields | {"text_id": "older"})
    moved = real.model_copy(update={"text_id": "moved"})
    signed_by_nobody = [older, moved]
    foreign = [reread(Prediction, fields | {"text_source": "/else"})]
    for prediction in (*signed_by_nobody, *foreign):
        await sprat.write(sprat.topics.predictions("intent"), prediction)
        request = FrontierRequested(prediction=prediction, reasons=("low_confidence",), labels=("large",))
        await sprat.write(sprat.topics.frontier_requests, request)
    await sprat.settle()
    assert [result.text_id for result in sprat.results] == ["real"]
    assert [answer.request.prediction.text_id for answer in sprat.answers] == ["real"]
    assert len(sprat.egress) == 2, "attempt and outcome of the real one"
    assert sprat.letters == []
    assert metrics.value("sprat.skipped", reason="bad_signature") == 2 * len(signed_by_nobody)
    assert metrics.value("sprat.skipped", reason="foreign_source") == 2 * len(foreign)


async def test_a_replay_of_a_signed_text_is_still_signed_and_the_same_text_again(sprat: Installation) -> None:
    await sprat.submit("odd", "bank", "/bank/mail", text=EASY, key=NEW, tasks={"intent": {}, "mood": {}})
    await sprat.submit("forged", "bank", "/bank/mail", text=EASY, key=FORGED)
    await sprat.settle()
    letters = [read_dead_letter(record, SIGNATURES) for record in sprat.letters]
    planned = replay.plan(letters, letters, sprat.topics, SIGNATURES)
    assert len(planned.replays) == 2
    publisher = Publisher(settings_for(sprat.kafka.bootstrap, sprat.topics.prefix).kafka, "test-replay")
    await publisher.start()
    await replay.send(publisher, planned.replays, lambda _: None, lambda _: None)
    await publisher.stop()
    await sprat.settle()
    assert sprat.codes("odd") == ["unknown_task"] * 2, "its signature is right at each turn"
    assert sprat.codes("forged") == ["bad_signature"] * 2
    assert sprat.ended("odd") == [("answered", "small")] * 2
    assert sprat.ended("forged") == []
    ids = {decode(each, Result).envelope.id for each in await sprat.read(sprat.topics.results("intent"))}
    assert len(ids) == 1


async def test_a_retired_key_signs_no_more(kafka: Kafka, prefix: str, write_policy: WritePolicy, keys: None) -> None:
    async with installation(kafka, prefix, write_policy(RETIRED)) as sprat:
        await sprat.submit("new", "bank", "/bank/mail", key=NEW)
        await sprat.submit("old", "bank", "/bank/mail", key=OLD)
        await sprat.settle()
    assert (sprat.ended("new"), sprat.codes("new")) == ([("answered", "frontier")], [])
    assert (sprat.ended("old"), sprat.codes("old")) == ([], ["bad_signature"])
