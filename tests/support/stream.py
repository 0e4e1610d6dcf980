"""What tests on the real broker share: topics, publishing, reading, and a service run inside the test."""

import asyncio
import struct
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import IllegalStateError, for_code
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c
from aiokafka.structs import RecordMetadata
from pydantic import SecretStr

from sprat.base.keys import Keys
from sprat.base.model import Answer, Question
from sprat.base.sealing import Seal
from sprat.base.settings import KafkaSettings, RedisSettings, ServiceSettings
from sprat.context import ServiceContext
from sprat.kafka.cluster import READ_COMMITTED, READ_UNCOMMITTED, Cluster
from sprat.kafka.publisher import Publisher
from sprat.kafka.signatures import Signatures
from sprat.processing.cache import RedisCache
from sprat.telemetry.tracing import Tracing
from sprat_contracts import IntentOutput, Topics
from sprat_inference.card import Calibration, Card, label_set_hash
from sprat_operations.topics import create_topics

SECRET = "a secret for the tests"
SIGNATURES = Signatures(Keys(SecretStr(SECRET)))
FORGED = Signatures(Keys(SecretStr("the secret of another installation")))


def settings_for(bootstrap: str, prefix: str, redis_url: str = "redis://127.0.0.1:1/0", **more: Any) -> ServiceSettings:
    """Return a service's settings; without a Redis, a port where nobody answers."""
    kafka = KafkaSettings(bootstrap=bootstrap, prefix=prefix, partitions=more.pop("partitions", 2))
    redis = RedisSettings(url=SecretStr(redis_url), timeout_s=0.5)
    return ServiceSettings(
        kafka=kafka, redis=redis, secret=SecretStr(SECRET), health_port=0, drain_s=5, _env_file=None, **more
    )


def chassis_of(bootstrap: str) -> ServiceContext:
    """Return what a service gets from the chassis, connected to nothing."""
    settings = settings_for(bootstrap, "test")
    publisher = Publisher(settings.kafka, "test")
    cache = RedisCache(settings.redis, "test:", Seal(settings.keys))
    return ServiceContext("test", "0", settings, publisher, cache, AsyncExitStack(), Tracing(exporting=False))


async def made_topics(settings: ServiceSettings) -> Topics:
    await create_topics(settings.kafka.client(), settings.kafka.topics)
    return settings.kafka.topics


@asynccontextmanager
async def producing(bootstrap: str) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", max_request_size=4_000_000)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def publish(
    bootstrap: str,
    topic: str,
    values: Iterable[bytes | None],
    headers: Sequence[tuple[str, bytes]] = (),
    key: bytes | None = None,
    partition: int | None = None,
) -> None:
    """Publish plain records and wait for their acknowledgements; without a partition, the key decides."""
    async with producing(bootstrap) as producer:
        sent = [await producer.send(topic, value, key, partition, headers=list(headers)) for value in values]
        await asyncio.gather(*sent)


async def transaction(bootstrap: str, topic: str, values: Sequence[bytes], *, commit: bool) -> None:
    """Publish to partition 0 in one transaction that ends as stated."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=f"{topic}-upstream")
    await producer.start()
    try:
        await producer.begin_transaction()
        for value in values:
            await producer.send_and_wait(topic, value, partition=0)
        await (producer.commit_transaction() if commit else producer.abort_transaction())
    finally:
        await producer.stop()


@asynccontextmanager
async def open_transaction(bootstrap: str, topic: str) -> AsyncIterator[int]:
    """Hold back partition 0 of a topic by a transaction that stays open; give the offset of its record."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=f"{topic}-hangs")
    await producer.start()
    try:
        await producer.begin_transaction()
        sent = await producer.send_and_wait(topic, b"{}", partition=0)
        yield sent.offset
        await producer.abort_transaction()
    finally:
        await producer.stop()
    await markers_are_written(bootstrap, TopicPartition(topic, 0))


async def markers_are_written(bootstrap: str, partition: TopicPartition) -> None:
    """Wait until no transaction of the partition is open: its marker is written some time after a producer ends one."""
    async with Cluster({"bootstrap_servers": bootstrap}) as cluster:
        await cluster.partition_counts([partition.topic])

        async def same() -> bool:
            ends = [await cluster.offsets([partition], isolation=each) for each in (READ_COMMITTED, READ_UNCOMMITTED)]
            return ends[0] == ends[1]

        await eventually(same)


async def position_is(consumer, partition: TopicPartition, offset: int) -> bool:
    try:
        return await consumer.position(partition) == offset
    except IllegalStateError:  # not assigned, during a rebalance
        return False


async def produce_empty(bootstrap: str, topic: str) -> RecordMetadata:
    """Publish a record without key and value into partition 0, as any client can but aiokafka's `send`."""
    async with producing(bootstrap) as producer:
        batch = producer.create_batch()
        batch.append(key=None, value=None, timestamp=None)
        return await (await producer.send_batch(batch, topic, partition=0))


def batch_builder(batch_size: int = 100_000) -> DefaultRecordBatchBuilder:
    """Return what builds a batch of at most so many bytes, neither compressed nor of a transaction."""
    return DefaultRecordBatchBuilder(
        magic=2,
        compression_type=0,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=batch_size,
    )


