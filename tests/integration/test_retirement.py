"""A model that is withdrawn while it runs, and one that left texts behind: each pair ends once, and none is lost."""

import json
import time
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from aiokafka import AIOKafkaProducer

from conftest import Kafka
from sprat.base.errors import Fatal
from sprat.kafka.publisher import OutRecord, Publisher
from sprat.registry.announcements import ModelsReader, Ownership, announce
from sprat.registry.model_table import model_key
from sprat.registry.retirement import RetirementFollower, owned_until
from sprat_contracts import FrontierRequested, Prediction, Result, decode
from sprat_contracts.wire import SIGNATURE
from sprat_inference.serving import announcement, serve_model
from sprat_inference.specialist import SpecialistHandler
from sprat_local.kafka.broker import EmbeddedKafka
from sprat_operations import models as retirement
from sprat_operations.models import withdraw
from sprat_operations.topics import create_topics
from sprat_router.__main__ import RouterSettings
from sprat_router.__main__ import build as build_router
from sprat_testing.service import running
from support.stream import (
    SECRET,
    SIGNATURES,
    FakeModel,
    card,
    eventually,
    lag,
    made_topics,
    publish,
    read_all,
    read_until,
    settings_for,
)

KEY = model_key("intent", "hr")


async def build_hr(context, settings):
    return await serve_model(context, FakeModel(), "hr", SpecialistHandler, read_models_every_s=0)


def texts(*bodies: str) -> list[bytes]:
    asked = {"tasks": {"intent": {"model": "hr"}}, "language": "en"}
    return [json.dumps({"text": each, **asked}).encode() for each in bodies]


def router_settings(common, tmp_path) -> RouterSettings:
    policy = tmp_path / "policy.yaml"
    policy.write_text("tasks: {intent: {keep_at: 0.5}}")
    own = {name: getattr(common, name) for name in ("kafka", "redis", "health_port", "drain_s")}
    return RouterSettings(policy=policy, secret=SECRET, _env_file=None, **own)


async def read_texts(bootstrap: str, topic: str, message) -> list[str]:
    """Return the texts that the topic's records are about, each as often as it is there."""
    found = [decode(record, message).message for record in await read_all(bootstrap, topic)]
    return sorted((each.prediction if message is FrontierRequested else each).submitted.text for each in found)


async def test_a_service_that_goes_on_after_the_retirement_leaves_new_texts_to_the_router(
    kafka: Kafka, prefix: str, tmp_path
) -> None:
    settings = settings_for(kafka.bootstrap, prefix)
    topics = await made_topics(settings)
    async with (
        running("router", router_settings(settings, tmp_path), build_router),
        running("intent", settings, build_hr) as context,
    ):
        await publish(kafka.bootstrap, topics.texts, texts("one", "two"))
        await read_until(kafka.bootstrap, [topics.results("intent")], 2)
        ends = await withdraw(settings.kafka.client(), settings.kafka, "intent", "hr", SIGNATURES)
        await publish(kafka.bootstrap, topics.texts, texts("three", "four", "five"))
        await read_until(kafka.bootstrap, [topics.frontier_requests], 3)
        await eventually(lambda: _has_read(context, 5))
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
        await withdraw(settings.kafka.client(), settings.kafka, "intent", "hr", SIGNATURES)
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


async def _has_read(context, records: int) -> bool:
    """Return whether the service has read so many texts, and has nothing of them in hand."""
    consumer = context.consumers[0]
    read = sum([await consumer.position(partition) for partition in consumer.assignment()])
    return read == records and not context.admission.in_progress


async def _all_committed(bootstrap: str, prefix: str, topic: str, group: str = "intent.hr") -> bool:
    return await lag(bootstrap, f"{prefix}.{group}", [topic]) == 0


@pytest.fixture
async def hr(kafka: Kafka, prefix: str):
    """The model `intent/hr`, its topics made: it can be announced, withdrawn, and followed."""
    settings = settings_for(kafka.bootstrap, prefix).kafka
    async with of_hr(settings) as hr:
        yield hr


