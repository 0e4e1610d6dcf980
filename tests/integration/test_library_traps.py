"""What the libraries would do by default, and must not do here. Each test names the trap."""

import asyncio
import json
import time

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import CorruptRecordException, TopicAuthorizationFailedError
from confluent_kafka import Producer

from conftest import Kafka
from sprat.base.errors import Fatal
from sprat.base.lifecycle import AdmissionControl
from sprat.base.settings import ServiceSettings
from sprat.context import ServiceContext, Subscription
from sprat.kafka.consumer import POLL_MS, watchdog
from sprat.processing.handler import Answered, Ask, Outcome, Received
from sprat.telemetry.health import LoopProgress
from sprat_contracts import DeadLetterReason
from sprat_inference.serving import serve_model
from sprat_inference.specialist import SpecialistHandler
from sprat_testing.service import running
from support.metrics import Metrics
from support.stream import FakeModel, eventually, lag, made_topics, publish, read_all, read_until, settings_for


def text(body: str) -> bytes:
    return json.dumps({"text": body, "tasks": {"intent": {}}}).encode()


def building(model: FakeModel, handler: type[SpecialistHandler] = SpecialistHandler):
    async def build(context: ServiceContext, settings: ServiceSettings) -> Subscription:
        return await serve_model(context, model, "default", handler)

    return build


async def test_a_handler_that_breaks_on_one_record_makes_a_dead_letter_of_it(
    metrics: Metrics, kafka: Kafka, prefix: str
) -> None:
    """FastStream logs the exception at best, and the next commit would pass the record."""

    class Broken(SpecialistHandler):
        def receive(self, received: Received) -> Outcome | Ask:
            if "odd" in received.message.text:
                raise ZeroDivisionError("with a text in it")
            return super().receive(received)

    settings = settings_for(kafka.bootstrap, prefix)
    topics = await made_topics(settings)
    async with running("intent", settings, building(FakeModel(), Broken)):
        await publish(kafka.bootstrap, topics.texts, [text("hello"), text("odd"), text("bye")])
        await eventually(lambda: metrics.finished == 3)
    (letter,) = await read_all(kafka.bootstrap, topics.dead_letters)
    reason = DeadLetterReason.from_headers(letter.headers)
    assert (reason.code, reason.detail) == ("defect", "the service has a defect: ZeroDivisionError")


async def test_an_exception_in_the_loop_is_not_swallowed_and_commits_nothing(kafka: Kafka, prefix: str) -> None:
    """FastStream goes on after a handler's exception, and the position has moved on already."""

    class Broken(SpecialistHandler):
        def answered(self, received: Received, ask: Ask, answered: Answered) -> Outcome:
            raise ZeroDivisionError("with a text in it")

    settings = settings_for(kafka.bootstrap, prefix)
    topics = await made_topics(settings)
    async with running("intent", settings, building(FakeModel(), Broken)) as context:
        await publish(kafka.bootstrap, topics.texts, [text("hello")])
        assert isinstance(await asyncio.wait_for(context.failure.wait(), 20), ZeroDivisionError)
        await publish(kafka.bootstrap, topics.texts, [text("and another")])
        await asyncio.sleep(0.3)  # neither is committed meanwhile
        assert await lag(kafka.bootstrap, f"{context.group}.default", [topics.texts]) == 2


async def test_a_reply_to_header_directs_no_result_anywhere(kafka: Kafka, prefix: str) -> None:
    """FastStream publishes a handler's return value wherever a record's `reply_to` header says."""
    settings = settings_for(kafka.bootstrap, prefix)
    topics = await made_topics(settings)
    async with running("intent", settings, building(FakeModel())):
        headers = [("reply_to", topics.feedback.encode()), ("correlation_id", b"1")]
        await publish(kafka.bootstrap, topics.texts, [text("hello")], headers)
        await read_until(kafka.bootstrap, [topics.predictions("intent")], 1)
        await asyncio.sleep(0.2)  # nothing else is published meanwhile
    assert await read_all(kafka.bootstrap, topics.feedback) == []


