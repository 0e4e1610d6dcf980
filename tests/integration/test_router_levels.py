"""A running router judges by goal and level, while services with and without thresholds answer side by side."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

from conftest import Kafka
from sprat.base.settings import ServiceSettings
from sprat.base.thresholds import ThresholdsFile, write_thresholds
from sprat.context import ServiceContext, Subscription
from sprat_contracts import Result, Topics, decode
from sprat_inference.serving import serve_model
from sprat_inference.specialist import SpecialistHandler
from sprat_router.__main__ import RouterSettings
from sprat_router.__main__ import build as build_router
from sprat_testing.service import running
from support.measured import thresholds
from support.stream import SECRET, FakeModel, made_topics, publish, read_until, settings_for

EACH = 20


@asynccontextmanager
async def routed(kafka: Kafka, prefix: str, folder: Path, policy: str) -> AsyncIterator[tuple[Topics, ServiceSettings]]:
    common = settings_for(kafka.bootstrap, prefix)
    topics = await made_topics(common)
    (folder / "policy.yaml").write_text(policy)
    own = {name: getattr(common, name) for name in ("kafka", "redis", "health_port", "drain_s")}
    settings = RouterSettings(policy=folder / "policy.yaml", secret=SECRET, _env_file=None, **own)
    async with running("router", settings, partial(build_router, policy_check_grace_s=0)):
        yield topics, common


async def build(
    context: ServiceContext, settings: ServiceSettings, *, file: Path | None = None, confidence: float = 0.9
) -> Subscription:
    """Serve a model, with the thresholds of a file that it follows, or as a release without them."""
    model = FakeModel(confidence=confidence)
    found = None if file is None else ThresholdsFile(file, model_version=model.card.version)
    return await serve_model(context, model, "default", SpecialistHandler, found, read_thresholds_every_s=0.05)


async def results(kafka: Kafka, topics: Topics, count: int) -> list[Result]:
    records = await read_until(kafka.bootstrap, [topics.results("intent")], count)
    return [decode(record, Result).message for record in records]


async def send(kafka: Kafka, topics: Topics, start: int, count: int = EACH) -> None:
    texts = [f"text {number}" for number in range(start, start + count)]
    await publish(
        kafka.bootstrap, topics.texts, [json.dumps({"text": each, "tasks": {"intent": {}}}).encode() for each in texts]
    )


async def test_services_with_and_without_thresholds_answer_side_by_side_and_every_text_ends_once(
    kafka: Kafka, prefix: str, tmp_path: Path
) -> None:
    file = tmp_path / "thresholds.json"
    write_thresholds(file, thresholds(model_version=FakeModel().card.version))
    async with routed(kafka, prefix, tmp_path, "tasks: {}") as (topics, common), AsyncExitStack() as old:
        await old.enter_async_context(running("intent", common, build))
        await send(kafka, topics, 0)
        await results(kafka, topics, EACH)
        async with running("intent", common, partial(build, file=file)):
            await send(kafka, topics, EACH)
            await old.aclose()
            await send(kafka, topics, 2 * EACH)
            found = await results(kafka, topics, 3 * EACH)
    assert len({(each.text_source, each.text_id) for each in found}) == len(found) == 3 * EACH
    assert {(each.status, each.route.decision, each.route.goal, each.route.evidence) for each in found} == {
        ("answered", "kept", 0.97, "estimated")
    }
    by_card = [each for each in found if each.route.level is None]
    by_level = [each for each in found if each.route.level is not None]
    assert {each.route.threshold for each in by_card} == {0.5}, "the number of the announced card"
    assert {(each.route.level, each.route.threshold) for each in by_level} == {(0.97, None)}
    assert (len(by_card) >= EACH, len(by_level) >= EACH) == (True, True)


async def test_a_certified_goal_keeps_nothing_until_the_file_of_the_running_service_reaches_it(
    kafka: Kafka, prefix: str, tmp_path: Path
) -> None:
    file, version = tmp_path / "thresholds.json", FakeModel().card.version
    write_thresholds(file, thresholds(model_version=version, certified=0.95))
    policy = "tasks: {intent: {goal: 0.97, evidence: certified}}\ntenants: {}"
    async with AsyncExitStack() as stack:
        topics, common = await stack.enter_async_context(routed(kafka, prefix, tmp_path, policy))
        await stack.enter_async_context(running("intent", common, partial(build, file=file)))
        await send(kafka, topics, 0)
        requests = await read_until(kafka.bootstrap, [topics.frontier_requests], EACH)
        assert {tuple(json.loads(each.value)["reasons"]) for each in requests} == {("not_certified",)}
        write_thresholds(file, thresholds(model_version=version, certified=0.9))
        sent, kept = EACH, []
        async with asyncio.timeout(20):
            while not kept:
                await send(kafka, topics, sent, 1)
                sent += 1
                await asyncio.sleep(0.2)
                kept = await read_until(kafka.bootstrap, [topics.results("intent")], 0)
    route = decode(kept[0], Result).message.route
    assert (route.decision, route.goal, route.evidence, route.level) == ("kept", 0.97, "certified", 0.97)
