"""A consumer that is behind fetches less often, from a real broker, and loses nothing."""

import asyncio
import time

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.consumer import consumer as consumer_module
from aiokafka.consumer.fetcher import Fetcher

from sprat.kafka import fetch_pace
from sprat.kafka.fetch_pace import APART_S, FetchPace, PacedFetcher, let_wait

RECORDS = 150


@pytest.fixture
def paused(monkeypatch):
    """Return a way to say that every consumer is behind, or none."""

    def set_behind(*, behind):
        monkeypatch.setattr(consumer_module, "Fetcher", PacedFetcher)
        monkeypatch.setattr(FetchPace, "observe", lambda pace, *_: setattr(pace, "_average_ms", 1e3 if behind else 0.0))

    return set_behind


async def polls_of(kafka, topic, producer):
    """Publish one record after the other while a consumer polls; return its polls, and the seconds."""
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=kafka.bootstrap, auto_offset_reset="latest", isolation_level="read_committed"
    )
    await consumer.start()
    await consumer.seek_to_end()
    polls = []

    async def publish():
        for number in range(RECORDS):
            await producer.send(topic, str(number).encode(), partition=number % 2)
            await asyncio.sleep(0.004)
        await producer.flush()

    began_s = time.monotonic()
    publishing = asyncio.create_task(publish())
    try:
        while sum(map(len, polls)) < RECORDS:
            batches = await consumer.getmany(timeout_ms=5_000)
            assert batches, "records are missing"
            polls.append([int(record.value) for records in batches.values() for record in records])
        seconds = time.monotonic() - began_s
    finally:
        await publishing
        await consumer.stop()
    return polls, seconds


@pytest.mark.timeout(60)
async def test_batches_grow_while_it_is_behind_and_nothing_is_lost(kafka, topics, producer, paused):
    paused(behind=False)
    at_once, _ = await polls_of(kafka, topics.texts, producer)
    paused(behind=True)
    apart, seconds = await polls_of(kafka, topics.texts, producer)
    for polls in (at_once, apart):
        assert sorted(number for poll in polls for number in poll) == list(range(RECORDS))
    assert len(apart) <= seconds / APART_S + 2
    assert len(at_once) > 1.5 * len(apart)


async def test_partitions_are_gone_through_for_what_may_be_fetched_alone(kafka, topics, producer, paused, monkeypatch):
    paused(behind=False)
    looked, whole = [], Fetcher._get_actions_per_node
    monkeypatch.setattr(Fetcher, "_get_actions_per_node", lambda *them: looked.append(1) or whole(*them))
    polls, _ = await polls_of(kafka, topics.texts, producer)
    assert len(looked) < 1.5 * len(polls), "once for each fetch, and not when its records have come"


async def test_a_topic_that_can_wait_holds_up_no_other(kafka, topics, producer, paused, monkeypatch):
    paused(behind=False)
    monkeypatch.setattr(fetch_pace, "CAN_WAIT_S", 2.0)
    results = topics.results("intent")
    consumer = AIOKafkaConsumer(
        topics.texts, results, bootstrap_servers=kafka.bootstrap, isolation_level="read_committed"
    )
    await consumer.start()
    await consumer.seek_to_end()
    let_wait(consumer, [topics.texts])

    async def polled():
        return {
            place.topic: [each.value for each in found]
            for place, found in (await consumer.getmany(timeout_ms=9_000)).items()
        }

    try:
        await producer.send_and_wait(topics.texts, b"1", partition=0)
        assert await polled() == {topics.texts: [b"1"]}
        began_s = time.monotonic()
        for number in (b"2", b"3"):
            await producer.send_and_wait(topics.texts, number, partition=0)
        await producer.send_and_wait(results, b"4", partition=0)
        assert await polled() == {results: [b"4"]}
        assert await polled() == {topics.texts: [b"2", b"3"]}
        assert time.monotonic() - began_s > 1.5
    finally:
        await consumer.stop()