async def produce_raw(
    bootstrap: str, topic: str, value: bytes, headers: list[tuple[str, bytes]], name: bytes
) -> RecordMetadata:
    """Publish a record into partition 0 whose one header has a name of arbitrary bytes, as librdkafka can.

    aiokafka cannot write it, so the batch is built with a name of the same length, which is then replaced.
    """
    builder = batch_builder()
    builder.append(0, int(time.time() * 1000), None, value, headers)
    batch = bytearray(builder.build())
    at = bytes(batch).index(headers[0][0].encode())
    batch[at : at + len(name)] = name
    struct.pack_into(">I", batch, 17, calc_crc32c(bytes(batch[21:])))
    return (await send_batches(bootstrap, topic, [bytes(batch)]))[0]


async def send_batches(bootstrap: str, topic: str, batches: Iterable[bytes]) -> list[RecordMetadata]:
    """Send batches as they are into partition 0, and return where the first record of each is."""
    client = AIOKafkaClient(bootstrap_servers=bootstrap)
    await client.bootstrap()
    sent = []
    try:
        await client._wait_on_metadata(topic)
        node = client.cluster.leader_for_partition(TopicPartition(topic, 0))
        await client.ready(node)
        for batch in batches:
            request = ProduceRequest(
                transactional_id=None, required_acks=-1, timeout=20_000, topics=[(topic, [(0, batch)])]
            )
            response = await client.send(node, request)
            ((_, ((partition, error, offset, timestamp, *_),)),) = response.topics
            if error:
                raise for_code(error)(topic)
            sent.append(
                RecordMetadata(topic, partition, TopicPartition(topic, partition), offset, timestamp, None, None)
            )
    finally:
        await client.close()
    return sent


async def read_all(bootstrap: str, *topics: str) -> list[ConsumerRecord]:
    """Read topics from their beginning to their present end."""
    consumer = AIOKafkaConsumer(
        *topics, bootstrap_servers=bootstrap, auto_offset_reset="earliest", isolation_level="read_committed"
    )
    await consumer.start()
    try:
        ends = await consumer.end_offsets(list(consumer.assignment()))
        records: list[ConsumerRecord] = []
        while [tp for tp, end in ends.items() if await consumer.position(tp) < end]:
            for found in (await consumer.getmany(timeout_ms=100)).values():
                records.extend(found)
        return records
    finally:
        await consumer.stop()


async def read_until(bootstrap: str, topics: Sequence[str], count: int, timeout_s: float = 30) -> list[ConsumerRecord]:
    """Read topics until they hold `count` records in all."""
    deadline = time.monotonic() + timeout_s
    while True:
        records = await read_all(bootstrap, *topics)
        if len(records) >= count:
            return records
        if time.monotonic() > deadline:
            raise AssertionError(f"{len(records)} of {count} records on {', '.join(topics)} after {timeout_s} s")
        await asyncio.sleep(0.1)


async def lag(bootstrap: str, group: str, topics: Sequence[str]) -> int:
    """Return how many records of the topics a group has not committed."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False, isolation_level="read_committed"
    )
    await consumer.start()
    try:
        partitions = []
        for topic in topics:
            numbers = await consumer._client._wait_on_metadata(topic)
            partitions += [TopicPartition(topic, number) for number in numbers]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        return sum([end - (await consumer.committed(tp) or 0) for tp, end in ends.items()])
    finally:
        await consumer.stop()


async def eventually(condition: Callable[[], Any], timeout_s: float = 20) -> None:
    """Wait until a condition holds; it may be a coroutine function."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if asyncio.iscoroutine(value):
            value = await value
        if value:
            return
        assert time.monotonic() < deadline, "it did not come about"
        await asyncio.sleep(0.02)


def card(
    task: str = "intent", version: str = "0123456789abcdef", labels: tuple[str, ...] | None = ("greet", "leave")
) -> Card:
    """Return the card of a fake model."""
    return Card(
        name="fake",
        version=version,
        task=task,
        reader="fake/1",
        labels=labels,
        label_set=None if labels is None else label_set_hash(labels),
        languages=("en",),
        max_tokens=128,
        licence="Apache-2.0",
        made_of=(),
        scores=(),
        calibration=Calibration(
            method="none",
            fitted_on="the answers are a test's own",
            outside_share=0.1,
            longest_code_points=100,
            parameters={},
        ),
        keep_at=0.5,
        keep_at_rule="none",
        files={},
    )


class FakeModel:
    """A model that greets; it breaks on texts with `poison` in them, and counts what it is asked."""

    error: BaseException = RuntimeError("the model breaks")

    def __init__(self, delay_s: float = 0.0, confidence: float = 0.9) -> None:
        self.card = card()
        self.asked: list[str] = []
        self._delay_s = delay_s
        self._confidence = confidence

    def tokens(self, question: Question) -> int:
        return len(question.text) // 4 + 1

    def probe(self) -> None:
        pass

    def answer(self, questions: Sequence[Question]) -> list[Answer]:
        time.sleep(self._delay_s)
        self.asked += [question.text for question in questions]
        if any("poison" in question.text for question in questions):
            raise self.error
        return [Answer(IntentOutput(label="greet"), self._confidence) for _ in questions]
