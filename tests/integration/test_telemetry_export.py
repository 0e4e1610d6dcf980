"""Telemetry leaves by real HTTP: what each variable changes, a collector that is away, and one that hangs."""

import asyncio
import json
import logging
import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from conftest import Kafka
from sprat.telemetry.logs import OtlpHandler
from sprat.telemetry.providers import Telemetry, make_telemetry
from support.otlp_sink import OtlpSink, otlp_grpc_sink, otlp_sink
from support.stream import SECRET, eventually, made_topics, settings_for

pytestmark = pytest.mark.usefixtures("no_otel_variables")

SIGNALS = ("traces", "metrics", "logs")
QUIET = {"OTEL_METRIC_EXPORT_INTERVAL": "3600000", "OTEL_BSP_SCHEDULE_DELAY": "3600000"}
"""Nothing is sent before the stop."""


def things(sink: OtlpSink) -> list[Any]:
    """Return the metric of these tests; histograms that others have declared in this process are sent as well."""
    return [each for each in sink.metrics if each.name == "sprat.things"]


@pytest.fixture
def emit(monkeypatch):
    """Return a function that makes the providers, emits one item of each signal, and returns the providers."""

    def make(variables: dict[str, str]) -> Telemetry:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        telemetry = make_telemetry("intent", "1.2.3", "hr")
        telemetry.meters.get_meter("test").create_counter("sprat.things", "{thing}", "Things.").add(3)
        if telemetry.loggers is not None:
            record = logging.LogRecord("sprat.test", logging.INFO, __file__, 1, "ready", (), None)
            OtlpHandler(telemetry.loggers).handle(record)
        if telemetry.tracers is not None:
            telemetry.tracers.get_tracer("test").start_span("poll").end()
        return telemetry

    before = {*threading.enumerate()}
    yield make
    # A collector that did not answer is tried again for a while, which later tests of this process would notice.
    for thread in {*threading.enumerate()} - before:
        thread.join(10)
        assert not thread.is_alive(), thread.name


def test_a_stop_sends_all_three_signals_of_one_resource(emit):
    with otlp_sink() as sink:
        telemetry = emit(QUIET | {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.url})
        began = time.monotonic()
        telemetry.shutdown()
        assert time.monotonic() - began < 1, "it waits for nothing else"
        assert sorted(sink.paths) == ["/v1/logs", "/v1/metrics", "/v1/traces"]
    (span,) = sink.spans
    (metric,) = things(sink)
    ((logger, line),) = sink.logs
    assert span.name == "poll"
    assert (metric.name, metric.unit, metric.sum.data_points[0].as_int) == ("sprat.things", "{thing}", 3)
    assert (logger, line.body.string_value, line.severity_text) == ("sprat.test", "ready", "INFO")
    assert {(each["service.name"], each["sprat.model.name"]) for each in sink.resources} == {("sprat-intent", "hr")}
    assert len({each["service.instance.id"] for each in sink.resources}) == 1


def test_all_three_signals_leave_by_grpc(emit):
    with otlp_grpc_sink() as sink:
        common = {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.url, "OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=a"}
        emit(QUIET | common | {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}).shutdown()
    assert sorted(sink.paths) == ["/v1/logs", "/v1/metrics", "/v1/traces"]
    assert {each["x-tenant"] for each in sink.headers} == {"a"}
    assert ([each.name for each in sink.spans], [each.name for each in things(sink)]) == (["poll"], ["sprat.things"])
    assert [line.body.string_value for _, line in sink.logs] == ["ready"]


@pytest.mark.parametrize("signal", SIGNALS)
def test_an_endpoint_and_headers_of_one_signal_are_its_own(emit, signal):
    with otlp_sink() as common, otlp_sink() as own:
        emit(
            QUIET
            | {
                "OTEL_EXPORTER_OTLP_ENDPOINT": common.url,
                "OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=all",
                f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT": f"{own.url}/own/v1/{signal}",
                f"OTEL_EXPORTER_OTLP_{signal.upper()}_HEADERS": "x-tenant=a%20b,authorization=Basic YTpi",
                f"OTEL_EXPORTER_OTLP_{signal.upper()}_COMPRESSION": "gzip",
            }
        ).shutdown()
    assert own.paths == [f"/own/v1/{signal}"]
    (headers,) = own.headers
    assert (headers["x-tenant"], headers["authorization"]) == ("a b", "Basic YTpi")
    assert headers["content-encoding"] == "gzip"
    assert sorted(common.paths) == [f"/v1/{each}" for each in sorted(SIGNALS) if each != signal]
    assert {each["x-tenant"] for each in common.headers} == {"all"}


@pytest.mark.parametrize("signal", SIGNALS)
def test_a_signal_that_is_switched_off_is_not_sent(emit, signal):
    variables = {f"OTEL_{signal.upper()}_EXPORTER": "none"}
    with otlp_sink() as sink:
        emit(QUIET | {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.url} | variables).shutdown()
    assert sorted(sink.paths) == [f"/v1/{each}" for each in sorted(SIGNALS) if each != signal]


def test_signals_leave_while_the_process_runs_as_often_as_the_variables_say(emit):
    variables = ("OTEL_METRIC_EXPORT_INTERVAL", "OTEL_BSP_SCHEDULE_DELAY", "OTEL_BLRP_SCHEDULE_DELAY")
    with otlp_sink() as sink:
        telemetry = emit({"OTEL_EXPORTER_OTLP_ENDPOINT": sink.url} | dict.fromkeys(variables, "100"))
        sink.wait_for(lambda: {f"/v1/{each}" for each in SIGNALS} <= {*sink.paths})
        telemetry.shutdown()


