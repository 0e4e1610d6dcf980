"""Lag and age of all groups as the router publishes them: they agree with `sprat lag` and with what the topics hold."""

import asyncio
import json
import time
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from sprat.kafka.cluster import Cluster
from sprat.kafka.lag import LagMeter
from sprat.registry.announcements import announcement_record
from sprat.registry.model_table import ModelTable
from sprat_contracts import ModelAnnounced, Topics
from sprat_local.kafka.broker import EmbeddedKafka
from sprat_operations.models import withdraw
from sprat_operations.topics import create_topics
from sprat_router.__main__ import RouterSettings
from sprat_router.__main__ import build as build_router
from sprat_router.group_metrics import GroupMetrics
from sprat_testing.service import running
from support.cli_records import environment, sprat
from support.stream import (
    SECRET,
    SIGNATURES,
    eventually,
    markers_are_written,
    producing,
    publish,
    read_all,
    settings_for,
    transaction,
)
from support.system import POLICY

LAG, AGE, MEMBERS = "sprat.group.lag", "sprat.group.oldest.age", "sprat.group.members"
HELD, REACHABLE = "sprat.stable_offset.held", "sprat.kafka.reachable"


def router_settings(bootstrap: str, prefix: str) -> RouterSettings:
    common = settings_for(bootstrap, prefix)
    own = {name: getattr(common, name) for name in ("kafka", "redis", "health_port", "drain_s")}
    return RouterSettings(policy=POLICY, secret=SECRET, lag_every_s=1, _env_file=None, **own)


async def append(bootstrap: str, topic: str, count: int, partition: int = 0) -> None:
    await publish(bootstrap, topic, [b"{}"] * count, partition=partition)


@asynccontextmanager
async def member(bootstrap: str, group: str, topic: str, committed: dict[int, int]):
    """Join a group and commit; what it reads is not committed."""
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=bootstrap,
        group_id=group,
        enable_auto_commit=False,
        isolation_level="read_committed",
    )
    await consumer.start()
    try:
        await consumer.commit({TopicPartition(topic, number): offset for number, offset in committed.items()})
        yield consumer
    finally:
        await consumer.stop()


async def committed(bootstrap: str, group: str, topic: str, offsets: dict[int, int]) -> None:
    async with member(bootstrap, group, topic, offsets):
        pass


async def announce(bootstrap: str, topics: Topics, task: str, model: str) -> None:
    announced = ModelAnnounced(task=task, model=model, version="1", owns_from=1)
    record = announcement_record(topics, announced, "test", None, SIGNATURES)
    await publish(bootstrap, record.topic, [record.value], record.headers, record.key)


