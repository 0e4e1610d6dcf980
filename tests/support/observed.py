"""An observed installation for the proofs: steady mixed traffic, and clients of what observes it."""

import asyncio
import contextlib
import json
import secrets
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from confluent_kafka import KafkaException, Producer

from sprat_local.installation.lifecycle import Installation
from sprat_local.installation.options import Options, Simulation
from sprat_local.observe.programs import ALERTMANAGER, COLLECTOR, PROMETHEUS, Program
from sprat_local.observe.stack import Observability
from support.faster_rules import write_faster_rules
from support.faulty_service import MODULE, faulty
from support.frontier_parts import CONTROL_TOKEN
from support.secrets_generator import Planted, planted
from support.sources import ROOT
from support.traffic import record, settled

CONFIGURATION = ROOT / "observability"
SCRAPE_S = 0.5
PER_SECOND = 6
FAULTY = ("intent", "translation", "frontier", "gateway")
"""Services that can be made to fail."""
SETTINGS = {
    "SPRAT_KAFKA__SESSION_TIMEOUT_MS": "6000",
    # The telemetry as fast as the rules.
    "SPRAT_LAG_EVERY_S": "0.5",
    "OTEL_BSP_SCHEDULE_DELAY": "500",
    "OTEL_BLRP_SCHEDULE_DELAY": "500",
    "SPRAT_AUDIT__CHECKPOINT_EVERY_S": "1",
    # A breaker that tries again at once when the provider is back.
    "SPRAT_FRONTIER__BREAKER__COOLDOWN_S": "1",
    "SPRAT_FRONTIER__BREAKER__MAX_COOLDOWN_S": "2",
}
_POLICY = """
tasks:
  intent: {keep_at: 0.72, out_of_scope: keep}
  ner: {keep_at: 0.90}
  translation: {keep_at: 0.63}
tenants:
  acme-bank: {frontier: allow, regions: [eu, local], deadline_ms: 20000}
  careful: {frontier: redact, regions: [eu, local], deadline_ms: 20000}
"""
_ALLOWED = {"tenant": "acme-bank", "frontier": "allow"}
_MASKED = {"tenant": "careful", "frontier": "redact"}
SOURCE = "/tests/observability"


class Mix:
    """The texts of the traffic, by their number."""

    def __init__(self, seed: int = 7) -> None:
        self._run = secrets.token_hex(3)
        self.planted: dict[str, Planted] = {}
        """Id → a text with secrets in it."""
        self._secrets = planted(1_000_000, seed)
        kept = self._kept
        self._kinds = (
            *(kept, self._masked, self._escalated, kept, self._name, kept),
            *(self._sentence, self._uncovered, self._denied, kept, self._cached, self._three_tasks),
        )

    def event(self, number: int) -> tuple[bytes, list[tuple[str, bytes]]]:
        """Return the value and the headers of the n-th text; two in sixty are invalid."""
        id = f"{self._run}-{number}"
        if number % 60 == 12:
            return b"no JSON at all", []
        if number % 60 == 24:
            return record(SOURCE, id, {"text": "What is this?", "tasks": {"sentiment": {}, "intent": {}}})
        return record(SOURCE, id, self._kinds[number % len(self._kinds)](number, id))

    def _kept(self, number: int, _: str) -> dict[str, Any]:
        return {"text": f"please move {number} euros from checking to my savings account", "tasks": {"intent": {}}}

    def _name(self, number: int, _: str) -> dict[str, Any]:
        return {"text": f"Angela Merkel met Barack Obama in Berlin on day {number}.", "tasks": {"ner": {}}}

    def _sentence(self, number: int, _: str) -> dict[str, Any]:
        tasks = {"translation": {"target": "de"}}
        return {"text": f"The train to Berlin leaves at {number % 12} o'clock.", "tasks": tasks}

    def _cached(self, _: int, __: str) -> dict[str, Any]:
        return {"text": "what is my balance", "tasks": {"intent": {}}}

    def _three_tasks(self, number: int, _: str) -> dict[str, Any]:
        tasks = {"intent": {}, "ner": {}, "translation": {"target": "de"}}
        return {"text": f"I will meet Anna in Paris on day {number}.", "tasks": tasks} | _ALLOWED

    def _escalated(self, number: int, _: str) -> dict[str, Any]:
        """Return a text in a language that the small model does not serve."""
        return {"text": f"för över {number} euro till mitt konto", "language": "sv", "tasks": {"intent": {}}} | _ALLOWED

    def _masked(self, _: int, id: str) -> dict[str, Any]:
        self.planted[id] = one = next(self._secrets)
        return {"text": one.text, "language": one.language, "tasks": {"translation": {"target": "fi"}}} | _MASKED

    def _uncovered(self, number: int, _: str) -> dict[str, Any]:
        """Return a text in a language that the masking does not cover."""
        return {"text": f"mikä on saldoni {number}", "language": "fi", "tasks": {"intent": {}}} | _MASKED

    def _denied(self, number: int, _: str) -> dict[str, Any]:
        """Return a hard text of a tenant without a policy."""
        return {"text": f"hur mår du {number}", "language": "sv", "tasks": {"intent": {}}, "tenant": "stranger"}


