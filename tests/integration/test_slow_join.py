"""A group that takes long to let a service in: the service waits for it, and works once it has joined."""

import asyncio
import json
import time

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor

from conftest import Kafka
from sprat.base.channels import Channels
from sprat.base.errors import Fatal
from sprat.base.settings import ServiceSettings
from sprat.context import ServiceContext, Subscription
from sprat.telemetry import health
from sprat_contracts import TextSubmitted
from sprat_testing.service import running
from support.stream import eventually, made_topics, publish, settings_for

STALLED_S = 3.0


class LetsGo(ConsumerRebalanceListener):
    """Delays a rebalance until it is told to go on."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.go_on = asyncio.Event()

    async def on_partitions_revoked(self, revoked: object) -> None:
        if revoked:
            self.asked.set()
            await self.go_on.wait()

    async def on_partitions_assigned(self, assigned: object) -> None:
        pass


@pytest.fixture
def stalled_s(monkeypatch: pytest.MonkeyPatch) -> float:
    monkeypatch.setattr(health, "STALLED_S", STALLED_S)
    return STALLED_S


def reading(read: list[bytes]):
    async def build(context: ServiceContext, settings: ServiceSettings) -> Subscription:
        async def handle(records) -> None:
            read.extend(record.value for record in records)

        channels = Channels("router", "", {context.topics.texts: TextSubmitted}, {})
        return Subscription(channels, context.group, handle)

    return build


async def slow_member(settings: ServiceSettings, group: str, topic: str) -> tuple[AIOKafkaConsumer, LetsGo]:
    member = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka.bootstrap,
        group_id=group,
        isolation_level="read_committed",
        partition_assignment_strategy=(StickyPartitionAssignor,),
        enable_auto_commit=False,
    )
    listener = LetsGo()
    member.subscribe([topic], listener=listener)
    await member.start()
    return member, listener


async def test_a_service_that_joins_slowly_is_alive_meanwhile_and_works_afterwards(
    kafka: Kafka, prefix: str, stalled_s: float
) -> None:
    settings = settings_for(kafka.bootstrap, prefix)
    topics = await made_topics(settings)
    member, listener = await slow_member(settings, f"{prefix}.router", topics.texts)
    read: list[bytes] = []
    try:
        async with running("router", settings, reading(read)) as context:
            await asyncio.wait_for(listener.asked.wait(), 20)
            await asyncio.sleep(stalled_s + 1)
            assert not context.progress.ready
            assert context.progress.alive, "a restart would not help"
            listener.go_on.set()
            await eventually(lambda: context.progress.ready)
            await publish(kafka.bootstrap, topics.texts, [json.dumps(n).encode() for n in range(20)])
            await asyncio.sleep(2)  # the watchdog looks every second
            await eventually(lambda: read)
            assert context.failure.error is None
            assert context.progress.alive
    finally:
        listener.go_on.set()
        await member.stop()


async def test_a_service_that_cannot_join_for_long_gives_up(kafka: Kafka, prefix: str) -> None:
    settings = settings_for(kafka.bootstrap, prefix)
    settings = settings.model_copy(update={"kafka": settings.kafka.model_copy(update={"give_up_s": 3.0})})
    topics = await made_topics(settings)
    member, listener = await slow_member(settings, f"{prefix}.router", topics.texts)
    try:
        async with running("router", settings, reading([])) as context:
            error = await asyncio.wait_for(context.failure.wait(), 20)
            assert isinstance(error, Fatal)
            assert f"group {prefix}.router" in str(error)
            listener.go_on.set()  # so that its connections are closed at once
    finally:
        listener.go_on.set()
        await member.stop()


async def test_what_an_instance_leaves_another_has_before_the_two_seconds_that_a_text_may_wait(
    kafka: Kafka, prefix: str
) -> None:
    settings = settings_for(kafka.bootstrap, prefix)
    await made_topics(settings)
    async with running("router", settings, reading([])) as stays:
        async with running("router", settings, reading([])):
            await eventually(lambda: len(stays.consumers[0].assignment()) == settings.kafka.partitions // 2)
            # Both have just joined, so that their next heartbeats are as far away as they ever are.
        left = time.monotonic()
        await eventually(lambda: len(stays.consumers[0].assignment()) == settings.kafka.partitions)
        assert time.monotonic() - left < 2
