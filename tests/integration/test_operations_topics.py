"""`sprat topics create` on a real broker: makes what is missing, reports what differs, changes nothing that exists."""

import asyncio

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from sprat.base.errors import UserError
from sprat_contracts.topics import Topics
from sprat_operations.topics import Difference, create_topics, keep_current, kept_for, list_topics


@pytest.fixture
def client(kafka):
    return {"bootstrap_servers": kafka.bootstrap}


async def make(client, *new: NewTopic) -> None:
    admin = AIOKafkaAdminClient(**client)
    await admin.start()
    response = await admin.create_topics(list(new))
    for _ in range(100):  # what a broker has made it does not show at once
        if {each["error_code"] for each in await admin.describe_topics([topic.name for topic in new])} == {0}:
            break
        await asyncio.sleep(0.05)
    await admin.close()
    assert [code for _, code, *_ in response.topic_errors] == [0] * len(new)


async def test_all_topics_are_made_once(client, prefix):
    topics = Topics(prefix, 3)
    assert {state.status for state in await list_topics(client, topics)} == {"missing"}
    made = await create_topics(client, topics)
    assert [state.name for state in made] == [topic.name for topic in topics.table()]
    assert {state.status for state in made} == {"created"}
    assert {state.status for state in await create_topics(client, topics)} == {"exists"}
    assert {state.name: state.partitions for state in await list_topics(client, topics)} == {
        topic.name: topic.partitions for topic in topics.table()
    }


async def test_what_differs_is_reported_and_left_as_it_is(client, prefix):
    topics = Topics(prefix, 2)
    settings = {
        "message.timestamp.type": "LogAppendTime",
        "max.message.bytes": "1000",
        "cleanup.policy": "compact",
        "compression.type": "uncompressed",
    }
    await make(client, NewTopic(topics.feedback, 5, 1, topic_configs=settings))
    for _ in range(2):
        states = {state.name: state for state in await create_topics(client, topics)}
        assert states[topics.feedback].status == "differs"
        assert set(states[topics.feedback].differences) == {
            Difference("partitions", "2", "5"),
            Difference("cleanup.policy", "delete", "compact"),
            Difference("compression.type", "producer", "uncompressed"),
            Difference("max.message.bytes", "1048576", "1000"),
            Difference("retention.ms", str(400 * 86_400_000), "604800000"),
        }  # segments of 7 days are as long as they may be there
    assert {state.status for name, state in states.items() if name != topics.feedback} == {"exists"}


async def test_nothing_is_made_beside_texts_of_another_partition_count(client, prefix):
    texts = next(topic for topic in Topics(prefix, 4).table() if topic.name == f"{prefix}.texts.v1")
    await make(client, NewTopic(texts.name, 4, 1, topic_configs=texts.config()))
    with pytest.raises(UserError, match=r"texts.v1 has 4 partitions.*Set SPRAT_KAFKA__PARTITIONS=4"):
        await create_topics(client, Topics(prefix, 8))
    states = await list_topics(client, Topics(prefix, 4))
    assert {state.name for state in states if state.status != "missing"} == {texts.name}
    assert "differs" not in {state.status for state in await create_topics(client, Topics(prefix, 4))}


async def test_a_setting_that_the_broker_refuses_names_the_topic(client, prefix):
    with pytest.raises(UserError, match=f"refuses: .*{prefix}.texts.v1"):
        await create_topics(client, Topics(prefix, 2), replication_factor=3)


async def test_topics_of_an_earlier_version_get_what_this_one_added_and_keep_their_own(client, prefix):
    topics = Topics(prefix, 2)
    own = {"cleanup.policy": "delete", "message.timestamp.type": "LogAppendTime", "retention.ms": "3600000"}
    old = own | {"compression.type": "uncompressed", "max.message.bytes": "3000000"}
    await make(client, NewTopic(topics.texts, 2, 1, topic_configs=old))
    texts, *others = states = await keep_current(client, topics, await create_topics(client, topics))
    assert texts.differences == (
        Difference("max.message.bytes", "1048576", "3000000"),
        Difference("retention.ms", str(7 * 86_400_000), "3600000"),
    )
    assert {state.status for state in others} == {"created"}
    for _ in range(200):  # what a broker has changed it does not show at once
        if (shown := await list_topics(client, topics))[0] == texts:
            break
        await asyncio.sleep(0.05)
    assert shown[0] == texts
    assert await kept_for(client, [topics.texts]) == {topics.texts: (3_600_000, 7 * 86_400_000 // 8)}
    assert await keep_current(client, topics, states) == states
