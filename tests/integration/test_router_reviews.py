"""A running router draws what it keeps, and reads the alarms to their end before it decides."""

import json
from functools import partial
from pathlib import Path

from conftest import Kafka
from sprat.base.review_tokens import ReviewTokens
from sprat.base.settings import ServiceSettings
from sprat.context import ServiceContext, Subscription
from sprat.kafka.signatures import Signatures
from sprat.registry.alarms import alarm_record, cleared
from sprat_contracts import AlarmRaised, Envelope, ReviewAsked, ReviewCell, Topics, decode
from sprat_contracts.ids import REVIEW, derive
from sprat_inference.serving import serve_model
from sprat_inference.specialist import SpecialistHandler
from sprat_router.__main__ import RouterSettings, build
from sprat_testing.service import running
from support.stream import (
    FORGED,
    SECRET,
    SIGNATURES,
    FakeModel,
    made_topics,
    producing,
    publish,
    read_until,
    settings_for,
)

POLICY = """
tasks: {intent: {on_alarm: escalate, review: {share: 1, per_day: 1000000}}}
tenants: {acme: {}}
"""
ALARM = AlarmRaised(
    kind="errors", task="intent", cell=ReviewCell(tenant="acme", language="en"), number=1, steps=1, raised_at=1
)


async def serve(context: ServiceContext, settings: ServiceSettings) -> Subscription:
    return await serve_model(context, FakeModel(), "default", SpecialistHandler)


async def test_kept_answers_are_drawn_and_an_alarm_that_stands_keeps_nothing_of_its_cell(
    kafka: Kafka, prefix: str, tmp_path: Path
) -> None:
    common = settings_for(kafka.bootstrap, prefix)
    topics = await made_topics(common)
    (tmp_path / "policy.yaml").write_text(POLICY)
    own = {name: getattr(common, name) for name in ("kafka", "redis", "health_port", "drain_s")}
    settings = RouterSettings(policy=tmp_path / "policy.yaml", secret=SECRET, _env_file=None, **own)
    await _raise(kafka, topics, ALARM.model_copy(update={"cell": ReviewCell(), "number": 9}), FORGED)
    async with (
        running("router", settings, partial(build, policy_check_grace_s=0)),
        running("intent", common, serve),
    ):
        await _send(kafka, topics, 3)
        drawn = await read_until(kafka.bootstrap, [topics.reviews], 3)
        await read_until(kafka.bootstrap, [topics.results("intent")], 3)
        await _raise(kafka, topics, ALARM)
        await _send(kafka, topics, 1)
        await _send(kafka, topics, 1, tenant="another")
        requests = await read_until(kafka.bootstrap, [topics.frontier_requests], 1)
        await read_until(kafka.bootstrap, [topics.results("intent")], 4)
        await _raise(kafka, topics, cleared(ALARM, "lee", "a holiday", None))
        await _raise(kafka, topics, ALARM)  # somebody writes the old one once more
        await _send(kafka, topics, 2)
        await read_until(kafka.bootstrap, [topics.results("intent")], 6)
        drawn_in_all = await read_until(kafka.bootstrap, [topics.reviews], 6)
    assert [json.loads(each.value)["reasons"] for each in requests] == [["alarm"]]
    assert len(drawn_in_all) == 6
    tokens = ReviewTokens(settings.keys)
    for record in drawn:
        envelope, asked = _read(record)
        of = asked.prediction
        assert SIGNATURES.accepts(record)
        assert (record.key, envelope.id) == (b"intent", str(derive(REVIEW, of.text_source, of.text_id, "intent")))
        assert asked.cell == ReviewCell(tenant="acme", language="en")
        assert (asked.share, asked.full, asked.hash) == (1, False, tokens.hash(of.text_source, of.text_id, "intent"))
        assert tokens.is_of(asked, asked.token)


def _read(record: object) -> tuple[Envelope, ReviewAsked]:
    decoded = decode(record, ReviewAsked)
    return decoded.envelope, decoded.message


async def _send(kafka: Kafka, topics: Topics, count: int, tenant: str = "acme") -> None:
    text = {"text": "hello", "tasks": {"intent": {}}, "tenant": tenant, "language": "en"}
    await publish(kafka.bootstrap, topics.texts, [json.dumps(text).encode()] * count)


async def _raise(kafka: Kafka, topics: Topics, alarm: AlarmRaised, signatures: Signatures = SIGNATURES) -> None:
    record = alarm_record(topics, alarm, f"/{topics.prefix}/guardian", signatures)
    async with producing(kafka.bootstrap) as producer:
        await producer.send_and_wait(record.topic, record.value, record.key, headers=record.headers)
