"""The providers that a process gets from its variables; test_telemetry_export.py sends with them."""

import contextlib

import pytest
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, DEFAULT_ON, ParentBasedTraceIdRatio

from sprat.base.errors import UserError
from sprat.telemetry import signals
from sprat.telemetry.instruments import Metric
from sprat.telemetry.providers import PausedExporter, Telemetry, configure_telemetry, make_telemetry
from sprat_contracts import Traceparent

pytestmark = pytest.mark.usefixtures("no_otel_variables")

TRACES = {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_TIMEOUT": "100"}


@pytest.fixture
def made(monkeypatch):
    with contextlib.ExitStack() as stack:

        def make(variables=None, **arguments):
            for name, value in (variables or {}).items():
                monkeypatch.setenv(name, value)
            telemetry = make_telemetry("intent", "1.2.3", **arguments)
            stack.callback(telemetry.shutdown, 0.2)
            return telemetry

        yield make


def test_metrics_are_always_there_and_nothing_else(made):
    telemetry = made()
    assert (telemetry.tracers, telemetry.loggers) == (None, None)
    telemetry.meters.get_meter("test").create_counter("sprat.things").add(1)
    assert b'sprat_things_total{service_name="sprat-intent"} 1.0' in telemetry.page("")[0]


def test_a_disabled_sdk_makes_nothing(made):
    assert made({"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}) == Telemetry()


@pytest.mark.parametrize("signal", ["TRACES", "METRICS", "LOGS"])
@pytest.mark.parametrize("exporters", ["console", "otlp,console"])
def test_every_exporter_can_be_asked_for(made, signal, exporters, capsys):
    telemetry = made({f"OTEL_{signal}_EXPORTER": exporters, "OTEL_EXPORTER_OTLP_TIMEOUT": "100"})
    assert telemetry.meters is not None


def test_a_disabled_sdk_reads_no_other_variable(monkeypatch):
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    monkeypatch.setenv("OTEL_METRICS_EXEMPLAR_FILTER", "rubbish")
    monkeypatch.setattr(Metric, "recording", True)
    assert configure_telemetry("intent", "1.2.3") == Telemetry()
    assert not Metric.recording


def test_a_wrong_value_makes_nothing_and_is_named(made):
    with pytest.raises(UserError, match=r"^OTEL_LOGS_EXPORTER: "):
        made({"OTEL_TRACES_EXPORTER": "console", "OTEL_LOGS_EXPORTER": "file"})


def test_the_resource_says_what_runs(made):
    first, second = (dict(made(model="hr").meters._sdk_config.resource.attributes) for _ in range(2))
    assert first.pop("service.instance.id") != second.pop("service.instance.id")
    assert {name: value for name, value in first.items() if not name.startswith("telemetry.sdk.")} == {
        "service.name": "sprat-intent",
        "service.namespace": "sprat",
        "service.version": "1.2.3",
        "sprat.model.name": "hr",
    }


def test_variables_of_the_resource_take_precedence(made):
    telemetry = made(
        TRACES
        | {
            "OTEL_RESOURCE_ATTRIBUTES": "service.instance.id=pod-1,service.name=ignored,team=a%20b",
            "OTEL_SERVICE_NAME": "intent-eu",
        }
    )
    attributes = telemetry.tracers.resource.attributes
    assert attributes["service.name"] == "intent-eu"
    assert attributes["service.instance.id"] == "pod-1"
    assert attributes["team"] == "a b"
    assert attributes["service.namespace"] == "sprat"
    assert b'service_name="intent-eu"' in telemetry.page("")[0]


@pytest.mark.parametrize(
    ("max_links", "variable", "limit"), [(64, None, 128), (500, None, 500), (500, "7", 7), (500, "0", 0)]
)
def test_a_batch_of_any_size_keeps_its_links_unless_a_variable_limits_them(made, max_links, variable, limit):
    variables = {} if variable is None else {"OTEL_SPAN_LINK_COUNT_LIMIT": variable}
    assert made(TRACES | variables, max_links=max_links).spans.limits.max_links == limit


@pytest.mark.parametrize(
    ("sampler", "expected"),
    [
        (None, DEFAULT_ON.get_description()),
        ("always_off", ALWAYS_OFF.get_description()),
        ("parentbased_traceidratio", ParentBasedTraceIdRatio(0.25).get_description()),
    ],
)
def test_the_sampler_is_the_one_that_is_named(made, sampler, expected):
    variables = {} if sampler is None else {"OTEL_TRACES_SAMPLER": sampler, "OTEL_TRACES_SAMPLER_ARG": "0.25"}
    assert made(TRACES | variables).tracers.sampler.get_description() == expected


@pytest.mark.parametrize("ratio", ["0.1", "0.5", "0.9"])
@pytest.mark.parametrize("sampler", ["traceidratio", "parentbased_traceidratio"])
def test_a_ratio_of_the_texts_without_a_trace_is_sampled(made, sampler, ratio):
    """Their trace ids are UUIDs, whose lower half, by which samplers decide, is not evenly distributed."""
    spans = made(TRACES | {"OTEL_TRACES_SAMPLER": sampler, "OTEL_TRACES_SAMPLER_ARG": ratio}).spans
    traces = [int(Traceparent.root("/shop", str(number)).trace_id, 16) for number in range(2000)]
    sampled = [spans.samples(signals.ACCEPT, each, None) for each in traces]
    assert sum(sampled) / len(sampled) == pytest.approx(float(ratio), abs=0.03)


def test_the_batches_of_spans_and_logs_are_those_of_the_variables(made):
    variables = {
        "OTEL_LOGS_EXPORTER": "otlp",
        "OTEL_BSP_SCHEDULE_DELAY": "250",
        "OTEL_BSP_MAX_QUEUE_SIZE": "600",
        "OTEL_BLRP_SCHEDULE_DELAY": "350",
        "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE": "9",
    }
    telemetry = made(TRACES | variables)
    (spans,) = telemetry.tracers._active_span_processor._span_processors
    (lines,) = telemetry.loggers._multi_log_record_processor._log_record_processors
    processors = spans._batch_processor, lines._batch_processor
    assert [each._schedule_delay_millis for each in processors] == [250, 350]
    assert [each._max_queue_size for each in processors] == [600, 2048]
    assert [each._max_export_batch_size for each in processors] == [512, 9]


class Exporter:
    def __init__(self):
        self.result = SpanExportResult.SUCCESS
        self.batches = []

    def export(self, batch):
        self.batches.append(batch)
        return self.result


def test_an_exporter_that_fails_gets_nothing_for_a_while():
    exporter, now = Exporter(), [100.0]
    paused = PausedExporter(exporter, pause_s=10, clock=lambda: now[0])
    assert paused.export("a") is SpanExportResult.SUCCESS
    exporter.result = SpanExportResult.FAILURE
    assert paused.export("b") is paused.export("c") is SpanExportResult.FAILURE
    now[0] += 10
    exporter.result = SpanExportResult.SUCCESS
    assert paused.export("d") is paused.export("e") is SpanExportResult.SUCCESS
    assert exporter.batches == ["a", "b", "d", "e"]
