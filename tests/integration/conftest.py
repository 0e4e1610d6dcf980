"""What tests of one part share on the real broker: a producer."""

import pytest
from aiokafka import AIOKafkaProducer


@pytest.fixture
async def producer(kafka):
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap)
    await producer.start()
    yield producer
    await producer.stop()
