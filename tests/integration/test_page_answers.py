"""Answers of people on their way to a real Kafka, and who has a text in hand by a real Redis."""

from contextlib import asynccontextmanager

import pytest
from pydantic import SecretStr

from sprat.base.settings import KafkaSettings, RedisSettings
from sprat.kafka.publisher import Publisher
from sprat.processing.leases import Leases
from sprat_contracts import BUILT_IN, FeedbackGiven, IntentOutput
from sprat_gateway.page.answer_desk import AnswerDesk
from sprat_gateway.page.queries import to_label
from sprat_operations.reviews import answer, judgement
from support.page_reviews import draw
from support.page_store import NOW, OWN, filled_store
from support.stream import eventually, read_all
from support.traced_records import TracedText

WAITS = 60.0
"""Longer than a test."""


@pytest.fixture
def settings(kafka, prefix, topics):
    return KafkaSettings(bootstrap=kafka.bootstrap, prefix=prefix, partitions=2)


@asynccontextmanager
async def desk_of(settings, undo_s):
    publisher = Publisher(settings, "test")
    await publisher.start()
    desk = AnswerDesk(publisher, settings.topics.feedback, undo_s)
    try:
        yield desk
    finally:
        await desk.close()
        await publisher.stop()


@pytest.fixture
async def items(tmp_path):
    """Three texts that wait."""
    texts = [TracedText(f"order-{number}") for number in range(3)]
    async with filled_store(tmp_path, *(draw(text, offset=n) for n, text in enumerate(texts))) as filled:
        return (await filled.show(to_label, OWN, BUILT_IN, NOW)).items


def give(desk, person, item, verdict="right"):
    desk.give(person, item, judgement(item.asked, verdict, person), verdict)


async def published(settings):
    records = await read_all(settings.bootstrap, settings.topics.feedback)
    given = [
        FeedbackGiven.model_validate_json(record.value) for record in sorted(records, key=lambda each: each.timestamp)
    ]
    return [(each.text_id, each.by, each.verdict) for each in given]


async def has_published(settings, *answers):
    return sorted(await published(settings)) == sorted(answers)


async def test_an_answer_leaves_with_the_next_one_of_the_same_person(settings, items):
    async with desk_of(settings, WAITS) as desk:
        give(desk, "anna", items[0])
        give(desk, "ben", items[1], "wrong")
        assert await published(settings) == []
        give(desk, "anna", items[2])
        await eventually(lambda: has_published(settings, ("order-0", "anna", "right")))
        assert [each.is_published for each in desk.last("anna")] == [False, True]
        assert desk.take_back("anna") is items[2]
        assert desk.take_back("anna") is None  # the one before has left
    # What is there when the gateway stops is published; what was taken back is not.
    assert sorted(await published(settings)) == [("order-0", "anna", "right"), ("order-1", "ben", "wrong")]


async def test_an_answer_leaves_by_itself_and_can_then_not_be_taken_back(settings, items):
    async with desk_of(settings, 0.2) as desk:
        give(desk, "anna", items[0])
        await eventually(lambda: has_published(settings, ("order-0", "anna", "right")))
        assert desk.take_back("anna") is None


async def test_an_answer_that_kafka_refuses_is_said_to_be_so(settings, items, caplog):
    too_large = answer(items[0].asked, IntentOutput(label="x" * 2_000_000), "anna")
    async with desk_of(settings, 0.0) as desk:
        desk.give("anna", items[0], too_large, "x")
        await eventually(lambda: desk.last("anna")[0].is_refused)
    assert "is not published" in caplog.text


async def test_two_gateways_share_who_has_a_text_in_hand(redis_server, prefix):
    shared = RedisSettings(url=SecretStr(redis_server.url))
    one, other = (Leases(shared, f"{prefix}:label:") for _ in range(2))
    try:
        assert [await one.take("draw", "anna"), await other.take("draw", "ben")] == [True, False]
        assert await other.take("draw", "anna")  # her browser may ask either
        await other.assign("draw", "nobody")
        assert not await one.take("draw", "ben")
        assert await other.take("another", "ben")
    finally:
        await one.close()
        await other.close()


async def test_without_redis_the_leases_of_one_gateway_count():
    leases = Leases(RedisSettings(url=SecretStr("redis://127.0.0.1:1/0")), "label:")
    try:
        assert [await leases.take("draw", who) for who in ("anna", "ben")] == [True, False]
    finally:
        await leases.close()
