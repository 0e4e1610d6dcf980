"""Texts without a language in an installation whose default is German: the small model, the router and the Results."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from conftest import Kafka
from sprat.base.settings import ServiceSettings
from sprat.context import ServiceContext, Subscription
from sprat_contracts import FrontierRequested, Prediction, Result, TextSubmitted, Topics, decode
from sprat_inference.serving import serve_model
from sprat_inference.specialist import SpecialistHandler
from sprat_langid import classifier
from sprat_router.__main__ import RouterSettings
from sprat_router.__main__ import build as build_router
from sprat_testing.service import running
from support.stream import SECRET, FakeModel, made_topics, publish, read_until, settings_for

POLICY = "tasks: {intent: {keep_at: 0.5}}"


def text(body: str = "Wo bleibt meine Bestellung?", **fields: Any) -> bytes:
    return json.dumps({"text": body, "tasks": {"intent": {}}, **fields}).encode()


def structured(value: bytes) -> bytes:
    event = {"specversion": "1.0", "id": "s-1", "source": "/crm", "type": TextSubmitted.event_type}
    return json.dumps(event | {"data": json.loads(value)}).encode()


@asynccontextmanager
async def german(
    kafka: Kafka, prefix: str, folder: Path, *languages: str, default: str = "de"
) -> AsyncIterator[Topics]:
    """Run a router, and a model of these languages where some are named; both with this default language."""
    common = settings_for(kafka.bootstrap, prefix, default_language=default)
    topics = await made_topics(common)
    policy = folder / "policy.yaml"
    policy.write_text(POLICY)
    own = {name: getattr(common, name) for name in ("kafka", "redis", "health_port", "drain_s", "default_language")}
    settings = RouterSettings(policy=policy, secret=SECRET, _env_file=None, **own)

    async def build(context: ServiceContext, settings: ServiceSettings) -> Subscription:
        model = FakeModel()
        model.card = model.card.model_copy(update={"languages": languages})
        return await serve_model(context, model, "default", SpecialistHandler)

    async with running("router", settings, partial(build_router, policy_check_grace_s=0)):
        if not languages:
            yield topics
            return
        async with running("intent", common, build):
            yield topics


async def test_a_german_model_answers_them_and_their_results_say_german(
    kafka: Kafka, prefix: str, tmp_path: Path
) -> None:
    async with german(kafka, prefix, tmp_path, "de") as topics:
        await publish(kafka.bootstrap, topics.texts, [text(), structured(text())])
        event = {"specversion": "1.0", "id": "b-1", "source": "/crm", "type": TextSubmitted.event_type}
        binary = [(f"ce_{name}", given.encode()) for name, given in event.items()]
        await publish(kafka.bootstrap, topics.texts, [text(language=None)], binary)
        results = await read_until(kafka.bootstrap, [topics.results("intent")], 3)
        predictions = await read_until(kafka.bootstrap, [topics.predictions("intent")], 3)
    found = [decode(record, Result).message for record in results]
    assert [(each.status, each.source, each.language, each.language_detected) for each in found] == [
        ("answered", "small", "de", None)
    ] * 3
    assert {json.loads(record.value)["submitted"]["language"] for record in predictions} == {"de"}


async def test_with_auto_the_detector_is_loaded_before_the_first_text_and_its_result_says_what_was_detected(
    kafka: Kafka, prefix: str, tmp_path: Path
) -> None:
    classifier.cache_clear()
    async with german(kafka, prefix, tmp_path, "de", default="auto") as topics:
        assert classifier.cache_info().currsize == 1
        await publish(kafka.bootstrap, topics.texts, [text()])
        (record,) = await read_until(kafka.bootstrap, [topics.results("intent")], 1)
    found = decode(record, Result).message
    assert found.language_detected is not None
    assert (found.status, found.language, found.language_detected.language) == ("answered", "auto", "de")


async def test_a_model_without_german_declines_them_and_answers_those_that_say_english(
    kafka: Kafka, prefix: str, tmp_path: Path
) -> None:
    async with german(kafka, prefix, tmp_path, "en") as topics:
        await publish(kafka.bootstrap, topics.texts, [text(), text("where is my order", language="en")])
        requests = await read_until(kafka.bootstrap, [topics.frontier_requests], 1)
        results = await read_until(kafka.bootstrap, [topics.results("intent")], 1)
    declined = decode(requests[0], FrontierRequested).message.prediction
    assert declined.declined is not None
    assert (declined.declined.code, declined.submitted.language) == ("language", "de")
    assert "intent/default serves en" in declined.declined.detail
    kept = decode(results[0], Result).message
    assert (kept.status, kept.language) == ("answered", "en")


async def test_where_no_service_is_announced_the_router_asks_for_them_in_german(
    kafka: Kafka, prefix: str, tmp_path: Path
) -> None:
    async with german(kafka, prefix, tmp_path) as topics:
        await publish(kafka.bootstrap, topics.texts, [text()])
        (record,) = await read_until(kafka.bootstrap, [topics.frontier_requests], 1)
    request = decode(record, FrontierRequested).message
    prediction: Prediction = request.prediction
    assert (request.reasons, prediction.submitted.language) == (("no_service",), "de")