class Traffic:
    """Publishes texts at a steady rate, on a thread of its own. What a broker cannot take yet waits in the producer."""

    def __init__(self, bootstrap: str, topic: str, mix: Mix, per_second: float = PER_SECOND) -> None:
        self.mix = mix
        self.sent = 0
        self._topic = topic
        self._pause = 1 / per_second
        self._running = threading.Event()
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._producer = Producer(
            {"bootstrap.servers": bootstrap, "enable.idempotence": True, "log_level": 0, "linger.ms": 5}
        )
        self._thread = threading.Thread(target=self._run, name="traffic", daemon=True)
        self._thread.start()

    def resume(self) -> None:
        """Go on with the traffic."""
        self._running.set()

    def pause(self) -> None:
        """Pause it; return when all that was sent is acknowledged."""
        self._running.clear()
        with self._lock:
            assert self._producer.flush(60) == 0

    def publish(self, value: bytes, headers: list[tuple[str, bytes]], key: str = "0") -> None:
        """Publish one more text and wait until it is acknowledged."""
        with self._lock:
            self._producer.produce(self._topic, value, key, headers=headers)
            assert self._producer.flush(60) == 0

    def close(self) -> None:
        """End it."""
        self._over.set()
        self._running.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.is_set():
            self._running.wait()
            with self._lock, contextlib.suppress(BufferError, KafkaException):
                value, headers = self.mix.event(self.sent)
                self._producer.produce(self._topic, value, str(self.sent), headers=headers)
                self._producer.poll(0)
                self.sent += 1
            self._over.wait(self._pause)


@dataclass
class Sample:
    """One series of an answer of Prometheus."""

    labels: dict[str, str]
    value: float


