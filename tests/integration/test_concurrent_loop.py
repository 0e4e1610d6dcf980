"""The frontier's loop on a real broker: many in flight, a slow one holds up nobody."""

import asyncio
import json

from aiokafka import TopicPartition

from conftest import Kafka
from sprat.base.channels import Channels
from sprat.base.errors import Rejected
from sprat.base.settings import ServiceSettings
from sprat.context import ServiceContext, Subscription
from sprat.processing.handler import Emit, Outcome, Received
from sprat_contracts import Message, TextSubmitted, Topics
from sprat_testing.service import running
from support.metrics import Metrics
from support.stream import (
    eventually,
    lag,
    made_topics,
    position_is,
    publish,
    read_all,
    settings_for,
    transaction,
)


class Slow:
    """Answers a text when its event is set; counts how often it is asked."""

    def __init__(self, topics: Topics) -> None:
        self._topics = topics
        self.asked: list[str] = []
        self.release: dict[str, asyncio.Event] = {}

    def message_type(self, topic: str) -> type[Message]:
        return TextSubmitted

    def malformed(self, rejected: Rejected, topic: str) -> Outcome:
        return Outcome(rejected=rejected)

    def oversized(self, received: Received, emit: Emit) -> Outcome:
        return Outcome(rejected=Rejected("too_large", "the answer"))

    def failed(self, received: Received) -> Outcome:
        return Outcome((Emit(self._topics.feedback, b"", "failed", received.message),))

    def skip_reason(self, received: Received[TextSubmitted]) -> str | None:
        return None

    async def handle(self, received: Received[TextSubmitted]) -> Outcome:
        body = received.message.text
        self.asked.append(body)
        if body in self.release:
            await self.release[body].wait()
        return Outcome((Emit(self._topics.feedback, body.encode(), f"id-{body}", received.message),))


def building(slow: Slow, capacity: int = 8):
    async def build(context: ServiceContext, settings: ServiceSettings) -> Subscription:
        loop = context.concurrent_loop(slow, capacity)
        declaration = Channels("frontier", "", {context.topics.texts: TextSubmitted}, {})
        return Subscription(declaration, context.group, loop.handle, loop.release)

    return build


def text(body: str) -> bytes:
    return json.dumps({"text": body, "tasks": {"intent": {}}}).encode()


async def test_a_slow_record_delays_no_other_and_its_offset_is_not_committed(
    metrics: Metrics, kafka: Kafka, prefix: str
) -> None:
    settings = settings_for(kafka.bootstrap, prefix, partitions=1)
    topics = await made_topics(settings)
    slow = Slow(topics)
    slow.release["t3"] = asyncio.Event()
    async with running("frontier", settings, building(slow)) as context:
        await publish(kafka.bootstrap, topics.texts, [text(f"t{n}") for n in range(10)])
        await eventually(lambda: metrics.finished == 9)
        assert await lag(kafka.bootstrap, context.group, [topics.texts]) == 7, "committed up to the slow one"
        slow.release["t3"].set()
        await eventually(lambda: metrics.finished == 10)
    assert await lag(kafka.bootstrap, context.group, [topics.texts]) == 0


async def test_what_is_not_finished_when_it_stops_comes_again_and_nothing_else(
    metrics: Metrics, kafka: Kafka, prefix: str
) -> None:
    settings = settings_for(kafka.bootstrap, prefix, partitions=1)
    settings = settings.model_copy(update={"drain_s": 0.3})
    topics = await made_topics(settings)
    first = Slow(topics)
    first.release = {"t5": asyncio.Event()}
    async with running("frontier", settings, building(first)):
        await publish(kafka.bootstrap, topics.texts, [text(f"t{n}") for n in range(6)])
        await eventually(lambda: metrics.finished == 5)
    second = Slow(topics)
    async with running("frontier", settings, building(second)):
        await eventually(lambda: metrics.finished == 6)
    assert second.asked == ["t5"]
    assert len(await read_all(kafka.bootstrap, topics.feedback)) == 6


async def test_the_concurrent_loop_commits_the_end_once_all_before_it_is_done(
    metrics: Metrics, kafka: Kafka, prefix: str
) -> None:
    settings = settings_for(kafka.bootstrap, prefix, partitions=1)
    topics = await made_topics(settings)
    slow = Slow(topics)
    slow.release["slow"] = asyncio.Event()
    async with running("frontier", settings, building(slow)) as context:
        await transaction(kafka.bootstrap, topics.texts, [text("slow"), text("quick")], commit=True)
        await transaction(kafka.bootstrap, topics.texts, [text("aborted")], commit=False)
        await eventually(lambda: metrics.finished == 1)
        consumer = context.consumer()
        await eventually(lambda: position_is(consumer, TopicPartition(topics.texts, 0), 5))
        assert await lag(kafka.bootstrap, context.group, [topics.texts]) == 5, "the slow one holds all back"
        slow.release["slow"].set()

        async def caught_up() -> bool:
            return await lag(kafka.bootstrap, context.group, [topics.texts]) == 0

        await eventually(caught_up)
    assert slow.asked == ["slow", "quick"]
