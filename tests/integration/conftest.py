"""What tests of one part share on the real broker: topics of its own for each test, and a producer."""

import pytest
from aiokafka import AIOKafkaProducer

from sprat_contracts import Topics
from sprat_operations.topics import create_topics


@pytest.fixture
async def topics(kafka, prefix):
    topics = Topics(prefix, 2)
    await create_topics({"bootstrap_servers": kafka.bootstrap}, topics)
    return topics


@pytest.fixture
async def producer(kafka):
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap)
    await producer.start()
    yield producer
    await producer.stop()
