"""Prometheus' and Alertmanager's own tools on the rules: alerts fire on their fault alone, and resolve."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from sprat_local.observe.programs import ALERTMANAGER
from sprat_local.observe.server import ObservingServer
from sprat_local.processes.ports import free_port
from support.programs import find
from support.sources import ROOT
from support.yaml_files import load_yaml

OBSERVABILITY = ROOT / "observability"
ALERTMANAGER_FILE = OBSERVABILITY / "alertmanager" / "alertmanager.yml"
RULE_FILES = [*OBSERVABILITY.glob("alerts/*.yml"), *OBSERVABILITY.glob("prometheus/rules/*.yml")]
LONG = {"frontier", "objectives", "quality", "services", "texts"}
"""Tests of rules, beside those over days, that compute for five seconds or more."""
ALERT_TESTS = [
    pytest.param(path, id=path.stem, marks=[pytest.mark.long] * (path.stem in LONG or path.stem.endswith("_over_days")))
    for path in sorted(OBSERVABILITY.glob("alerts/tests/*.yml"))
]


def run(program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([find(program), *map(str, arguments)], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("path", ALERT_TESTS)
def test_alerts_fire_on_their_fault_alone_and_resolve(path: Path) -> None:
    done = run("promtool", "test", "rules", path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_accepts_its_configuration() -> None:
    done = run("promtool", "check", "config", OBSERVABILITY / "prometheus" / "prometheus.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(RULE_FILES)} rule files found" in done.stdout


def test_alertmanager_accepts_its_configuration() -> None:
    done = run("amtool", "check-config", ALERTMANAGER_FILE)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def alertmanager(tmp_path: Path) -> Iterator[str]:
    """Return the address of an Alertmanager with our configuration, which knows no alert yet."""
    path = find("alertmanager", ALERTMANAGER.executables)
    port = free_port()
    argv = [
        path,
        f"--config.file={ALERTMANAGER_FILE}",
        f"--storage.path={tmp_path / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    server = ObservingServer(
        ALERTMANAGER.name,
        argv,
        port,
        ready_path=ALERTMANAGER.ready_path,
        folder=tmp_path,
        log=tmp_path / "alertmanager.log",
        environment=os.environ,
    )
    try:
        server.start()
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop(grace_s=5)


# Alerts as "NAME label=value …". Each fault: what is told, and what follows from it.
SERVICE_DOWN = (
    "SpratGroupWithoutMember service_name=sprat-ner messaging_consumer_group_name=sprat.ner.default",
    "SpratTextsWaitTooLong service_name=sprat-ner messaging_consumer_group_name=sprat.ner.default",
    "SpratGroupBehind service_name=sprat-ner messaging_consumer_group_name=sprat.ner.default",
    "SpratResultsStopped service_name=sprat-ner sprat_task=ner",
    "SpratPairsWithoutResult service_name=sprat-ner sprat_task=ner",
)
FAULTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "a service is killed": (
        ("SpratServiceDown service_name=sprat-ner sprat_model_name=default",),
        (*SERVICE_DOWN, "SpratInstanceDown service_name=sprat-ner sprat_model_name=default instance=ner"),
    ),
    "a service is not scraped and has no member": (SERVICE_DOWN[:1], SERVICE_DOWN[1:]),
    "another service has a fault, too": (
        (
            "SpratServiceDown service_name=sprat-ner sprat_model_name=default",
            "SpratResultsStopped service_name=sprat-intent sprat_task=intent",
            "SpratTextsWaitTooLong service_name=sprat-intent messaging_consumer_group_name=sprat.intent.default",
        ),
        SERVICE_DOWN,
    ),
    "the router is killed": (
        ("SpratServiceDown service_name=sprat-router",),
        (
            "SpratLagNotReported",
            "SpratResultsStopped service_name=sprat-ner sprat_task=ner",
            "SpratPairsWithoutResult service_name=sprat-intent sprat_task=intent",
        ),
    ),
    "the host stalls": (
        ("SpratKeptTextsSlow sprat_task=intent", "SpratKeptTextsSlow sprat_task=ner"),
        ("SpratKeptTextsSlow sprat_task=intent severity=ticket", "SpratKeptTextsSlow sprat_task=ner severity=ticket"),
    ),
    "the provider is down": (
        ("SpratProviderDown gen_ai_provider_name=mistral",),
        (
            "SpratProviderErrors gen_ai_provider_name=mistral",
            "SpratQualityDropped sprat_task=intent measure=degraded_share",
        ),
    ),
    "Kafka is away": (
        ("SpratKafkaUnreachable",),
        ("SpratServiceDown service_name=sprat-router", "SpratServiceDown service_name=sprat-ner", *SERVICE_DOWN),
    ),
}


def labels_of(alert: str) -> dict[str, str]:
    name, *more = alert.split()
    rules = (
        rule
        for path in RULE_FILES
        for group in load_yaml(path.read_text("utf-8"))["groups"]
        for rule in group["rules"]
        if rule.get("alert") == name
    )
    return {"alertname": name, "severity": next(rules)["labels"]["severity"]} | dict(each.split("=") for each in more)


@pytest.mark.parametrize("name", FAULTS)
def test_one_fault_is_one_call(alertmanager: str, name: str) -> None:
    told, follow = FAULTS[name]
    labels = {alert: labels_of(alert) for alert in (*told, *follow)}
    url = f"{alertmanager}/api/v2/alerts"
    httpx.post(url, json=[{"labels": each} for each in labels.values()], timeout=10).raise_for_status()
    calls = httpx.get(f"{url}/groups", params={"inhibited": "false"}, timeout=10).json()

    found = [each["labels"] for call in calls for each in call["alerts"]]
    assert {alert for alert, each in labels.items() if each in found} == set(told)
    assert [call["receiver"]["name"] for call in calls] == ["page"]
