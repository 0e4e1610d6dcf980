"""While two of three brokers serve, Kafka answers: the figures are measured again once the others have taken over."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from sprat.base.settings import KafkaSettings
from sprat.kafka.cluster import Cluster
from sprat_local.kafka.broker import EmbeddedKafka, KafkaNode
from sprat_operations.topics import create_topics
from sprat_operations.traffic import Traffic
from support.stream import eventually

TAKEN_OVER_S = 20
"""How long it may take until the others lead what the broker had, on a busy machine: its session lasts 2 s."""


@pytest.fixture
async def cluster() -> AsyncIterator[tuple[EmbeddedKafka, KafkaSettings]]:
    with EmbeddedKafka(nodes=3) as three:
        kafka = KafkaSettings(bootstrap=three.bootstrap, prefix="three", partitions=6)
        await create_topics(kafka.client(), kafka.topics, replication_factor=3)
        consumer = AIOKafkaConsumer(
            **kafka.client(), group_id="three.router", enable_auto_commit=False, isolation_level="read_committed"
        )
        await consumer.start()
        consumer.assign([TopicPartition(kafka.topics.texts, 0)])
        await consumer.commit({TopicPartition(kafka.topics.texts, 0): 0})
        await consumer.stop()
        yield three, kafka


@pytest.mark.parametrize("fails", [lambda node: node.kill(), lambda node: node.pause()], ids=["killed", "frozen"])
async def test_a_broker_that_is_lost_is_not_the_whole_kafka(
    cluster: tuple[EmbeddedKafka, KafkaSettings], fails: Callable[[KafkaNode], None]
) -> None:
    three, kafka = cluster
    async with Cluster(kafka.client()) as asked:
        coordinator = await asked.settled(lambda: asked._coordinator("three.router"))
    seen: list[bool] = []
    async with Traffic(kafka, ["router"]) as traffic:

        async def measured() -> bool:
            figures = await traffic.look()
            seen.append(figures.reachable)
            return figures.measured

        await eventually(measured)
        fails(three.nodes[coordinator - 1])
        await asyncio.sleep(0.5)
        began = time.monotonic()
        await eventually(measured, TAKEN_OVER_S)
        while time.monotonic() < began + 5:
            assert await measured()
        assert all(seen)
        three.kill()
        await measured()
        assert not seen[-1]
