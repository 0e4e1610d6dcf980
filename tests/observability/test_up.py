"""`sprat up --observe` as the user runs it: everything is connected, and ends with it."""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from sprat.base.errors import UserError
from sprat_local.observe import runbooks
from sprat_local.observe.programs import PROGRAMS, PROMETHEUS, find_programs
from support.observed import PrometheusClient, wait_until
from support.up_process import UpProcess, have_ended

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def up() -> Iterator[UpProcess]:
    try:
        if PROMETHEUS not in find_programs():
            pytest.skip("Prometheus is not installed; docs/observability.md says how to get it")
    except UserError as error:
        pytest.skip(str(error))
    process = UpProcess("--observe")
    yield process
    process.end()


def test_everything_is_connected_follows_a_restart_and_stops_within_five_seconds(up: UpProcess) -> None:
    up.wait_ready(120)
    addresses = dict(re.findall(r"^  observe   (\S+) +(http://\S+)", up.output, re.MULTILINE))
    assert addresses.keys() == {program.name for program in find_programs()}
    page = addresses["prometheus"].removesuffix(PROMETHEUS.page)
    runbook = httpx.get(f"{page}{runbooks.PATH}/SpratServiceDown.md", timeout=10)
    assert runbook.headers["content-type"].startswith("text/html")
    assert '<a href="SpratKafkaUnreachable.md">' in runbook.text

    prometheus = PrometheusClient(page)
    try:
        services = {"router", "intent", "ner", "translation", "frontier"}
        all_up = dict.fromkeys(services, "up")
        wait_until(lambda: prometheus.targets() == all_up, 30, prometheus.targets)
        before = prometheus.series('sprat_ready{instance="intent"}')
        first = up.pid_of("sprat_intent")
        assert first is not None
        os.kill(first, signal.SIGKILL)
        up.wait_for(lambda: "intent: ready again" in up.output, 60)
        wait_until(lambda: prometheus.targets() == all_up, 30, prometheus.targets)
        assert prometheus.series('sprat_ready{instance="intent"}') == before  # the same series, on another port
        assert {"SpratServiceDown", "sprat:results:rate1m"} <= prometheus.rules()
    finally:
        prometheus.close()

    children = up.children()
    assert len(children) >= len(services) + 3 + len(addresses)
    code, seconds = up.interrupt()
    assert (code, seconds < 5) == (0, True), f"{seconds:.1f} s\n{up.output}"
    assert have_ended(children, 0.5)


def test_without_any_program_it_says_so_before_anything_starts(tmp_path: Path) -> None:
    up = UpProcess("--observe", env=os.environ | {"PATH": str(tmp_path), "GOPATH": str(tmp_path), "GOBIN": ""})
    try:
        assert up.process.wait(60) == 2
    finally:
        up.end()
    assert f"none of {', '.join(program.name for program in PROGRAMS)} is installed" in up.output
    assert "stopped in" not in up.output  # nothing had started
