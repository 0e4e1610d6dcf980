"""Transactions of upstream producers: aborted ones cause nothing, committed ones are answered, and lag ends at 0."""

import asyncio
import json

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition

from conftest import Kafka
from sprat.base.settings import ServiceSettings
from sprat.context import ServiceContext, Subscription
from sprat.kafka.offsets import TrailingOffsets
from sprat.registry.announcements import ModelsReader
from sprat_contracts import Prediction, decode
from sprat_inference.serving import serve_model
from sprat_inference.specialist import SpecialistHandler
from sprat_testing.service import running
from support.metrics import Metrics
from support.stream import (
    FakeModel,
    eventually,
    lag,
    made_topics,
    position_is,
    publish,
    read_all,
    settings_for,
    transaction,
)


def text(body: str) -> bytes:
    return json.dumps({"text": body, "tasks": {"intent": {}}}).encode()


def building(model: FakeModel):
    async def build(context: ServiceContext, settings: ServiceSettings) -> Subscription:
        return await serve_model(context, model, "default", SpecialistHandler)

    return build


async def test_the_batch_loop_answers_committed_records_alone_and_ends_without_lag(
    metrics: Metrics, kafka: Kafka, prefix: str
) -> None:
    settings = settings_for(kafka.bootstrap, prefix)
    topics = await made_topics(settings)
    model = FakeModel()
    async with running("intent", settings, building(model)) as context:
        group = f"{context.group}.default"

        async def caught_up() -> bool:
            return await lag(kafka.bootstrap, group, [topics.texts]) == 0

        await transaction(kafka.bootstrap, topics.texts, [text("aborted at first"), b"{bad"], commit=False)
        await eventually(caught_up)
        await transaction(kafka.bootstrap, topics.texts, [text("committed")], commit=True)
        await eventually(lambda: metrics.finished == 1)
        await eventually(caught_up)
        await transaction(kafka.bootstrap, topics.texts, [text("aborted at last")] * 3, commit=False)
        await eventually(caught_up)
    assert model.asked == ["committed"]
    records = await read_all(kafka.bootstrap, topics.predictions("intent"))
    assert [decode(record, Prediction).message.submitted.text for record in records] == ["committed"]
    assert await read_all(kafka.bootstrap, topics.dead_letters) == []


async def test_the_models_are_read_to_an_end_that_holds_an_aborted_transaction(kafka: Kafka, prefix: str) -> None:
    settings = settings_for(kafka.bootstrap, prefix)
    topics = await made_topics(settings)
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, transactional_id=f"{prefix}-models")
    await producer.start()
    await producer.begin_transaction()
    await producer.send_and_wait(topics.models, None, key=b"intent/aborted")  # a tombstone, which would be seen
    await producer.abort_transaction()
    await producer.stop()
    seen: list[object] = []
    reader = ModelsReader(settings.kafka, None, seen.append)
    try:
        await reader.start()
    finally:
        await reader.stop()
    assert seen == []


async def test_where_the_loop_passed_over_records_the_end_is_not_committed(
    kafka: Kafka, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process that announces the model anew begins with them."""
    settings = settings_for(kafka.bootstrap, prefix, partitions=1)
    topics = await made_topics(settings)
    monkeypatch.setattr("sprat.registry.retirement.RetirementFollower.owns", lambda self, record: record.offset < 1)
    async with running("intent", settings, building(FakeModel())) as context:
        await publish(kafka.bootstrap, topics.texts, [text("own"), text("passed over")])
        await transaction(kafka.bootstrap, topics.texts, [text("aborted")], commit=False)
        await eventually(lambda: position_is(context.consumer(), TopicPartition(topics.texts, 0), 4))
        polls = asyncio.Semaphore(0)
        commit = TrailingOffsets._commit

        async def looked(self, consumer) -> None:
            await commit(self, consumer)
            polls.release()

        monkeypatch.setattr(TrailingOffsets, "_commit", looked)
        await polls.acquire()
        await polls.acquire()
        assert await lag(kafka.bootstrap, f"{context.group}.default", [topics.texts]) == 3
