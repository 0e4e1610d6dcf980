"""Every consumer reads committed records alone: one place makes them, and tests say so themselves."""

import ast

import pytest
from faststream.kafka import KafkaBroker

from sprat.base.channels import Channels
from sprat.base.settings import KafkaSettings
from sprat.kafka.clients import make_consumer
from sprat.kafka.compat import on_consumer_created
from sprat.kafka.consumer import make_broker, subscribe
from sprat_contracts import TextSubmitted
from support.sources import ROOT, calls, sources

MADE_IN = ROOT / "shared" / "chassis" / "src" / "sprat" / "kafka" / "clients.py"


def test_one_module_makes_the_consumers():
    paths = sources("contracts", "shared", "services")
    assert MADE_IN in paths
    assert [path for path in paths if any(calls(path, "AIOKafkaConsumer"))] == [MADE_IN]


def test_the_consumers_of_tests_read_committed_records_too():
    every = [(path, call) for path in sources("tests") for call in calls(path, "AIOKafkaConsumer")]
    assert every
    for path, call in every:
        levels = [ast.literal_eval(word.value) for word in call.keywords if word.arg == "isolation_level"]
        assert levels == ["read_committed"], f"{path}:{call.lineno}"


async def test_a_consumer_reads_committed_records_and_commits_nothing_by_itself():
    consumer = make_consumer({"bootstrap_servers": "127.0.0.1:1"})
    assert consumer._isolation_level == "read_committed"
    assert consumer._enable_auto_commit is False
    await consumer.stop()


@pytest.fixture
def broker() -> KafkaBroker:
    return make_broker(KafkaSettings(), "test")


async def test_a_service_reads_committed_records_and_has_its_consumer_before_it_starts(broker):
    """FastStream makes the consumer and starts it in one call: the wrapped builder is all that comes between."""

    class Stopped(Exception):
        pass

    seen = []

    def created(consumer):
        seen.append(consumer)
        raise Stopped  # before a connection

    await on_consumer_created(broker, created)
    declaration = Channels("intent", "", {"texts": TextSubmitted}, {})

    async def handle(records):
        raise AssertionError("nothing is read")

    subscribe(broker, declaration, "group", handle, None, KafkaSettings())
    with pytest.raises(Stopped):
        await broker.start()
    (consumer,) = seen
    assert consumer._isolation_level == "read_committed"
    assert consumer._enable_auto_commit is False
    await consumer.stop()