def test_metrics_are_sent_as_differences_where_that_is_preferred(emit):
    with otlp_sink() as sink:
        variables = {"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta"}
        emit(QUIET | variables | {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": f"{sink.url}/v1/metrics"}).shutdown()
    (metric,) = things(sink)
    assert metric.sum.aggregation_temporality == 1  # delta


def test_a_collector_that_hangs_holds_up_a_stop_for_two_seconds_in_all(emit):
    with otlp_sink(hanging=True) as sink:
        # What is left of the attempt after the stop is short.
        telemetry = emit(QUIET | {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.url, "OTEL_EXPORTER_OTLP_TIMEOUT": "3000"})
        began = time.monotonic()
        telemetry.shutdown()
        took = time.monotonic() - began
        assert {f"/v1/{each}" for each in SIGNALS} == {*sink.paths}, "each signal was tried"
    assert 1.9 < took < 2.5


@contextmanager
def service(kafka: Kafka, prefix: str, variables: dict[str, str]):
    """Run the intent service; yield its process."""
    environment = os.environ | {
        "SPRAT_KAFKA__BOOTSTRAP": kafka.bootstrap,
        "SPRAT_KAFKA__PREFIX": prefix,
        "SPRAT_REDIS__URL": "redis://127.0.0.1:1/0",
        "SPRAT_SECRET": SECRET,
        "SPRAT_HEALTH_PORT": "0",
        "SPRAT_INTENT__MODEL": "hr",
        **variables,
    }
    process = subprocess.Popen([sys.executable, "-m", "sprat_intent"], env=environment, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def lines_until(process: subprocess.Popen[bytes], message: str) -> list[dict]:
    """Read log lines until one has the message."""
    found = []
    while not found or found[-1]["message"] != message:
        line = await asyncio.to_thread(process.stderr.readline)
        assert line, found
        found.append(json.loads(line))
    return found


async def stopped(process: subprocess.Popen[bytes]) -> tuple[float, list[dict]]:
    """Wait until a service has ended; return the seconds that it took, and the rest of its log."""
    began = time.monotonic()
    _, rest = await asyncio.to_thread(process.communicate, None, 30)
    assert process.returncode == 0, rest
    return time.monotonic() - began, [json.loads(line) for line in rest.splitlines()]


async def test_a_service_is_scraped_and_a_collector_that_is_away_is_one_line(kafka: Kafka, prefix: str) -> None:
    await made_topics(settings_for(kafka.bootstrap, prefix))
    often = ("OTEL_METRIC_EXPORT_INTERVAL", "OTEL_BSP_SCHEDULE_DELAY", "OTEL_BLRP_SCHEDULE_DELAY")
    away = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"} | dict.fromkeys(often, "100")
    with service(kafka, prefix, away) as process:
        lines = await lines_until(process, "ready")
        (port,) = (line["message"].split()[-1] for line in lines if line["message"].startswith("health on port"))
        async with httpx.AsyncClient(headers={"accept": "application/openmetrics-text;version=1.0.0"}) as client:

            async def ready() -> bool:
                page = await client.get(f"http://127.0.0.1:{port}/metrics")
                return b'sprat_ready{service_name="sprat-intent",sprat_model_name="hr"} 1.0' in page.content

            await eventually(ready, 20)
            page = await client.get(f"http://127.0.0.1:{port}/metrics")
        await asyncio.sleep(1)  # about ten exports of each signal fail
        process.terminate()
        _, rest = await stopped(process)
    samples = {s.name: s for family in text_string_to_metric_families(page.text) for s in family.samples}
    assert all(
        each.labels["service_name"] == "sprat-intent" and each.labels["sprat_model_name"] == "hr"
        for name, each in samples.items()
        if name != "target_info"
    )
    assert len(samples["sprat_build_info"].labels["sprat_model_version"]) > 10
    assert samples["process_memory_usage_bytes"].value > 20 * 2**20
    assert samples["process_cpu_time_seconds_total"].value > 0
    assert samples["target_info"].labels["service_namespace"] == "sprat"
    reports = [line for line in (*lines, *rest) if "export" in line["message"]]
    assert [(line["level"], line["logger"]) for line in reports] == [("warning", "sprat.telemetry.logs")]
    assert reports[0]["message"].startswith("telemetry is not exported: the collector does not answer (ConnectionError")


async def test_a_service_stops_in_time_where_the_collector_hangs(kafka: Kafka, prefix: str) -> None:
    await made_topics(settings_for(kafka.bootstrap, prefix))
    with (
        otlp_sink(hanging=True) as sink,
        service(kafka, prefix, {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.url}) as process,
    ):
        await lines_until(process, "ready")
        process.terminate()
        await lines_until(process, "stopped")
        seconds, _ = await stopped(process)
    # Two for telemetry, as a test above measures, and the end of the interpreter on a busy machine; a stop
    # that waited for the exporters would take their time-out of 10 s.
    assert 1.5 < seconds < 8
    assert {"/v1/metrics", "/v1/logs"} <= {*sink.paths}, "a stop sends what waits"
    assert all(logger.startswith("sprat") for logger, _ in sink.logs)
