"""The collector as configured: it masks what looks personal in all three signals, and keeps the traces that matter."""

import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import Status, StatusCode, set_span_in_context

from sprat.base.errors import UserError
from sprat_local.observe.configuration import Addresses, collector_layers, collector_overrides
from sprat_local.observe.programs import COLLECTOR, HOW_TO_GET, find_programs
from sprat_local.observe.server import ObservingServer
from sprat_local.observe.stack import SHIPPED
from sprat_local.processes.ports import free_ports
from support.sources import ROOT

FOLDER = ROOT / "observability" / "collector"
LAYERS = ("base", "traces", "metrics", "logs")
PERSONAL = {
    "IBAN": "DE89 3704 0044 0532 0130 00",
    "IBAN without spaces": "GB29NWBK60161331926819",
    "e-mail": "erika.mustermann@example.org",
    "card": "4111 1111 1111 1111",
    "international phone": "+49 30 901820",
    "national phone": "030 901820 55",
}
HARMLESS = {
    "messaging.destination.name": "sprat.predictions.intent.v1",
    "messaging.destination.partition.id": "7",
    "messaging.message.id": "1234567-1764086400123",
    "sprat.model.version": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "sprat.reason": "low_confidence",
    "gen_ai.request.model": "mistral-medium-2508",
    "server.address": "127.0.0.1",
}


def find_collector() -> str:
    try:
        return str(find_programs()[COLLECTOR])
    except (UserError, KeyError):
        pytest.skip(f"no otelcol is installed: {HOW_TO_GET}")


@dataclass(frozen=True)
class Collector:
    """One that runs, with the shipped layers and one more that writes to files and decides on a trace at once."""

    url: str
    prometheus_url: str
    folder: Path

    def lines(self, signal: str) -> str:
        path = self.folder / f"{signal}.jsonl"
        return path.read_text("utf-8") if path.exists() else ""

    def spans(self) -> list[dict[str, Any]]:
        batches = [json.loads(line) for line in self.lines("traces").splitlines()]
        scopes = [scope for batch in batches for each in batch["resourceSpans"] for scope in each["scopeSpans"]]
        return [span for scope in scopes for span in scope["spans"]]


def wait_for(value: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        found = value()
        if found:
            return found
        time.sleep(0.1)
    pytest.fail(f"there was no {what} within 20 s")


def get(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return response.read().decode()
    except OSError:
        return ""


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    program = find_collector()
    folder = tmp_path_factory.mktemp("collector")
    http, grpc, health, metrics = free_ports(4)
    layer = {
        "processors": {"tail_sampling": {"decision_wait": "1s"}, "batch": {"timeout": "100ms"}},
        "exporters": {
            f"file/{each}": {"path": str(folder / f"{each}.jsonl")} for each in ("traces", "metrics", "logs")
        },
        "service": {
            "pipelines": {
                "traces": {"exporters": ["file/traces"]},
                "metrics": {"exporters": ["file/metrics", "prometheus"]},
                "logs": {"exporters": ["file/logs"]},
            }
        },
    }
    (folder / "test.yaml").write_text(yaml.safe_dump(layer), "utf-8")
    variables = {"HTTP_PORT": http, "GRPC_PORT": grpc, "HEALTH_PORT": health, "METRICS_PORT": metrics}
    environment = os.environ | {f"SPRAT_COLLECTOR_{name}": str(port) for name, port in variables.items()}
    paths = [*(FOLDER / f"{name}.yaml" for name in LAYERS), folder / "test.yaml"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [program, *(argument for path in paths for argument in ("--config", str(path)))],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_for(lambda: get(f"http://127.0.0.1:{health}"), "collector that is ready")
        yield Collector(f"http://127.0.0.1:{http}", f"http://127.0.0.1:{metrics}/metrics", folder)
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture
def tracer_provider(collector: Collector) -> Iterator[TracerProvider]:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"{collector.url}/v1/traces")))
    yield provider
    provider.shutdown()


def test_on_one_machine_every_trace_is_kept_and_masked_by_the_same_layers(tmp_path: Path) -> None:
    http, grpc = free_ports(2)
    addresses = Addresses({COLLECTOR: http}, 0, 0, grpc)
    (tmp_path / "own.json").write_text(json.dumps(collector_overrides(addresses, tmp_path, files=True)), "utf-8")
    server = ObservingServer(
        COLLECTOR.name,
        [find_collector(), *(f"--config={path}" for path in (*collector_layers(SHIPPED), tmp_path / "own.json"))],
        http,
        ready_path=COLLECTOR.ready_path,
        folder=tmp_path,
        log=tmp_path / "log",
        environment=os.environ,
    )
    found = Collector(addresses.url(COLLECTOR), "", tmp_path)
    traces = 30
    try:
        server.start()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"{found.url}/v1/traces")))
        for _ in range(traces):
            provider.get_tracer("test").start_span("ordinary", attributes={"leak": PERSONAL["IBAN"]}).end()
        wait_for(lambda: len(found.spans()) == traces, "span of each trace")
        assert PERSONAL["IBAN"] not in found.lines("traces")
        assert found.lines("traces-sent").count(PERSONAL["IBAN"]) == traces
    finally:
        server.stop(grace_s=5)