class Hr:
    """Announces and withdraws `intent/hr`, and follows what is said of it."""

    def __init__(self, settings, publisher: Publisher, stack: AsyncExitStack) -> None:
        self.settings = settings
        self.topics = settings.topics
        self._publisher = publisher
        self._stack = stack

    async def announce(self) -> Ownership:
        return await announce(self.settings, self._publisher, announcement(card(), "hr"), "intent", SIGNATURES)

    async def retire(self):
        return await withdraw(self.settings.client(), self.settings, "intent", "hr", SIGNATURES)

    async def texts(self, *bodies: str):
        await publish(self.settings.bootstrap, self.topics.texts, texts(*bodies), partition=0)
        return (await read_all(self.settings.bootstrap, self.topics.texts))[-len(bodies) :]

    async def followed(self, owns_from: int, clock=time.monotonic) -> RetirementFollower:
        follower = RetirementFollower(KEY, owns_from, clock, read_every_s=0.0)
        reader = ModelsReader(
            self.settings, SIGNATURES, lambda seen: follower.apply(seen.key, seen.announced, seen.retirement)
        )
        self._stack.push_async_callback(reader.stop)
        await follower.start(reader)
        return follower


@asynccontextmanager
async def of_hr(settings):
    await create_topics(settings.client(), settings.topics)
    async with AsyncExitStack() as stack:
        publisher = Publisher(settings, "test")
        await publisher.start()
        stack.push_async_callback(publisher.stop)
        yield Hr(settings, publisher, stack)


async def test_a_withdrawn_service_starts_anew_where_another_announces_its_model(hr: Hr) -> None:
    before = await hr.announce()
    follower = await hr.followed(before.owns_from)
    await follower.refresh()
    (mine,) = await hr.texts("mine")
    ends = await hr.retire()
    (other,) = await hr.texts("not mine")
    await follower.refresh()
    assert follower.owns(mine)
    assert not follower.owns(other)
    after = await hr.announce()
    assert after.owns_from > before.owns_from
    assert after.left == ends == {0: 1, 1: 0}
    with pytest.raises(Fatal, match="another process announced it again"):
        await follower.refresh()
    assert not follower.owns(other)


async def test_a_text_that_the_router_left_to_a_model_announced_during_its_retirement_stays_its_own(
    hr: Hr, monkeypatch: pytest.MonkeyPatch
) -> None:
    await hr.announce()
    raced = []

    class Raced(AIOKafkaProducer):
        """Lets a service announce the model, and a text arrive, before the second tombstone."""

        async def send_and_wait(self, topic, *, headers=(), **record):
            if owned_until(headers) is not None and not raced:
                raced.append((await hr.announce(), *await hr.texts("for the model")))
            return await super().send_and_wait(topic, headers=list(headers), **record)

    monkeypatch.setattr(retirement, "AIOKafkaProducer", Raced)
    ends = await hr.retire()
    ((ownership, text),) = raced
    assert ends == {0: 1, 1: 0}
    running = await hr.followed(ownership.owns_from)
    await running.refresh()
    assert running.owns(text), "it runs on"
    assert (await hr.announce()).left == ends, "it was started again before it had answered"


async def test_what_a_model_had_left_outlives_the_tombstone_that_says_it(hr: Hr) -> None:
    await hr.announce()
    await hr.texts("left", "behind")
    ends = await hr.retire()
    await hr.announce()
    said = await read_all(hr.settings.bootstrap, hr.topics.models)
    assert [owned_until(each.headers) for each in said[-2:]] == [ends, ends]
    compacted = hr.settings.model_copy(update={"prefix": f"{hr.settings.prefix}.compacted"})
    async with of_hr(compacted) as again:
        headers = [header for header in said[-1].headers if header[0] != SIGNATURE]
        last = SIGNATURES.sign(OutRecord(again.topics.models, said[-1].key, said[-1].value, headers))
        await publish(compacted.bootstrap, last.topic, [last.value], last.headers, key=last.key)
        for _ in range(2):
            assert (await again.announce()).left == ends == {0: 2, 1: 0}
        assert len(await read_all(compacted.bootstrap, again.topics.models)) == 1, "it is said already"


async def test_a_topic_of_models_that_cannot_be_read_stops_no_service(
    prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    now = [100.0]
    with EmbeddedKafka() as broker:
        async with of_hr(settings_for(broker.bootstrap, prefix).kafka) as hr:
            follower = await hr.followed((await hr.announce()).owns_from, lambda: now[0])
            await hr.retire()
            (text,) = await hr.texts("not mine")
            broker.pause()
            try:
                began = time.monotonic()
                await follower.refresh()
                await follower.refresh()
                now[0] += 11
                await follower.refresh()
                assert 2 <= time.monotonic() - began < 8, "it rests between two looks that fail"
                assert follower.owns(text)
            finally:
                broker.resume()
            assert caplog.text.count(f"{prefix}.models.v1 cannot be read: TimeoutError") == 1
            now[0] += 11
            await follower.refresh()
            assert not follower.owns(text)
