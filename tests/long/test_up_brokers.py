"""`sprat up --brokers 3`: it says which broker is away, and never that Kafka is, while two of three serve."""

import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from sprat.base.errors import UserError
from sprat_local.installation.lifecycle import Installation
from sprat_local.installation.options import Options
from support.stream import publish, read_all
from support.up_process import UpProcess, have_ended

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def up() -> Iterator[UpProcess]:
    process = UpProcess("--brokers", "3", "--no-gateway", "--start-timeout", "120")
    yield process
    process.end()


def broker(up: UpProcess, number: int) -> psutil.Process:
    """Return the process of a broker, by the folder in which it runs."""
    return next(each for each in up.children() if each.cwd().endswith(f"kafka/{number}"))


def test_a_frozen_and_a_killed_broker_are_named_and_kafka_goes_on(up: UpProcess) -> None:
    up.wait_for(lambda: "Ctrl-C" in up.output, 200)
    assert len(up.bootstrap.split(",")) == 3
    frozen = broker(up, 2)
    frozen.send_signal(signal.SIGSTOP)
    up.wait_for(lambda: "kafka#2: does not answer; the others serve what it has" in up.output, 30)
    time.sleep(5)  # a few looks at the whole Kafka, of which two of three serve
    frozen.send_signal(signal.SIGCONT)
    up.wait_for(lambda: "kafka#2: answers again, after " in up.output, 30)
    broker(up, 1).kill()
    up.wait_for(lambda: "kafka#1: died: killed by SIGKILL; restart 1 in " in up.output, 10)
    up.wait_for(lambda: "kafka#1: serves again" in up.output, 90)
    assert "kafka: does not answer" not in up.output
    children = up.children()
    code, _ = up.interrupt()
    assert code == 0, up.output
    assert have_ended(children, 0.5)


async def test_kept_data_stays_with_its_number_of_brokers(tmp_path: Path) -> None:
    options = Options(brokers=3, data=tmp_path, services=(), usual_ports=True)
    with Installation(options) as first:
        bootstrap, texts = first.bootstrap, first.topics.texts
        await publish(bootstrap, texts, [b"kept"])
    with pytest.raises(UserError, match="has the data of several brokers: --brokers 3, or another folder for --data"):
        Installation(replace(options, brokers=1)).start()
    with Installation(options) as second:
        assert second.bootstrap == bootstrap, "at the ports of the last run"
        assert [each.value for each in await read_all(bootstrap, texts)] == [b"kept"]