@pytest.mark.parametrize(
    "layers", [LAYERS[: number + 1] for number in range(1, len(LAYERS))], ids=lambda names: names[-1]
)
def test_the_layers_are_valid_together(layers: tuple[str, ...]) -> None:
    configs = [argument for name in layers for argument in ("--config", str(FOLDER / f"{name}.yaml"))]
    done = subprocess.run([find_collector(), "validate", *configs], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_each_pipeline_limits_memory_first_and_redacts() -> None:
    pipelines = {}
    for name in LAYERS:
        layer = yaml.safe_load((FOLDER / f"{name}.yaml").read_text("utf-8"))
        pipelines |= layer["service"].get("pipelines", {})
    assert {*pipelines} == {"traces", "metrics", "logs"}
    for pipeline in pipelines.values():
        assert pipeline["processors"][:2] == ["memory_limiter", "redaction"]
        assert pipeline["processors"][-1] == "batch"


def test_personal_values_are_masked_in_spans_and_what_is_needed_is_not(
    collector: Collector, tracer_provider: TracerProvider
) -> None:
    tracer = tracer_provider.get_tracer("test")
    with tracer.start_as_current_span("leak") as span:
        span.set_attributes({f"leak.{name}": f"please call {value} today" for name, value in PERSONAL.items()})
        span.set_attributes(HARMLESS)
        span.add_event("said", {"leak": PERSONAL["IBAN"]})
        span.set_status(Status(StatusCode.ERROR))
    (found,) = wait_for(lambda: [each for each in collector.spans() if each["name"] == "leak"], "span")
    written = json.dumps(found)
    assert [name for name, value in PERSONAL.items() if value in written] == []
    attributes = {each["key"]: each["value"].get("stringValue") for each in found["attributes"]}
    assert {name: attributes[name] for name in HARMLESS} == HARMLESS
    assert attributes["leak.IBAN"] == "please call **** today"


def test_personal_values_are_masked_in_log_bodies_and_attributes(collector: Collector) -> None:
    provider = LoggerProvider()
    provider.add_log_record_processor(SimpleLogRecordProcessor(OTLPLogExporter(f"{collector.url}/v1/logs")))
    for name, value in PERSONAL.items():
        provider.get_logger("test").emit(
            body=f"the text says {value}", attributes={"leak": value}, severity_text=name, timestamp=time.time_ns()
        )
    provider.shutdown()
    wait_for(lambda: collector.lines("logs").count("the text says") == len(PERSONAL), "log line of each kind")
    assert [name for name, value in PERSONAL.items() if value in collector.lines("logs")] == []


def test_personal_values_are_masked_in_metrics_which_a_prometheus_can_scrape(collector: Collector) -> None:
    exporter = OTLPMetricExporter(f"{collector.url}/v1/metrics")
    provider = MeterProvider([PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)])
    counter = provider.get_meter("test").create_counter("sprat.pairs", "{pair}", "Pairs.")
    counter.add(3, {"sprat.task": "intent", "sprat.tenant": PERSONAL["e-mail"]})
    provider.shutdown()
    page = wait_for(lambda: get(collector.prometheus_url), "page of metrics")
    assert "sprat_pairs_total{" in page
    assert 'sprat_task="intent"' in page
    assert PERSONAL["e-mail"] not in page
    wait_for(lambda: "sprat.pairs" in collector.lines("metrics"), "line of metrics")
    assert PERSONAL["e-mail"] not in collector.lines("metrics")


def test_traces_that_matter_are_kept_and_a_share_of_the_rest(
    collector: Collector, tracer_provider: TracerProvider
) -> None:
    tracer = tracer_provider.get_tracer("test")
    ordinary, each_kind = 300, 5

    def trace(name: str, *, seconds: float = 0.01, error: bool = False, decision: str = "kept") -> None:
        """A root, and a child that says what became of the text."""
        began_ns = time.time_ns() - int(seconds * 1e9)
        root = tracer.start_span(name, start_time=began_ns)
        child = tracer.start_span(f"{name} child", set_span_in_context(root), start_time=began_ns)
        child.set_attribute("sprat.decision", decision)
        if error:
            child.set_status(Status(StatusCode.ERROR))
        child.end(began_ns + int(seconds * 1e9))
        root.end(began_ns + int(seconds * 1e9))

    for _ in range(each_kind):
        trace("with error", error=True)
        trace("escalated", decision="escalated")
        trace("slow", seconds=1.2)
    for _ in range(ordinary):
        trace("ordinary")

    def kept(name: str) -> int:
        return sum(span["name"] == name for span in collector.spans())

    wait_for(lambda: kept("slow child") == each_kind and kept("ordinary child") > 0, "trace of each kind")
    time.sleep(2)  # until the last ordinary trace is decided on, too: nothing says so
    assert {name: kept(name) for name in ("with error", "escalated", "slow")} == dict.fromkeys(
        ("with error", "escalated", "slow"), each_kind
    )
    assert kept("ordinary") == kept("ordinary child"), "a trace is kept as a whole"
    assert 0.02 * ordinary < kept("ordinary") < 0.25 * ordinary
