"""An installation as a library: on servers that run already, and with data that is kept."""

import asyncio
import socket
import time
from dataclasses import replace
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from conftest import Kafka, Redis
from sprat.base.errors import UserError
from sprat_contracts import TASKS
from sprat_intent.__main__ import SHIPPED as SHIPPED_INTENT
from sprat_local.installation.lifecycle import Installation
from sprat_local.installation.models import announced_models, is_served, served_models
from sprat_local.installation.options import USUAL_KAFKA_PORT, Options
from sprat_local.processes.notices import Notice
from sprat_local.processes.ports import free_port
from sprat_local.up.session import greeting
from sprat_operations.services import ON_REQUEST


def test_on_existing_servers_it_starts_only_the_services_and_leaves_the_servers_alone(
    kafka: Kafka, redis_server: Redis, prefix: str
) -> None:
    options = Options(bootstrap=kafka.bootstrap, redis=redis_server.url, prefix=prefix, partitions=2)
    with Installation(options) as installation:
        assert installation.servers == {}
        assert set(installation.processes) == {"simulator", "router", *TASKS, "frontier"} - {*ON_REQUEST}
        assert {state.partitions for state in installation.topic_states if ".texts." in state.name} == {2}
        folder = installation.folder

    assert not folder.exists()
    with Installation(Options(bootstrap=kafka.bootstrap, redis=redis_server.url, services=())) as again:
        assert again.processes == {}


def test_topics_that_differ_are_reported_and_used_as_they_are(kafka: Kafka, redis_server: Redis, prefix: str) -> None:
    notices: list[Notice] = []
    shared = {"bootstrap": kafka.bootstrap, "redis": redis_server.url, "prefix": prefix, "services": ()}
    with Installation(Options(partitions=2, **shared)):
        pass
    with Installation(Options(partitions=3, **shared), on_notice=notices.append):
        pass

    assert Notice("topics", "warning", f"{prefix}.texts.v1: partitions is 2, not 3") in notices


async def test_kept_data_is_there_in_the_next_run_and_locked_during_a_run(tmp_path: Path) -> None:
    options = Options(data=tmp_path / "data", services=())
    first = Installation(options)
    await asyncio.to_thread(first.start)
    secret = (first.folder / "secret").read_text()
    producer = AIOKafkaProducer(bootstrap_servers=first.bootstrap)
    await producer.start()
    sent = await producer.send_and_wait(first.topics.texts, b"{}")
    await producer.stop()
    with pytest.raises(UserError, match="in use by another process"):
        await asyncio.to_thread(Installation(options).start)
    await asyncio.to_thread(first.stop)

    second = Installation(options)
    await asyncio.to_thread(second.start)
    consumer = AIOKafkaConsumer(bootstrap_servers=second.bootstrap, isolation_level="read_committed")
    await consumer.start()
    place = TopicPartition(sent.topic, sent.partition)
    ends = await consumer.end_offsets([place])
    await consumer.stop()
    kept = (second.folder / "secret").read_text()
    await asyncio.to_thread(second.stop)
    with pytest.raises(UserError, match=r"has 8 partitions, not 3, and that cannot change: --partitions 8"):
        await asyncio.to_thread(Installation(replace(options, partitions=3)).start)

    assert ends[place] == sent.offset + 1
    assert kept == secret


async def test_kafka_has_the_port_of_the_last_run_of_its_data_where_that_is_free(tmp_path: Path) -> None:
    taken = free_port()
    options = Options(data=tmp_path / "data", services=(), usual_ports=True, kafka_port=taken)
    with socket.create_server(("127.0.0.1", taken)):
        with Installation(options) as first:
            port = first.bootstrap.rpartition(":")[2]
        with Installation(replace(options, kafka_port=USUAL_KAFKA_PORT)) as second:
            assert second.bootstrap == f"127.0.0.1:{port}"
    with Installation(options) as third:
        assert third.bootstrap == f"127.0.0.1:{taken}", "a port that is named comes first"


async def test_a_model_of_an_earlier_run_that_is_not_served_now_is_reported(
    kafka: Kafka, redis_server: Redis, prefix: str
) -> None:
    shared = {"bootstrap": kafka.bootstrap, "redis": redis_server.url, "prefix": prefix, "partitions": 1}
    services = ("simulator", "router", "intent", "frontier")
    models = served_models([f"intent/hr={SHIPPED_INTENT}"])
    with_hr = Installation(Options(services=services, models=models, **shared))
    await asyncio.to_thread(with_hr.start)
    assert all(is_served(with_hr, each) for each in await announced_models(with_hr))
    await asyncio.to_thread(with_hr.stop)

    without = Installation(Options(services=services, **shared))
    await asyncio.to_thread(without.start)
    announced = await announced_models(without)
    found = [f"{each.task}/{each.model}" for each in announced if not is_served(without, each)]
    output = list(greeting(without, announced))
    await asyncio.to_thread(without.stop)
    assert found == ["intent/hr"]
    assert "  unserved  intent/hr is announced: texts that ask for it wait" in "\n".join(output)


def test_servers_that_die_are_reported_with_reason_and_log_and_restarted() -> None:
    notices: list[Notice] = []
    with Installation(Options(services=()), on_notice=notices.append) as installation:
        logs = installation.logs
        for server in installation.servers.values():
            server.kill()
        deadline = time.monotonic() + 30
        while sum(event.text == "serves again" for event in notices) < 2:
            assert time.monotonic() < deadline, notices
            time.sleep(0.05)
        assert {(name, server.restarts, server.last_exit) for name, server in installation.servers.items()} == {
            ("kafka", 1, "killed by SIGKILL"),
            ("redis", 1, "killed by SIGKILL"),
        }
        assert all(server.port for server in installation.servers.values())
    for name in ("kafka", "redis"):
        first = next(event.text for event in notices if event.service == name)
        assert first.startswith("died: killed by SIGKILL; restart 1 in ")
        assert f"; log: {logs / name}.log" in first


def test_a_failed_start_shows_its_last_lines_once_and_names_no_removed_file(
    kafka: Kafka, redis_server: Redis, prefix: str
) -> None:
    notices: list[Notice] = []
    options = Options(
        bootstrap=kafka.bootstrap,
        redis=redis_server.url,
        prefix=prefix,
        services=("simulator",),
        service_environment={"simulator": {"SPRAT_SIMULATOR_WRONG_RATE": "7"}},
    )
    with pytest.raises(UserError) as caught:
        Installation(options, on_notice=notices.append).start()

    output = "\n".join([*(event.text for event in notices), str(caught.value)])
    assert output.count("SPRAT_SIMULATOR_WRONG_RATE") == 1
    assert "The last lines of its log:" in output
    assert "sprat-run-" not in output


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"redis": "nonsense"}, r"^--redis: .*redis://"), ({"prefix": "no spaces"}, r"^settings: --prefix: ")],
    ids=["redis", "prefix"],
)
def test_a_wrong_option_is_named_before_anything_starts(wrong: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Installation(Options(services=(), **wrong)).start()


def test_a_policy_that_does_not_exist_is_named_before_anything_starts(tmp_path: Path) -> None:
    installation = Installation(Options(policy=tmp_path / "none.yaml"))

    with pytest.raises(UserError, match=r"no policy file at .*none\.yaml"):
        installation.start()


def test_an_unreachable_broker_is_reported(redis_server: Redis) -> None:
    with pytest.raises(UserError, match="cannot be reached"):
        Installation(Options(bootstrap="127.0.0.1:9", redis=redis_server.url, services=())).start()
