"""Every alert fires under its fault, injected for real, and resolves after the repair.

Prometheus runs the shipped rules with all times divided by `faster_rules.FACTOR`.
"""

import re

import pytest

from support.observed import CONFIGURATION, ObservedRun, wait_until
from support.observed_faults import FAULTS, firing, noticed

pytestmark = pytest.mark.timeout(300)

RESOLVES_S = 240


@pytest.mark.parametrize("name", FAULTS)
def test_an_alert_fires_under_its_fault(run: ObservedRun, name: str) -> None:
    _, alerts = FAULTS[name]
    run.traffic.resume()
    wait_until(lambda: not any(firing(run, each) for each in alerts), RESOLVES_S, run.prometheus.alerts)
    with noticed(run, name):
        names = {each.split()[0] for each in alerts if firing(run, each)}
        wait_until(lambda: names <= run.alertmanager_alerts(), 10, run.alertmanager_alerts)


def test_every_alert_has_a_fault() -> None:
    files = (CONFIGURATION / "alerts").glob("*.yml")
    declared = {
        name for path in files for name in re.findall(r"^ *- alert: (\w+)$", path.read_text("utf-8"), re.MULTILINE)
    }
    assert {each.split()[0] for _, alerts in FAULTS.values() for each in alerts} == declared


def test_all_alerts_resolve_after_the_repair(run: ObservedRun) -> None:
    wait_until(lambda: not run.prometheus.alerts(), RESOLVES_S, run.prometheus.alerts)
    wait_until(lambda: not run.alertmanager_alerts(), 60, run.alertmanager_alerts)
