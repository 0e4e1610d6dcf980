"""The producers of `docs/clients` in Node and Go, as written: what they publish is a text, where Java would put it."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer
from confluent_kafka import Producer

from conftest import Kafka
from sprat_contracts import TextSubmitted, Topics, decode
from sprat_operations.topics import create_topics
from support.npm import node_modules
from support.programs import needs
from support.result_consumers import CLIENTS, SOURCE, TENANT

TEXT = 'Grüße an "Anna Berg", 你好 🙂: block my card'
KEYS = ("customer-17", "customer-18", "Müller")


async def check_producer(bootstrap: str, prefix: str, command: Sequence[str], folder: Path) -> None:
    """Publish with different keys, each text twice; compare what comes, and the partitions with those of Java."""
    topics = Topics(prefix, 8)
    await create_topics({"bootstrap_servers": bootstrap}, topics)
    environment = os.environ | {"BOOTSTRAP": bootstrap, "PREFIX": prefix, "TENANT": TENANT, "SOURCE": SOURCE}
    said = []
    for key in (*KEYS, KEYS[0]):
        done = await asyncio.to_thread(
            subprocess.run,
            [*command, f"mail-{key}", TEXT],
            env=environment | {"KEY": key},
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr  # kafkajs logs what it tries again, as on a new topic
        said.append(done.stdout)
    consumer = AIOKafkaConsumer(
        topics.texts, bootstrap_servers=bootstrap, auto_offset_reset="earliest", isolation_level="read_committed"
    )
    async with consumer, asyncio.timeout(30):
        records = [await consumer.getone() for _ in said]
    events = [decode(record, TextSubmitted) for record in records]
    assert {f"{topics.texts} {record.partition}@{record.offset}\n" for record in records} == set(said)
    assert {(event.envelope.source, event.envelope.id) for event in events} == {(SOURCE, f"mail-{key}") for key in KEYS}
    assert {event.message.text for event in events} == {TEXT}
    assert {event.message.tenant for event in events} == {TENANT}
    assert not any(event.warnings for event in events)
    where = {record.key.decode(): record.partition for record in records}
    assert where == {key: partition_of(bootstrap, topics.texts, key) for key in KEYS}


def partition_of(bootstrap: str, topic: str, key: str) -> int:
    """Return where a key belongs by the partitioner of Java."""
    found: list[int] = []
    producer = Producer({"bootstrap.servers": bootstrap, "partitioner": "murmur2_random"})
    producer.produce(topic, b"", key=key, on_delivery=lambda _, record: found.append(record.partition()))
    assert producer.flush(30) == 0
    return found[0]


@needs("npm")
@pytest.mark.timeout(900)  # the first time, it installs the libraries
async def test_the_producer_in_node(kafka: Kafka, prefix: str, tmp_path: Path) -> None:
    (tmp_path / "node_modules").symlink_to(node_modules(CLIENTS / "node"))
    program = shutil.copy(CLIENTS / "node" / "publish.mjs", tmp_path)
    await check_producer(kafka.bootstrap, prefix, ["node", program], tmp_path)


@needs("go")
@pytest.mark.timeout(900)  # the first build compiles the libraries: minutes on busy cores
async def test_the_producer_in_go(kafka: Kafka, prefix: str, tmp_path: Path) -> None:
    program = tmp_path / "publish"
    build = ["go", "build", "-mod=readonly", "-o", program, "./publish"]
    subprocess.run(build, cwd=CLIENTS / "go", check=True, timeout=900)
    await check_producer(kafka.bootstrap, prefix, [str(program)], tmp_path)
