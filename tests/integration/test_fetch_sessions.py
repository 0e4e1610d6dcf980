"""A consumer that fetches within sessions reads every record of a real broker, which keeps the session or loses it."""

import random

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer import consumer as consumer_module

from sprat.kafka.fetch_pace import PacedFetcher
from sprat.kafka.fetch_sessions import FetchSession, SessionFetch

RECORDS = 100


@pytest.fixture
def named(monkeypatch):
    """Return how many partitions each fetch has named."""
    monkeypatch.setattr(consumer_module, "Fetcher", PacedFetcher)
    counts, build = [], SessionFetch.build

    def counted(request, version):
        made = build(request, version)
        counts.append(sum(len(partitions) for _, partitions in made.topics))
        return made

    monkeypatch.setattr(SessionFetch, "build", counted)
    return counts


@pytest.mark.parametrize("loses", [False, True], ids=["a session", "a session that the broker loses"])
async def test_every_record_is_read_once_beside_pauses_and_seeks(kafka, topics, producer, named, monkeypatch, loses):
    chance = random.Random(3)
    if loses:
        named_partitions = FetchSession.named

        def forgetful(session, topics):
            session.id += chance.random() < 0.2
            return named_partitions(session, topics)

        monkeypatch.setattr(FetchSession, "named", forgetful)
    consumer = AIOKafkaConsumer(
        topics.texts, bootstrap_servers=kafka.bootstrap, auto_offset_reset="earliest", isolation_level="read_committed"
    )
    await consumer.start()
    try:
        places = sorted(consumer.assignment())
        read = {}
        for number in range(RECORDS):
            await producer.send_and_wait(topics.texts, b"%d" % number, partition=places[number % len(places)].partition)
            paused = chance.choice(places)
            consumer.pause(paused)
            for batch in (await consumer.getmany(timeout_ms=5)).values():
                read |= {(each.partition, each.offset): each.value for each in batch}
            consumer.resume(paused)
            if number == RECORDS // 2:
                again = TopicPartition(topics.texts, places[0].partition)
                read = {place: value for place, value in read.items() if place[0] != again.partition}
                consumer.seek(again, 0)
        while len(read) < RECORDS:
            batches = await consumer.getmany(timeout_ms=5_000)
            assert batches, "records are missing"
            for batch in batches.values():
                assert not {(each.partition, each.offset) for each in batch} & read.keys(), "a record is read twice"
                read |= {(each.partition, each.offset): each.value for each in batch}
    finally:
        await consumer.stop()
    assert sorted(map(int, read.values())) == list(range(RECORDS))
    if not loses:
        assert sum(named) < len(named) * len(places), "fetches name all partitions"
