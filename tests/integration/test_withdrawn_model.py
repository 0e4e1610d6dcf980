"""A model that is withdrawn while it runs, and one that left texts behind: each pair ends once, and none is lost."""

import json

import pytest

from conftest import Kafka
from sprat.announcing import announce
from sprat.delivery import withdrawn
from sprat.delivery.publisher import Publisher
from sprat.delivery.withdrawn import Withdrawal
from sprat.errors import Fatal
from sprat.model_table import model_key
from sprat.operating.retiring import withdraw
from sprat.serving import announcement, serve_model
from sprat.specialist import Specialist
from sprat_contracts import FrontierRequested, Prediction, Result, decode
from sprat_router.__main__ import RouterSettings
from sprat_router.__main__ import build as build_router
from stream import (
    SECRET,
    FakeModel,
    card,
    eventually,
    lag,
    made_topics,
    publish,
    read_all,
    read_until,
    running,
    settings_for,
)


@pytest.fixture(autouse=True)
def looks_before_each_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(withdrawn, "LOOK_EVERY_S", 0.0)


async def build_hr(chassis, settings):
    return await serve_model(chassis, FakeModel(), "hr", Specialist)


def texts(*bodies: str) -> list[bytes]:
    return [json.dumps({"text": each, "tasks": {"intent": {"model": "hr"}}}).encode() for each in bodies]


def router_settings(common, tmp_path) -> RouterSettings:
    policy = tmp_path / "policy.yaml"
    policy.write_text("tasks: {intent: {keep_at: 0.5}}")
    own = {name: getattr(common, name) for name in ("kafka", "redis", "health_port", "drain_s")}
    return RouterSettings(policy=policy, secret=SECRET, _env_file=None, **own)


async def read_texts(bootstrap: str, topic: str, message) -> list[str]:
    """Give the texts that the topic's records are about, each as often as it is there."""
    found = [decode(record, message).message for record in await read_all(bootstrap, topic)]
    return sorted((each.prediction if message is FrontierRequested else each).submitted.text for each in found)


async def test_a_service_that_goes_on_after_the_retirement_leaves_new_texts_to_the_router(
    kafka: Kafka, prefix: str, tmp_path
) -> None:
    settings = settings_for(kafka.bootstrap, prefix)
    topics = await made_topics(settings)
    async with (
        running("router", router_settings(settings, tmp_path), build_router),
        running("intent", settings, build_hr) as chassis,
    ):
        await publish(kafka.bootstrap, topics.texts, texts("one", "two"))
        await read_until(kafka.bootstrap, [topics.results("intent")], 2)
        ends = await withdraw(settings.kafka.client(), topics, "intent", "hr")
        await publish(kafka.bootstrap, topics.texts, texts("three", "four", "five"))
        await read_until(kafka.bootstrap, [topics.frontier_requests], 3)
        await eventually(lambda: _has_read(chassis, 5))
        assert await read_texts(kafka.bootstrap, topics.predictions("intent"), Prediction) == ["one", "two"]
        assert await read_texts(kafka.bootstrap, topics.frontier_requests, FrontierRequested) == [
            "five",
            "four",
            "three",
        ]
    assert sum(ends.values()) == 2
    assert await lag(kafka.bootstrap, f"{prefix}.intent.hr", [topics.texts]) == 3
    results = [decode(record, Result).message for record in await read_all(kafka.bootstrap, topics.results("intent"))]
    assert [each.route.decision for each in results] == ["kept", "kept"]


async def test_what_a_stopped_service_had_left_when_it_was_retired_is_answered_once_it_is_started_again(
    kafka: Kafka, prefix: str, tmp_path
) -> None:
    settings = settings_for(kafka.bootstrap, prefix)
    topics = await made_topics(settings)
    async with running("router", router_settings(settings, tmp_path), build_router):
        async with running("intent", settings, build_hr):
            await publish(kafka.bootstrap, topics.texts, texts("served"))
            await read_until(kafka.bootstrap, [topics.results("intent")], 1)
            await eventually(lambda: _all_committed(kafka.bootstrap, prefix, topics.texts))
        await publish(kafka.bootstrap, topics.texts, texts("left", "behind"))
        await eventually(lambda: _all_committed(kafka.bootstrap, prefix, topics.texts, "router"))
        await withdraw(settings.kafka.client(), topics, "intent", "hr")
        await publish(kafka.bootstrap, topics.texts, texts("after"))
        await read_until(kafka.bootstrap, [topics.frontier_requests], 1)
        async with running("intent", settings, build_hr):
            await publish(kafka.bootstrap, topics.texts, texts("anew"))
            await read_until(kafka.bootstrap, [topics.results("intent")], 4)
    assert await read_texts(kafka.bootstrap, topics.predictions("intent"), Prediction) == [
        "anew",
        "behind",
        "left",
        "served",
    ]
    assert await read_texts(kafka.bootstrap, topics.frontier_requests, FrontierRequested) == ["after"]


async def _has_read(chassis, records: int) -> bool:
    """Tell whether the service has read so many texts, and has nothing of them in hand."""
    consumer = chassis.consumers[0]
    read = sum([await consumer.position(partition) for partition in consumer.assignment()])
    return read == records and not chassis.gate.in_hand


async def _all_committed(bootstrap: str, prefix: str, topic: str, group: str = "intent.hr") -> bool:
    return await lag(bootstrap, f"{prefix}.{group}", [topic]) == 0


async def test_a_withdrawn_service_starts_anew_where_another_announces_its_model(kafka: Kafka, prefix: str) -> None:
    settings = settings_for(kafka.bootstrap, prefix)
    topics = await made_topics(settings)
    publisher = Publisher(settings.kafka, "test")
    await publisher.start()
    model = announcement(card(), "hr")
    before = await announce(settings.kafka, publisher, model, "intent")
    withdrawal = Withdrawal(settings.kafka, model_key("intent", "hr"), before.owns_from)
    await withdrawal.start()
    try:
        await withdrawal.look()
        await publish(kafka.bootstrap, topics.texts, texts("mine"), partition=0)
        ends = await withdraw(settings.kafka.client(), topics, "intent", "hr")
        await publish(kafka.bootstrap, topics.texts, texts("not mine"), partition=0)
        await withdrawal.look()
        mine, other = await read_all(kafka.bootstrap, topics.texts)
        assert withdrawal.owns(mine)
        assert not withdrawal.owns(other)
        after = await announce(settings.kafka, publisher, model, "intent")
        assert after.owns_from > before.owns_from
        assert after.left == ends == {0: 1, 1: 0}
        with pytest.raises(Fatal, match="announced anew by another process"):
            await withdrawal.look()
        assert not withdrawal.owns(other)
    finally:
        await withdrawal.stop()
        await publisher.stop()