@asynccontextmanager
async def open_transaction(bootstrap: str, topic: str, partition: int, count: int):
    """Leave a transaction open until the block ends, then abort it."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=f"{topic}-hung")
    await producer.start()
    try:
        await producer.begin_transaction()
        for _ in range(count):
            await producer.send_and_wait(topic, b"{}", partition=partition)
        yield
        await producer.abort_transaction()
    finally:
        await producer.stop()


async def test_gauges_sprat_lag_and_the_topics_agree(kafka, topics, metrics, tmp_path):
    at, prefix = kafka.bootstrap, topics.prefix
    await append(at, topics.texts, 5)
    await append(at, topics.frontier_requests, 3, partition=1)
    await append(at, topics.results("intent"), 4)
    await committed(at, f"{prefix}.ner.default", topics.texts, {0: 1, 1: 0})
    await committed(at, f"{prefix}.crm", topics.results("intent"), {0: 4})
    await announce(at, topics, "translation", "never")
    async with (
        member(at, f"{prefix}.intent.default", topics.texts, {0: 3, 1: 0}),
        open_transaction(at, topics.texts, 1, 2),
        running("router", router_settings(at, prefix), build_router),
    ):
        await append(at, topics.texts, 7, partition=1)  # behind the open transaction: nobody can read them

        def lag(group, topic=topics.texts):
            return metrics.value(LAG, group=f"{prefix}.{group}", destination=topic)

        # The router rejects the texts, so it catches up; the others stay.
        await eventually(lambda: lag("router") == 0)
        await eventually(lambda: (metrics.value(HELD, destination=topics.texts) or 0) >= 1)
        on = Counter(record.topic for record in await read_all(at, topics.texts, topics.frontier_requests))
        assert on == {topics.texts: 5, topics.frontier_requests: 3}
        assert lag("intent.default") == on[topics.texts] - 3
        assert lag("ner.default") == on[topics.texts] - 1
        assert lag("translation.never") == on[topics.texts]
        assert lag("frontier", topics.frontier_requests) == on[topics.frontier_requests]
        assert lag("crm", topics.results("intent")) == 0
        members = {each["group"]: metrics.value(MEMBERS, **each) for each in current(metrics, MEMBERS)}
        names = ("router", "frontier", "intent.default", "ner.default", "translation.never", "crm")
        assert members == {f"{prefix}.{name}": int(name in {"router", "intent.default"}) for name in names}
        assert metrics.value(HELD, destination=topics.frontier_requests) == 0
        assert metrics.value(REACHABLE) == 1

        _, out, _ = await sprat("lag", "--over", "0.5", "--json", env=environment(at, prefix), cwd=tmp_path)
        groups = [row for row in map(json.loads, out.splitlines()) if row["type"] == "group"]
        # `sprat lag` shows the groups that exist; the router knows which ones should.
        assert {row["group"] for row in groups} == {"router", "intent.default", "ner.default", "crm"}
        for row in groups:
            group = f"{prefix}.{row['group']}"
            found = row["metrics"]
            assert found[MEMBERS] == metrics.value(MEMBERS, group=group) == len(row["members"])
            for topic, records in found[LAG].items():
                assert records == metrics.value(LAG, group=group, destination=topic)
                age = metrics.value(AGE, group=group, destination=topic)
                assert found[AGE][topic] == pytest.approx(age, abs=3) if records else found[AGE][topic] == age == 0
            assert row["lag"] == sum(found[LAG].values())
            assert row["oldest_age_s"] == max(found[AGE].values())
    assert metrics.value(LAG) is metrics.value(REACHABLE) is None


def current(metrics, name):
    """Return the labels of the time series that have a value now."""
    return [each for each in metrics.series(name) if metrics.value(name, **each) is not None]


async def test_the_last_stable_offset_is_held_back_until_the_transaction_ends(kafka, topics, metrics):
    async with measuring(kafka.bootstrap, topics):
        async with open_transaction(kafka.bootstrap, topics.texts, 1, 1):
            await eventually(lambda: (metrics.value(HELD, destination=topics.texts) or 0) > 0.5)
        await eventually(lambda: metrics.value(HELD, destination=topics.texts) == 0)


@asynccontextmanager
async def measuring(bootstrap, topics, models=None, is_elected=lambda: True, **options):
    """Measure ten times a second."""
    client = {"bootstrap_servers": bootstrap, "request_timeout_ms": 5_000}
    reader = GroupMetrics(
        lambda: LagMeter(client, topics), topics.prefix, models or ModelTable(), is_elected, 0.1, look_s=0.1, **options
    )
    task = asyncio.create_task(reader.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_the_append_time_is_that_of_the_first_committed_record_that_waits(kafka, topics):
    at, partition = kafka.bootstrap, TopicPartition(topics.texts, 0)
    await append(at, topics.texts, 1)
    await transaction(at, topics.texts, [b"{}"] * 2, commit=False)  # offsets 1 and 2, the marker is 3
    await markers_are_written(at, partition)
    await transaction(at, topics.texts, [b"{}"], commit=True)  # offset 4, the marker is 5
    await markers_are_written(at, partition)
    await publish(at, topics.texts, [b"x" * 200_000], partition=0)  # larger than what is fetched at once
    await append(at, topics.texts, 1, partition=1)
    await publish(at, topics.texts, [b"x" * 200_000], partition=1)
    await transaction(at, topics.texts, [b"{}"], commit=False)  # nothing but what no consumer ever sees
    times = {(each.partition, each.offset): each.timestamp for each in await read_all(at, topics.texts)}
    first_visible = {0: 0, 1: 4, 2: 4, 3: 4, 4: 4, 5: 6, 6: 6, 7: None, 8: None, 9: None}
    async with Cluster({"bootstrap_servers": at}) as cluster:
        assert await cluster.partition_counts([topics.texts]) == {topics.texts: 2}
        for position, visible in first_visible.items():
            found = await cluster.append_times({partition: position, TopicPartition(topics.texts, 1): 1})
            expected = {} if visible is None else {partition: times[0, visible]}
            assert found == (expected | {TopicPartition(topics.texts, 1): times[1, 1]}, set())


async def test_the_age_is_by_the_clock_of_the_broker(kafka, topics):
    at, name = kafka.bootstrap, "intent.default"
    async with producing(at) as producer:
        appended = [await producer.send_and_wait(topics.texts, b"{}", partition=number) for number in (0, 0, 1)]
    await committed(at, f"{topics.prefix}.{name}", topics.texts, {0: 1, 1: 1})
    async with LagMeter({"bootstrap_servers": at}, topics, groups=[name]) as meter:
        began = time.time()
        measured = await meter.with_ages(await meter.measure())
        ended = time.time()
    group = measured.groups[name]
    # The embedded broker runs on this machine, so both clocks are the same.
    oldest = appended[1].timestamp / 1000
    assert began - oldest - 0.01 <= group.oldest_age_s <= ended - oldest + 0.01
    assert [each.oldest_age_s for each in group.partitions] == [group.oldest_age_s, 0]


async def test_only_what_a_retired_model_still_owns_counts(kafka, topics, metrics):
    at = kafka.bootstrap
    settings = router_settings(at, topics.prefix)
    await append(at, topics.texts, 3)
    await announce(at, topics, "intent", "hr")
    await committed(at, f"{topics.prefix}.intent.hr", topics.texts, {0: 1, 1: 0})
    await committed(at, f"{topics.prefix}.crm", topics.texts, {0: 0, 1: 0})
    async with running("router", settings, build_router):
        await eventually(lambda: metrics.value(LAG, group=f"{topics.prefix}.intent.hr") == 2)
        await withdraw(settings.kafka.client(), settings.kafka, "intent", "hr", SIGNATURES)
        texts = [b'{"text": "Where is my parcel?", "tasks": {"intent": {}}}'] * 5
        await publish(at, topics.texts, texts, partition=0)
        # Of a group that reads nothing all texts count, so that the measurement is known to be a later one. The router
        # has read the withdrawal before it commits the texts; a measurement in progress then still counts all.
        await eventually(
            lambda: (
                metrics.value(LAG, group=f"{topics.prefix}.crm") == 8
                and metrics.value(LAG, group=f"{topics.prefix}.router", destination=topics.texts) == 0
                and metrics.value(LAG, group=f"{topics.prefix}.intent.hr") == 2
            )
        )


async def test_the_router_that_takes_over_partition_0_measures(kafka, topics, metrics):
    settings = router_settings(kafka.bootstrap, topics.prefix)
    first, group = TopicPartition(topics.texts, 0), f"{topics.prefix}.router"
    async with AsyncExitStack() as one, AsyncExitStack() as other:
        routers = {
            stack: await stack.enter_async_context(running("router", settings, build_router)) for stack in (one, other)
        }

        def elected():
            return [stack for stack, context in routers.items() if first in context.consumer().assignment()]

        await eventually(lambda: all(context.consumer().assignment() for context in routers.values()))
        await eventually(lambda: len(elected()) == 1 and metrics.value(MEMBERS, group=group) == 2)
        (reader,) = elected()
        await reader.aclose()
        await eventually(lambda: metrics.value(MEMBERS, group=group) == metrics.value(REACHABLE) == 1)
    assert metrics.value(MEMBERS) is metrics.value(REACHABLE) is None


async def test_a_reader_that_loses_the_election_ends_its_gauges(kafka, topics, metrics):
    elected = [True]
    async with measuring(kafka.bootstrap, topics, is_elected=lambda: elected[0]):
        await eventually(lambda: metrics.value(REACHABLE) == 1)
        elected.clear()
        elected.append(False)
        await eventually(lambda: metrics.value(REACHABLE) is metrics.value(LAG) is metrics.value(HELD) is None)


@pytest.mark.long
async def test_a_broker_that_is_away_ends_lag_and_stops_nothing(prefix, metrics, caplog):
    topics = Topics(prefix, 2)
    with EmbeddedKafka() as broker:
        await create_topics({"bootstrap_servers": broker.bootstrap}, topics)
        async with measuring(broker.bootstrap, topics, round_s=1) as task:
            await eventually(lambda: metrics.value(REACHABLE) == 1)
            broker.pause()
            await eventually(lambda: metrics.value(REACHABLE) == 0)
            assert metrics.value(LAG) is metrics.value(AGE) is metrics.value(HELD) is metrics.value(MEMBERS) is None
            await asyncio.sleep(3)  # more rounds fail, and none of them is logged
            broker.resume()
            await eventually(lambda: metrics.value(REACHABLE) == 1)
            assert metrics.value(LAG, group=f"{prefix}.frontier") == 0
            assert not task.done()
    said = [record.getMessage() for record in caplog.records if record.name.startswith("sprat_router")]
    assert said == ["groups cannot be measured: TimeoutError; it is tried again, and no text is affected"]
