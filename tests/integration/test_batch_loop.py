"""The batch loop on a real broker: nothing is lost, nothing is committed too early, a bad record stops nobody."""

import asyncio
import json
import time
from collections import Counter

import pytest
from aiokafka.errors import KafkaTimeoutError
from faststream._internal.endpoint.subscriber.usecase import SubscriberUsecase

from conftest import Kafka, Redis
from sprat.base.errors import Fatal
from sprat.base.settings import ServiceSettings
from sprat.context import ServiceContext, Subscription
from sprat.kafka.publisher import NotAcknowledged, OutRecord, Publisher
from sprat_contracts import DeadLetterReason, Prediction, TextSubmitted, decode
from sprat_inference.serving import serve_model
from sprat_inference.specialist import SpecialistHandler
from sprat_local.kafka.broker import EmbeddedKafka
from sprat_testing.service import running
from support.metrics import Metrics
from support.panics import PanicException
from support.stream import FakeModel, eventually, lag, made_topics, publish, read_all, read_until, settings_for


def text(body: str, **fields: object) -> bytes:
    return json.dumps({"text": body, "tasks": {"intent": {}}, "language": "en", **fields}).encode()


def building(model: FakeModel):
    async def build(context: ServiceContext, settings: ServiceSettings) -> Subscription:
        return await serve_model(context, model, "default", SpecialistHandler)

    return build


async def test_each_text_becomes_one_prediction_and_its_offset_is_committed(
    metrics: Metrics, kafka: Kafka, prefix: str
) -> None:
    settings = settings_for(kafka.bootstrap, prefix)
    topics = await made_topics(settings)
    async with running("intent", settings, building(FakeModel())) as context:
        await publish(kafka.bootstrap, topics.texts, [text(f"hello {n}") for n in range(300)])
        records = await read_until(kafka.bootstrap, [topics.predictions("intent")], 300)
        await eventually(lambda: metrics.finished == 300)
    assert len({decode(record, Prediction).envelope.id for record in records}) == 300
    assert await lag(kafka.bootstrap, context.group + ".default", [topics.texts]) == 0


async def test_other_attributes_and_headers_of_a_text_have_no_effect_and_are_not_returned(
    kafka: Kafka, prefix: str
) -> None:
    settings = settings_for(kafka.bootstrap, prefix)
    topics = await made_topics(settings)
    event = {"specversion": "1.0", "id": "1", "source": "/crm", "type": TextSubmitted.event_type}
    more = {"tenant": "acme", "ticket": "T-4711", "status": "new"}
    binary = [(f"ce_{name}", value.encode()) for name, value in (event | more).items()]
    structured = json.dumps(event | more | {"id": "2", "data": json.loads(text("hello"))}).encode()
    async with running("intent", settings, building(FakeModel())):
        await publish(kafka.bootstrap, topics.texts, [text("hello")], [*binary, ("ticket", b"T-4711")])
        await publish(kafka.bootstrap, topics.texts, [structured], [("content-type", b"application/cloudevents+json")])
        records = await read_until(kafka.bootstrap, [topics.predictions("intent")], 2)
    for record in records:
        headers = dict(record.headers)
        assert (headers["ce_tenant"], decode(record, Prediction).message.submitted.tenant) == (b"default", "default")
        assert headers.keys().isdisjoint({"ce_ticket", "ce_status", "ticket"})
        assert b"4711" not in record.value


async def test_a_good_text_among_99_bad_ones_is_answered_and_a_specialist_judges_none(
    metrics: Metrics, kafka: Kafka, prefix: str
) -> None:
    settings = settings_for(kafka.bootstrap, prefix)
    topics = await made_topics(settings)
    async with running("intent", settings, building(FakeModel())):
        await publish(
            kafka.bootstrap, topics.texts, [b'{"intent" not json'] * 50 + [text("hello")] + [b"\xff\x00"] * 49
        )
        await read_until(kafka.bootstrap, [topics.predictions("intent")], 1)
        await eventually(lambda: metrics.finished == 100)
    assert await read_all(kafka.bootstrap, topics.dead_letters) == []
    assert metrics.value("sprat.skipped", reason="invalid") == 50
    assert metrics.value("sprat.skipped", reason="not_asked") == 49, "nothing in them is the name of its task"


async def test_every_second_text_on_which_a_native_library_panics_is_declined_and_the_others_are_answered(
    kafka: Kafka, prefix: str
) -> None:
    settings = settings_for(kafka.bootstrap, prefix)
    topics = await made_topics(settings)
    model = FakeModel()
    model.error = PanicException("poison")
    bodies = [f"{'poison' if n % 2 else 'hello'} {n}" for n in range(60)]
    async with running("intent", settings, building(model)) as context:
        await publish(kafka.bootstrap, topics.texts, [text(body) for body in bodies])
        await publish(kafka.bootstrap, topics.texts, [text(f"later {n}") for n in range(3)])
        await eventually_committed(kafka.bootstrap, context, topics.texts)
        assert context.failure.error is None
    records = await read_all(kafka.bootstrap, topics.predictions("intent"))
    predictions = [decode(each, Prediction).message for each in records]
    assert Counter(each.submitted.text for each in predictions if each.declined is None) == Counter(
        [*bodies[::2], "later 0", "later 1", "later 2"]
    )
    assert Counter(each.submitted.text for each in predictions if each.declined) == Counter(bodies[1::2])
    letters = await read_all(kafka.bootstrap, topics.dead_letters)
    assert Counter(json.loads(each.value)["text"] for each in letters) == Counter(bodies[1::2])
    assert {DeadLetterReason.from_headers(each.headers).code for each in letters} == {"model_error"}