class PrometheusClient:
    """What Prometheus knows."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=20)

    def query(self, expr: str) -> list[Sample]:
        """Return the present value of each series of an expression."""
        result = self._get("query", query=expr)["result"]
        return [Sample(each["metric"], float(each["value"][1])) for each in result]

    def value(self, expr: str) -> float:
        """Return the one value of an expression; 0 where it has none."""
        found = self.query(expr)
        assert len(found) < 2, found
        return found[0].value if found else 0.0

    def series(self, match: str) -> list[dict[str, str]]:
        """Return the labels of all series."""
        found: list[dict[str, str]] = self._get("series", **{"match[]": match})
        return found

    def alerts(self, state: str = "firing") -> list[dict[str, str]]:
        """Return the labels of the alerts in a state."""
        return [each["labels"] for each in self._get("alerts")["alerts"] if each["state"] == state]

    def rules(self) -> set[str]:
        """Return the names of the loaded alerts and recording rules."""
        return {rule["name"] for group in self._get("rules")["groups"] for rule in group["rules"]}

    def targets(self) -> dict[str, str]:
        """Return the health of each target by its instance."""
        return {each["labels"]["instance"]: each["health"] for each in self._get("targets")["activeTargets"]}

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def _get(self, path: str, **parameters: str) -> Any:
        answer = (
            self._client.post(f"/api/v1/{path}", data=parameters) if parameters else self._client.get(f"/api/v1/{path}")
        )
        content = answer.json()
        assert content["status"] == "success", content
        return content["data"]


@dataclass
class ObservedRun:
    """The installation with all that the proofs use."""

    installation: Installation
    traffic: Traffic
    prometheus: PrometheusClient
    faults: Path
    """Files in it are faults of services."""
    began_s: float = field(default_factory=time.time)
    noticed: set[str] = field(default_factory=set)
    """The faults that were injected, and whose alerts have fired."""

    def url(self, program: Program, path: str = "") -> str:
        """Return an address of a program."""
        assert self.installation.observers is not None
        return self.installation.observers.addresses.url(program, path)

    def runs(self, program: Program) -> bool:
        """Return whether a program is installed and runs."""
        assert self.installation.observers is not None
        return program in self.installation.observers.addresses.pages

    def settle(self) -> None:
        """Pause the traffic, and wait until every text has its Results and Prometheus has seen them."""
        self.traffic.pause()
        asyncio.run(settled(self.installation.bootstrap, self.installation.topics))
        # A service counts what Kafka has acknowledged a moment later, and measures the groups every half second.
        seen = time.time() + 1
        scraped = "min(timestamp(up{job='sprat'}))"
        wait_until(lambda: self.prometheus.value(scraped) > seen, 20, lambda: self.prometheus.query(scraped))

    def alertmanager_alerts(self) -> set[str]:
        """Return the names of the alerts that Alertmanager knows as active."""
        found = httpx.get(self.url(ALERTMANAGER, "/api/v2/alerts"), params={"active": "true"}, timeout=10).json()
        return {each["labels"]["alertname"] for each in found}

    def behave(self, **changes: Any) -> None:
        """Change the behaviour of the simulated provider."""
        port = self.installation.processes["simulator"].port
        headers = {"authorization": f"Bearer {CONTROL_TOKEN}"}
        httpx.post(f"http://127.0.0.1:{port}/control", json=changes, headers=headers, timeout=10).raise_for_status()

    def otlp_lines(self, signal: str) -> list[dict[str, Any]]:
        """Return what the services have sent of a signal: not masked, not sampled."""
        path = self.installation.folder / "observe" / "otelcol" / f"{signal}-sent.jsonl"
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []

    def spans(self) -> list[dict[str, Any]]:
        """Return all spans, in OTLP's JSON, each with the name of its service under `service`."""
        return [
            span | {"service": attributes_of(resource["resource"])["service.name"], "resource": resource["resource"]}
            for line in self.otlp_lines("traces")
            for resource in line["resourceSpans"]
            for scope in resource["scopeSpans"]
            for span in scope["spans"]
        ]

    def log_records(self) -> list[dict[str, Any]]:
        """Return all log lines, in OTLP's JSON."""
        return [
            each
            for line in self.otlp_lines("logs")
            for resource in line["resourceLogs"]
            for scope in resource["scopeLogs"]
            for each in scope["logRecords"]
        ]


def attributes_of(holder: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes of something in OTLP's JSON."""
    return {each["key"]: next(iter(each["value"].values()), None) for each in holder.get("attributes", ())}


def wait_until(reached: Callable[[], Any], within_s: float, what: Callable[[], object]) -> None:
    """Wait until a condition holds; `what` describes the state if it does not."""
    deadline = time.monotonic() + within_s
    while not reached():
        assert time.monotonic() < deadline, what()
        time.sleep(0.2)


@contextlib.contextmanager
def observed(folder: Path) -> Iterator[ObservedRun]:
    """Run an observed installation with traffic."""
    faults, policy = folder / "faults", folder / "policy.yaml"
    faults.mkdir()
    policy.write_text(_POLICY, "utf-8")
    options = Options(
        policy=policy,
        simulation=Simulation(latency_ms=20, jitter_ms=20, invent=True),
        environment=SETTINGS | {"SPRAT_SIMULATOR_CONTROL_TOKEN": CONTROL_TOKEN},
        service_environment={service: faulty(service, faults) for service in FAULTY},
        modules=dict.fromkeys(FAULTY, MODULE),
        observability=Observability(write_faster_rules(CONFIGURATION, folder / "configuration"), SCRAPE_S, files=True),
        restart=False,
        ready_timeout_s=180,
    )
    with Installation(options, on_notice=print) as installation:
        traffic = Traffic(installation.bootstrap, installation.topics.texts, Mix())
        assert installation.observers is not None
        prometheus = PrometheusClient(installation.observers.addresses.url(PROMETHEUS))
        try:
            traffic.resume()
            yield ObservedRun(installation, traffic, prometheus, faults)
        finally:
            traffic.close()
            prometheus.close()


@contextlib.contextmanager
def frozen(run: ObservedRun, service: str) -> Iterator[None]:
    """Freeze a service (SIGSTOP): its connections stay open, nothing answers."""
    process = run.installation.processes[service]
    process.kill(signal.SIGSTOP)
    try:
        yield
    finally:
        process.kill(signal.SIGCONT)


NEEDED = (PROMETHEUS, ALERTMANAGER, COLLECTOR)
"""Without these nothing is proven."""
