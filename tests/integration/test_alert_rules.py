"""Prometheus' and Alertmanager's own tools on the rules: alerts fire on their fault alone, and resolve."""

import shutil
import subprocess
from pathlib import Path

import pytest

from support.sources import ROOT

OBSERVABILITY = ROOT / "observability"
RULE_FILES = [*OBSERVABILITY.glob("alerts/*.yml"), *OBSERVABILITY.glob("prometheus/rules/*.yml")]
ALERT_TESTS = sorted(OBSERVABILITY.glob("alerts/tests/*.yml"))


def run(program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is not installed: observability/README.md says how to get it")
    return subprocess.run([path, *map(str, arguments)], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("path", ALERT_TESTS, ids=lambda path: path.stem)
def test_alerts_fire_on_their_fault_alone_and_resolve(path: Path) -> None:
    done = run("promtool", "test", "rules", path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_accepts_its_configuration() -> None:
    done = run("promtool", "check", "config", OBSERVABILITY / "prometheus" / "prometheus.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(RULE_FILES)} rule files found" in done.stdout


def test_alertmanager_accepts_its_configuration() -> None:
    done = run("amtool", "check-config", OBSERVABILITY / "alertmanager" / "alertmanager.yml")
    assert done.returncode == 0, done.stdout + done.stderr
