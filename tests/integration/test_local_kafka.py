"""The embedded broker: its largest record, and what happens around its start and end."""

import asyncio
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from sprat_local.kafka import jars
from sprat_local.kafka.broker import EmbeddedKafka
from sprat_local.processes.notices import DownloadError, LocalError, StartError
from sprat_local.processes.ports import is_free

MIB = 1024 * 1024


async def make_topic(bootstrap: str, name: str, partitions: int = 1, **config: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        settings = {setting.replace("_", "."): value for setting, value in config.items()}
        response = await admin.create_topics([NewTopic(name, partitions, 1, topic_configs=settings)])
        assert response.topic_errors[0][1] == 0
        for _ in range(100):  # the topic is known before its partitions have a leader
            (described,) = await admin.describe_topics([name])
            if described["partitions"] and all(part["leader"] >= 0 for part in described["partitions"]):
                break
            await asyncio.sleep(0.05)
    finally:
        await admin.close()


async def produce(bootstrap: str, topic: str, *values: bytes, max_request_size: int = MIB) -> list[int]:
    async with AIOKafkaProducer(
        bootstrap_servers=bootstrap, enable_idempotence=True, max_request_size=max_request_size
    ) as producer:
        return [(await producer.send_and_wait(topic, value, partition=0)).timestamp for value in values]


def consumer_of(bootstrap: str, topic: str, group: str) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        topic,
        bootstrap_servers=bootstrap,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        isolation_level="read_committed",
    )


async def read(bootstrap: str, topic: str, group: str, count: int) -> list[bytes]:
    async with consumer_of(bootstrap, topic, group) as consumer:
        values = [(await asyncio.wait_for(consumer.getone(), 20)).value for _ in range(count)]
        await consumer.commit()
        return values


async def test_the_largest_record_of_any_topic_fits(kafka, prefix):
    await make_topic(kafka.bootstrap, prefix, max_message_bytes=str(3 * MIB))
    await produce(kafka.bootstrap, prefix, bytes(3 * MIB - 200), max_request_size=3 * MIB)


@pytest.mark.parametrize(
    "end", [pytest.param("kill", id="killed"), pytest.param("stop", marks=pytest.mark.long, id="stopped")]
)
async def test_a_broker_that_comes_back_has_its_port_its_data_and_its_offsets(end):
    with EmbeddedKafka() as broker:
        address = broker.bootstrap
        await make_topic(address, "kept")
        await produce(address, "kept", b"1", b"2")
        assert await read(address, "kept", "group", 1) == [b"1"]
        broker.kill() if end == "kill" else broker.stop(keep_data=True)
        (node,) = broker.nodes
        assert node.pid is None
        assert is_free(node.port)
        await asyncio.to_thread(broker.start)
        assert broker.bootstrap == address
        assert await read(address, "kept", "group", 1) == [b"2"]


async def test_clients_outlive_a_broker_that_is_frozen_and_goes_on():
    with EmbeddedKafka() as broker:
        await make_topic(broker.bootstrap, "frozen")
        async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap, enable_idempotence=True) as producer:
            await producer.send_and_wait("frozen", b"1")
            broker.pause()
            await asyncio.sleep(0.3)  # on a busy machine its threads take a moment to stop
            sending = await producer.send("frozen", b"2")
            await asyncio.sleep(0.5)  # it is not acknowledged meanwhile
            assert not sending.done()
            broker.resume()
            await asyncio.wait_for(sending, 20)
        assert await read(broker.bootstrap, "frozen", "group", 2) == [b"1", b"2"]


def test_nothing_is_left_after_stop():
    broker = EmbeddedKafka()
    broker.start()
    (node,) = broker.nodes
    folder, port, pid = node.folder, node.port, node.pid
    broker.stop()
    assert not folder.exists()
    assert is_free(port)
    assert not Path(f"/proc/{pid}").exists()


def test_a_taken_port_is_named(kafka):
    if not kafka.bootstrap.startswith("127.0.0.1:"):
        pytest.skip("the shared broker runs elsewhere")
    port = int(kafka.bootstrap.rpartition(":")[2])
    with pytest.raises(LocalError, match=f"port {port} of 127.0.0.1 is taken"):
        EmbeddedKafka(ports=[port]).start()


def test_a_broker_that_cannot_start_says_why_and_where_its_log_is(tmp_path):
    with EmbeddedKafka(tmp_path) as broker:
        log = broker.nodes[0].log_path
    identity = tmp_path / "log" / "meta.properties"
    identity.write_text(identity.read_text().replace("node.id=1", "node.id=2"))
    with pytest.raises(StartError) as caught:
        EmbeddedKafka(tmp_path).start()
    assert str(log) in str(caught.value)
    assert "node" in str(caught.value).rpartition("the last lines:")[2]


def test_a_first_start_without_network_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("M2_REPO", str(tmp_path / "empty"))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    with pytest.raises(DownloadError, match="What to do, one of: get this machine online once"):
        jars.class_path(retry_pause_s=0)


def test_a_file_that_is_not_the_pinned_one_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("M2_REPO", str(tmp_path / "m2"))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    for jar in jars.pinned():
        name = f"{jar.artifact}-{jar.version}.jar"
        path = tmp_path / "m2" / jar.group.replace(".", "/") / jar.artifact / jar.version / name
        path.parent.mkdir(parents=True)
        path.write_bytes(b"something else")
    with pytest.raises(DownloadError, match="is not the pinned file"):
        jars.class_path(retry_pause_s=0)
