"""`sprat bench` for real: its figures are plausible, and nothing is left."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.timeout(300)  # 20 s on a quiet machine
COMMAND = [sys.executable, "-m", "sprat_cli", "bench", "--seconds", "2"]


def test_the_figures_are_plausible(tmp_path: Path) -> None:
    command = [*COMMAND, "--rates", "25,800", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    calm, swamped = figures["loads"]

    assert figures["unended"] == 0
    assert figures["different_texts"] > 200
    assert figures["texts"] >= figures["different_texts"]
    assert {"intent", "router", "kafka", "redis", "sprat bench"} == set(figures["cpu_s_per_1000"])
    assert (calm["share"], swamped["share"]) == (0.25, 8.0)
    assert calm["offered_per_s"] == pytest.approx(figures["texts_per_s"] / 4, rel=0.05)
    assert calm["p50_ms"] < swamped["p50_ms"] < swamped["max_ms"]
    assert swamped["max_ms"] > 500
    assert not swamped["sustained"]
    assert 100 < figures["peak_memory_mb"]["intent"] < 600


@pytest.mark.parametrize("during", ["Starting", "A backlog"])
def test_ctrl_c_ends_it_at_once_and_leaves_nothing(tmp_path: Path, during: str) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(COMMAND, cwd=tmp_path, stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stderr is not None
    while during not in process.stderr.readline():
        assert process.poll() is None
    time.sleep(0.5)  # into the step
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    _, errors = process.communicate(timeout=60)

    assert process.returncode == 130, errors
    assert time.monotonic() - began < 20  # at most 8 s on a quiet machine
    assert children
    assert not psutil.wait_procs(children, timeout=3)[1]
    assert "Traceback" not in errors
    assert list(tmp_path.glob("sprat-bench-*")) == []
