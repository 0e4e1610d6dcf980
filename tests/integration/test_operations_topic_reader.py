"""Bounded reads of topics on a real broker."""

import time

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from sprat.base.errors import UserError
from sprat_operations.topic_reader import TopicReader, read_since

HOUR_MS = 3_600_000


@pytest.fixture
async def topics(kafka, prefix):
    """Two topics with the producer's timestamps, so that a test can write into the past."""
    names = [f"{prefix}.one", f"{prefix}.two"]
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    config = {"message.timestamp.type": "CreateTime", "retention.ms": "-1"}
    await admin.create_topics([NewTopic(name, 3, 1, topic_configs=config) for name in names])
    await admin.close()
    return names


@pytest.fixture
async def write(kafka):
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap)
    await producer.start()

    async def write(topic, value, ago_ms=0, partition=None):
        at_ms = int(time.time() * 1000) - ago_ms
        await producer.send_and_wait(topic, value, partition=partition, timestamp_ms=at_ms)

    yield write
    await producer.stop()


async def values(kafka, *arguments, **more):
    return sorted(
        [record.value async for record in read_since({"bootstrap_servers": kafka.bootstrap}, *arguments, **more)]
    )


async def test_what_was_appended_since_is_read_from_all_partitions_of_all_topics(kafka, topics, write):
    one, two = topics
    for partition in range(3):
        await write(one, b"old %d" % partition, 2 * HOUR_MS, partition)
        await write(one, b"new %d" % partition, 0, partition)
    await write(two, b"two", 0)
    since_ms = int(time.time() * 1000) - HOUR_MS
    progress_calls = []
    seen = await values(kafka, topics, since_ms, progress=lambda done, total: progress_calls.append((done, total)))
    assert seen == [b"new 0", b"new 1", b"new 2", b"two"]
    assert progress_calls[-1] == (4, 4)
    assert len(await values(kafka, [one], None)) == 6


async def test_what_is_appended_while_it_reads_is_left_out(kafka, topics, write):
    one, _ = topics
    await write(one, b"before", partition=0)
    seen = []
    async for record in read_since({"bootstrap_servers": kafka.bootstrap}, [one], None):
        seen.append(record.value)
        await write(one, b"meanwhile", partition=0)
    assert seen == [b"before"]


async def test_one_connection_looks_back_several_times(kafka, topics, write):
    one, two = topics
    await write(one, b"1")
    await write(two, b"2")
    async with TopicReader({"bootstrap_servers": kafka.bootstrap}) as reader:
        assert await reader.unreadable_topics([one, "nowhere"]) == {"nowhere": "it does not exist"}
        seen = [
            [record.value async for records in reader.read_since([topic], None) for record in records]
            for topic in (one, two, one)
        ]
    assert seen == [[b"1"], [b"2"], [b"1"]]


async def test_empty_topics_are_read_at_once(kafka, topics):
    began = time.monotonic()
    assert await values(kafka, topics, 0) == []
    assert time.monotonic() - began < 10


async def test_a_missing_topic_is_reported_at_once(kafka, topics):
    with pytest.raises(UserError, match=r"there is no topic nowhere: run `sprat topics create`"):
        await values(kafka, [topics[0], "nowhere"], None)