async def test_an_authorisation_error_while_reading_ends_the_process(
    kafka: Kafka, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FastStream logs it and tries again every five seconds, for ever."""
    settings = settings_for(kafka.bootstrap, prefix)
    await made_topics(settings)

    async def refused(self, *partitions, timeout_ms=0, max_records=None):
        raise TopicAuthorizationFailedError("texts")

    monkeypatch.setattr("aiokafka.AIOKafkaConsumer.getmany", _only_in_groups(refused))
    async with running("intent", settings, building(FakeModel())) as context:
        error = await asyncio.wait_for(context.failure.wait(), 20)
    assert isinstance(error, Fatal)
    assert "ACL" in str(error)


def _only_in_groups(refused):
    from aiokafka import AIOKafkaConsumer  # noqa: PLC0415

    real = AIOKafkaConsumer.getmany

    def getmany(self, *partitions, **options):
        return (refused if self._group_id else real)(self, *partitions, **options)

    return getmany


@pytest.mark.parametrize(
    ("progress_s", "moved_s", "in_progress", "said"),
    [
        pytest.param(1_000, 0, 0, "not polled", id="no polls"),
        pytest.param(0, 1_000, 1, "not advanced", id="work that hangs"),
    ],
)
async def test_a_loop_that_stands_still_ends_the_process(
    progress_s: float, moved_s: float, in_progress: int, said: str
) -> None:
    """A ping of the broker stays green, and FastStream calls itself running."""
    admission, progress = AdmissionControl(), LoopProgress()
    for _ in range(in_progress):
        admission.enter()
    admission.changed_at = time.monotonic() - moved_s
    progress.polled_at = time.monotonic() - progress_s
    subscriber = type("Subscriber", (), {"tasks": []})()
    with pytest.raises(Fatal, match=said):
        await asyncio.wait_for(watchdog(None, subscriber, progress, admission), 5)


async def test_a_dead_fetch_task_ends_the_process(kafka: Kafka, prefix: str) -> None:
    """Polls find nothing then, for ever, and nothing public tells."""
    settings = settings_for(kafka.bootstrap, prefix)
    await made_topics(settings)
    consumer = AIOKafkaConsumer(
        settings.kafka.topics.texts, bootstrap_servers=kafka.bootstrap, isolation_level="read_committed"
    )
    await consumer.start()
    subscriber = type("Subscriber", (), {"tasks": []})()
    watching = asyncio.create_task(watchdog(consumer, subscriber, LoopProgress(), AdmissionControl()))
    await asyncio.sleep(1.2)  # the watchdog has looked once and found nothing
    assert not watching.done()
    consumer._fetcher._fetch_task.cancel()
    with pytest.raises(Fatal, match="stopped fetching"):
        await asyncio.wait_for(watching, 5)
    await consumer.stop()


async def test_a_poll_that_fails_ends_the_process_before_anything_more_is_committed(
    kafka: Kafka, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have taken records of other partitions with it, and their positions have moved on."""
    settings = settings_for(kafka.bootstrap, prefix)
    topics = await made_topics(settings)

    async def corrupt(self, *partitions, timeout_ms=0, max_records=None):
        raise CorruptRecordException

    monkeypatch.setattr("aiokafka.AIOKafkaConsumer.getmany", _only_in_groups(corrupt))
    async with running("intent", settings, building(FakeModel())) as context:
        error = await asyncio.wait_for(context.failure.wait(), 20)
        assert "CorruptRecord" in str(error)
        await publish(kafka.bootstrap, topics.texts, [text("hello")])
        assert not context.admission.is_open


async def test_an_idle_loop_does_not_sleep_while_texts_arrive_and_stops_at_once(
    metrics: Metrics, kafka: Kafka, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FastStream sleeps after a poll without records, as long as the poll was."""
    settings = settings_for(kafka.bootstrap, prefix)
    topics = await made_topics(settings)
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        await asyncio.sleep(seconds)

    monkeypatch.setattr("faststream.kafka.subscriber.usecase.anyio.sleep", sleep)
    async with running("intent", settings, building(FakeModel())) as context:
        await asyncio.sleep(2 * POLL_MS / 1000)
        await publish(kafka.bootstrap, topics.texts, [text("hello")])
        await read_until(kafka.bootstrap, [topics.predictions("intent")], 1)
        await eventually(lambda: metrics.finished == 1)
        stopping = time.monotonic()
    assert slept == []
    assert time.monotonic() - stopping < POLL_MS / 1000
    assert await lag(kafka.bootstrap, context.group + ".default", [topics.texts]) == 0


async def test_texts_of_every_compression_are_answered(kafka: Kafka, prefix: str) -> None:
    """Without its codec aiokafka stands still, and loses what it took from other partitions."""
    codecs = ("gzip", "snappy", "lz4", "zstd")
    settings = settings_for(kafka.bootstrap, prefix)
    topics = await made_topics(settings)
    async with running("intent", settings, building(FakeModel())):
        for codec in codecs:
            producer = Producer({"bootstrap.servers": kafka.bootstrap, "compression.type": codec})
            for number in range(20):
                producer.produce(topics.texts, text(f"hello {codec} {number} " + "hello " * 50))
            producer.flush(20)
        await read_until(kafka.bootstrap, [topics.predictions("intent")], 20 * len(codecs))


async def test_the_event_loop_goes_on_while_the_model_computes(kafka: Kafka, prefix: str) -> None:
    """A model on the event loop stops heartbeats and health."""
    settings = settings_for(kafka.bootstrap, prefix)
    topics = await made_topics(settings)
    async with running("intent", settings, building(FakeModel(delay_s=1.0))):
        await publish(kafka.bootstrap, topics.texts, [text("hello")])
        longest, last = 0.0, time.monotonic()
        while time.monotonic() - last < 0.8 and not await _any(kafka.bootstrap, topics.predictions("intent")):
            now = time.monotonic()
            longest, last = max(longest, now - last), now
            await asyncio.sleep(0.01)
    assert longest < 0.5


async def _any(bootstrap: str, topic: str) -> bool:
    return bool(await read_all(bootstrap, topic))


async def test_a_new_group_begins_where_its_ownership_begins_and_not_at_the_end(
    metrics: Metrics, kafka: Kafka, prefix: str
) -> None:
    """`auto_offset_reset` is `latest` by default: what arrives between start and first commit would be lost."""
    settings = settings_for(kafka.bootstrap, prefix)
    topics = await made_topics(settings)
    model = FakeModel()
    async with running("intent", settings, building(model)):
        await publish(kafka.bootstrap, topics.texts, [text(f"at once {n}") for n in range(20)])
        await read_until(kafka.bootstrap, [topics.predictions("intent")], 20)
        await eventually(lambda: metrics.finished == 20)