async def test_records_that_faststream_loses_stop_the_service_before_anything_later_is_committed(
    kafka: Kafka, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_for(kafka.bootstrap, prefix, partitions=1)
    topics = await made_topics(settings)
    process, lost = SubscriberUsecase.process_message, []

    async def loses_the_first(self: object, message: object) -> object:
        if not lost:
            lost.append(message)
            raise MemoryError
        return await process(self, message)

    monkeypatch.setattr(SubscriberUsecase, "process_message", loses_the_first)
    async with running("intent", settings, building(FakeModel())) as context:
        await publish(kafka.bootstrap, topics.texts, [text("lost")])
        await eventually(lambda: lost)
        await publish(kafka.bootstrap, topics.texts, [text("later")])
        error = await asyncio.wait_for(context.failure.wait(), 20)
        assert "did not reach the loop" in str(error)
    assert await lag(kafka.bootstrap, context.group + ".default", [topics.texts]) == 2
    async with running("intent", settings, building(FakeModel())):
        records = await read_until(kafka.bootstrap, [topics.predictions("intent")], 2)
    assert {decode(each, Prediction).message.submitted.text for each in records} == {"lost", "later"}


async def eventually_committed(bootstrap: str, context: ServiceContext, topic: str) -> None:
    async def none_left() -> bool:
        return await lag(bootstrap, context.group + ".default", [topic]) == 0

    await eventually(none_left)


async def test_a_model_that_breaks_on_everything_stops_the_service_and_commits_nothing(
    kafka: Kafka, prefix: str
) -> None:
    settings = settings_for(kafka.bootstrap, prefix)
    topics = await made_topics(settings)
    async with running("intent", settings, building(FakeModel())) as context:
        await publish(kafka.bootstrap, topics.texts, [text(f"poison {n}") for n in range(60)])
        error = await asyncio.wait_for(context.failure.wait(), 20)
    assert isinstance(error, Fatal)
    assert "own fault" in str(error)
    letters = await read_all(kafka.bootstrap, topics.dead_letters)
    left = await lag(kafka.bootstrap, context.group + ".default", [topics.texts])
    assert left + len(letters) == 60
    assert left >= 40


async def test_a_failed_publish_is_sought_back_and_the_model_never_runs_twice(
    metrics: Metrics, kafka: Kafka, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_for(kafka.bootstrap, prefix)
    topics = await made_topics(settings)
    model = FakeModel()
    async with running("intent", settings, building(model)) as context:
        real, attempts = context.publisher.publish, []

        async def half_fails(records, hold_s=None):
            attempts.append(len(records))
            if len(attempts) <= 2 and len(records) > 1:
                half = len(records) // 2
                await real(records[:half])
                raise NotAcknowledged(tuple(range(half, len(records))), KafkaTimeoutError.__name__)
            return await real(records, hold_s)

        monkeypatch.setattr(context.publisher, "publish", half_fails)
        await publish(kafka.bootstrap, topics.texts, [text(f"hello {n}") for n in range(30)])
        await eventually(lambda: metrics.finished >= 30)
    records = await read_all(kafka.bootstrap, topics.predictions("intent"))
    assert len(records) == 30, "what was acknowledged is not sent again"
    assert sorted(model.asked) == sorted(f"hello {n}" for n in range(30)), "the model ran once for each text"
    assert await lag(kafka.bootstrap, context.group + ".default", [topics.texts]) == 0


async def test_publishing_to_a_frozen_broker_ends_in_time() -> None:
    with EmbeddedKafka() as broker:
        settings = settings_for(broker.bootstrap, "frozen")
        topics = await made_topics(settings)
        publisher = Publisher(settings.kafka, "test")
        await publisher.start()
        records = [OutRecord(topics.texts, b"one key", b"x" * 5_000) for _ in range(64)]
        await publisher.publish(records[:1])
        broker.pause()
        began = time.monotonic()
        with pytest.raises(NotAcknowledged):
            await publisher.publish(records, hold_s=1)
        assert time.monotonic() - began < 2.5
        broker.resume()
        assert len(await publisher.publish(records, hold_s=10)) == 64
        await publisher.stop()
        assert len(await read_all(broker.bootstrap, topics.texts)) == 64 + 1, "what was under way is not sent again"


async def test_equal_questions_are_answered_from_the_cache(kafka: Kafka, redis_server: Redis, prefix: str) -> None:
    settings = settings_for(kafka.bootstrap, prefix, redis_server.url)
    topics = await made_topics(settings)
    model = FakeModel()
    async with running("intent", settings, building(model)):
        await publish(kafka.bootstrap, topics.texts, [text("hello")])
        await read_until(kafka.bootstrap, [topics.predictions("intent")], 1)
        await publish(kafka.bootstrap, topics.texts, [text("hello"), text("hello", tenant="other")])
        records = await read_until(kafka.bootstrap, [topics.predictions("intent")], 3)
    by_tenant = sorted((p.submitted.tenant, p.cached) for p in (decode(r, Prediction).message for r in records))
    assert by_tenant == [("default", False), ("default", True), ("other", False)], "no tenant sees another's cache"
    assert model.asked == ["hello", "hello"]


async def test_texts_older_than_the_first_announcement_are_not_the_specialists(kafka: Kafka, prefix: str) -> None:
    settings = settings_for(kafka.bootstrap, prefix)
    topics = await made_topics(settings)
    await publish(kafka.bootstrap, topics.texts, [text("old")] * 5)
    await asyncio.sleep(0.01)
    model = FakeModel()
    async with running("intent", settings, building(model)):
        await publish(kafka.bootstrap, topics.texts, [text("new")])
        await read_until(kafka.bootstrap, [topics.predictions("intent")], 1)
    assert model.asked == ["new"]


async def test_what_arrives_while_the_service_is_down_waits_for_it(kafka: Kafka, prefix: str) -> None:
    settings = settings_for(kafka.bootstrap, prefix)
    topics = await made_topics(settings)
    async with running("intent", settings, building(FakeModel())):
        pass
    await publish(kafka.bootstrap, topics.texts, [text("meanwhile")])
    async with running("intent", settings, building(FakeModel())):
        (record,) = await read_until(kafka.bootstrap, [topics.predictions("intent")], 1)
    assert decode(record, Prediction).message.submitted.text == "meanwhile"


async def test_the_trace_and_unknown_fields_go_on(kafka: Kafka, prefix: str) -> None:
    settings = settings_for(kafka.bootstrap, prefix)
    topics = await made_topics(settings)
    parent = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    async with running("intent", settings, building(FakeModel())):
        await publish(
            kafka.bootstrap,
            topics.texts,
            [text("hello", novelty={"deep": [1]})],
            [("traceparent", parent)],
            key=b"\x00k",
        )
        (record,) = await read_until(kafka.bootstrap, [topics.predictions("intent")], 1)
    event = decode(record, Prediction)
    assert event.envelope.traceparent.trace_id == "0af7651916cd43dd8448eb211c80319c"
    assert event.message.submitted.model_extra == {"novelty": {"deep": [1]}}
    assert record.key == b"\x00k"
    assert event.message.origin.key == "AGs="


async def test_a_second_instance_takes_over_and_nothing_is_answered_twice(
    metrics: Metrics, kafka: Kafka, prefix: str
) -> None:
    settings = settings_for(kafka.bootstrap, prefix, partitions=4)
    topics = await made_topics(settings)
    bodies = [text(f"hello {n}") for n in range(400)]
    async with running("intent", settings, building(FakeModel(delay_s=0.05))):
        async with running("intent", settings, building(FakeModel(delay_s=0.05))):
            await publish(kafka.bootstrap, topics.texts, bodies)
            await eventually(lambda: metrics.finished > 50)
        await read_until(kafka.bootstrap, [topics.predictions("intent")], 400)
        await eventually(lambda: metrics.finished >= 400)
    records = await read_all(kafka.bootstrap, topics.predictions("intent"))
    assert len({decode(record, Prediction).envelope.id for record in records}) == 400
    assert len(records) == 400, "the one that left had drained and committed what it had in hand"


async def test_partitions_that_move_between_two_parts_in_progress_take_neither_with_them(
    metrics: Metrics, kafka: Kafka, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_for(kafka.bootstrap, prefix, partitions=4)
    settings = settings.model_copy(update={"kafka": settings.kafka.model_copy(update={"max_records": 4})})
    topics = await made_topics(settings)
    model = FakeModel()
    async with running("intent", settings, building(model)) as context:
        real, publishing, both = context.publisher.publish, [0], asyncio.Event()
        asked = model.answer

        async def slow(records, hold_s=None):
            publishing[0] += 1
            await asyncio.sleep(0.05)
            try:
                return await real(records, hold_s)
            finally:
                publishing[0] -= 1

        def answer(questions):
            if publishing[0]:
                loop.call_soon_threadsafe(both.set)
            return asked(questions)

        loop = asyncio.get_running_loop()
        monkeypatch.setattr(context.publisher, "publish", slow)
        monkeypatch.setattr(model, "answer", answer)
        await publish(kafka.bootstrap, topics.texts, [text(f"hello {n}") for n in range(200)])
        await asyncio.wait_for(both.wait(), 20)
        async with running("intent", settings, building(FakeModel())):
            await eventually(lambda: metrics.finished >= 200, 30)
    records = await read_all(kafka.bootstrap, topics.predictions("intent"))
    assert len({decode(record, Prediction).envelope.id for record in records}) == len(records) == 200
    assert await lag(kafka.bootstrap, context.group + ".default", [topics.texts]) == 0
