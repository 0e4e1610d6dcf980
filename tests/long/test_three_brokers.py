"""What three copies are for: an acknowledged record is on two brokers, and one of three may be away."""

import asyncio
from collections.abc import Iterator, Sequence

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from sprat.base.settings import KafkaSettings
from sprat.kafka.publisher import OutRecord, Publisher
from sprat_contracts.topics import Topics
from sprat_local.kafka.broker import EmbeddedKafka
from sprat_operations.topics import Difference, create_topics, list_topics
from support.copies import in_sync

IN_SYNC = "min.insync.replicas"


@pytest.fixture(scope="module")
def three() -> Iterator[EmbeddedKafka]:
    with EmbeddedKafka(nodes=3) as three:
        yield three


async def make(bootstrap: Sequence[str], topic: NewTopic) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    response = await admin.create_topics([topic])
    assert [code for _, code, *_ in response.topic_errors] == [0]
    for _ in range(200):  # what a broker has made it does not show at once, nor do all
        (shown,) = await admin.describe_topics([topic.name])
        if shown["error_code"] == 0 and all(part["leader"] >= 0 for part in shown["partitions"]):
            break
        await asyncio.sleep(0.05)
    await admin.close()


async def values(bootstrap: Sequence[str], topic: str) -> list[bytes]:
    """Return all that stands in a topic."""
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest", isolation_level="read_committed"
    )
    await consumer.start()
    parts = consumer.assignment()
    ends = await consumer.end_offsets(parts)
    found: list[bytes] = []
    while len(found) < sum(ends.values()):
        batches = await asyncio.wait_for(consumer.getmany(timeout_ms=500), 30)
        found += [record.value for records in batches.values() for record in records]
    await consumer.stop()
    return found


@pytest.fixture
def bootstrap(three: EmbeddedKafka) -> list[str]:
    """Return the addresses of all three; what an earlier test has killed runs again."""
    three.start()
    return three.bootstrap.split(",")


@pytest.mark.parametrize("factor", [3, -1], ids=["three copies as asked", "the default of the brokers"])
async def test_with_three_copies_two_must_have_a_record_before_it_is_acknowledged(bootstrap, prefix, factor):
    client, topics = {"bootstrap_servers": bootstrap}, Topics(prefix, 1)
    made = await create_topics(client, topics, replication_factor=factor)
    assert {(state.status, state.copies, state.in_sync) for state in made} == {("created", 3, 2)}
    assert {state.status for state in await list_topics(client, topics)} == {"exists"}


async def test_with_fewer_copies_one_is_enough(bootstrap, prefix):
    made = await create_topics({"bootstrap_servers": bootstrap}, Topics(prefix, 1), replication_factor=1)
    assert {(state.status, state.copies, state.in_sync) for state in made} == {("created", 1, 1)}


@pytest.mark.parametrize(
    ("copies", "in_sync", "found"),
    [
        (3, 1, Difference(IN_SYNC, "2", "1")),
        (3, 3, Difference(IN_SYNC, "2", "3")),
        (1, 2, Difference(IN_SYNC, "1", "2")),
        (2, 2, None),
    ],
    ids=["one of three", "all of three", "more than there are", "both of two"],
)
async def test_what_loses_records_or_stops_writing_is_reported(bootstrap, prefix, copies, in_sync, found):
    topics = Topics(prefix, 1)
    texts = topics.table()[0]
    await make(bootstrap, NewTopic(texts.name, 1, copies, topic_configs=texts.config() | {IN_SYNC: str(in_sync)}))
    state, *_ = await create_topics({"bootstrap_servers": bootstrap}, topics)
    assert state.differences == ((found,) if found else ())
    assert state.usable == (copies >= in_sync), "an installation of an earlier version can be upgraded"


async def test_a_record_that_too_few_copies_would_have_is_sent_until_they_are_back(three, bootstrap, prefix, caplog):
    """All three must have it here, so that one that is away is one too few, and two still elect."""
    topic = f"{prefix}.all-three"
    await make(bootstrap, NewTopic(topic, 1, 3, topic_configs={IN_SYNC: "3"}))
    publisher = Publisher(KafkaSettings(bootstrap=",".join(bootstrap)), "three")
    await publisher.start()
    await publisher.publish([OutRecord(topic, None, b"before")])
    three.nodes[2].kill()
    await in_sync(three.bootstrap, [topic], 2)
    sending = asyncio.create_task(publisher.publish([OutRecord(topic, None, b"meanwhile")], hold_s=120))
    async with asyncio.timeout(60):
        while "NotEnoughReplicasError" not in caplog.text:
            await asyncio.sleep(0.1)
    assert not sending.done()
    await asyncio.to_thread(three.nodes[2].start)
    await sending
    await publisher.publish([OutRecord(topic, None, b"after")], hold_s=60)
    await publisher.stop()
    assert await values(bootstrap, topic) == [b"before", b"meanwhile", b"after"]


async def test_with_the_settings_of_topics_create_one_of_three_may_be_killed(three, bootstrap, prefix):
    topics = Topics(prefix, 3)
    await create_topics({"bootstrap_servers": bootstrap}, topics, replication_factor=3)
    publisher = Publisher(KafkaSettings(bootstrap=",".join(bootstrap)), "three")
    await publisher.start()
    sent = [b"%d" % number for number in range(60)]
    for number, value in enumerate(sent):
        if number == 20:
            three.nodes[0].kill()
        await publisher.publish([OutRecord(topics.texts, value, value)], hold_s=60)
        if number == 40:
            await asyncio.to_thread(three.nodes[0].start)
    await publisher.stop()
    assert sorted(await values(bootstrap, topics.texts)) == sorted(sent)
