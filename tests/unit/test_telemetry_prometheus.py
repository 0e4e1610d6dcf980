"""`/metrics`: exactly the declared names, the service's labels on every series, and exemplars that lead to traces."""

import subprocess

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import format_span_id, format_trace_id, use_span
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from sprat.telemetry import instruments
from sprat.telemetry.attributes import MODEL, TASK
from sprat.telemetry.histograms import HistogramReader
from sprat.telemetry.prometheus import PrometheusPage
from sprat.telemetry.signals import METRICS
from support.programs import needs

OPENMETRICS = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,*/*;q=0.1"
RESOURCE = Resource({"service.name": "sprat-intent", "sprat.model.name": "hr", "service.version": "1.2.3"})
SERVICE = {"service_name": "sprat-intent", "sprat_model_name": "hr"}
BOUNDARIES = [0.1, 1.0, 5.0]


@pytest.fixture
def reader():
    return InMemoryMetricReader()


@pytest.fixture
def meter(reader):
    return MeterProvider([reader], shutdown_on_exit=False).get_meter("test")


@pytest.fixture
def histogram():
    return instruments.Histogram("sprat.test.duration", "s", "Seconds.", (TASK,), boundaries=BOUNDARIES)


@pytest.fixture
def page(reader, histogram):
    return PrometheusPage(reader, RESOURCE, HistogramReader([histogram]))


@pytest.fixture
def span():
    return TracerProvider(shutdown_on_exit=False).get_tracer("test").start_span("a")


@pytest.fixture
def all_metrics(metrics):
    """Emit every declared metric once; return a page of all of them."""
    for metric in METRICS:
        labels = {each.key: each.values[0] if each.values else "hr" for each in metric.attributes}
        match metric:
            case instruments.Counter():
                metric.add(1, **labels)
            case instruments.Histogram():
                metric.record(0.5, **labels)
            case instruments.Gauge():
                metric.set(1, **labels)
    declared = [metric for metric in METRICS if isinstance(metric, instruments.Histogram)]
    return PrometheusPage(metrics._reader, RESOURCE, HistogramReader(declared))


def openmetrics(page):
    body, content_type = page(OPENMETRICS)
    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    return list(parse_openmetrics(body.decode()))


def exemplars(page):
    return {
        sample.labels["le"]: sample.exemplar
        for family in openmetrics(page)
        for sample in family.samples
        if sample.exemplar is not None
    }


def test_every_metric_has_the_declared_name_and_help(all_metrics):
    families = {family.name: family for family in openmetrics(all_metrics)}
    found = {
        f"{family.name}_total" if family.type == "counter" else family.name: (family.type, family.documentation)
        for family in families.values()
    }
    kinds = {"updowncounter": "gauge"}
    others = {"target", *(name for name in found if name.startswith("sprat_test_"))}  # other tests' own, by the meter
    assert {name: each for name, each in found.items() if name not in others} == {
        metric.prometheus: (kinds.get(metric.kind, metric.kind), metric.description) for metric in METRICS
    }


def test_the_older_format_has_the_same_samples(all_metrics):
    text, content_type = all_metrics("text/plain")
    assert content_type.startswith("text/plain; version=0.0.4")
    other = {sample.name for family in openmetrics(all_metrics) for sample in family.samples}
    assert {sample.name for family in parse_text(text.decode()) for sample in family.samples} == other


def test_every_series_has_the_labels_of_the_service(all_metrics):
    families = [family for family in openmetrics(all_metrics) if family.name != "target"]
    assert len(families) >= len(METRICS)
    # A series that is about a model names that one; other tests in this process have made such ones.
    own = {metric.prometheus.removesuffix("_total") for metric in METRICS if MODEL in metric.attributes}
    for family in families:
        expected = {"service_name": "sprat-intent"} if family.name in own else SERVICE
        assert all(sample.labels.items() >= expected.items() for sample in family.samples), family.name


def test_all_attributes_of_the_resource_are_labels_of_target_info(page):
    (target,) = openmetrics(page)
    (sample,) = target.samples
    assert (sample.name, sample.value) == ("target_info", 1)
    assert sample.labels == SERVICE | {"service_version": "1.2.3"}


@needs("promtool")
def test_promtool_finds_nothing_wrong(all_metrics):
    body, _ = all_metrics("text/plain")
    checked = subprocess.run(["promtool", "check", "metrics"], input=body, capture_output=True, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


def test_a_histogram_is_cumulative_with_sum_and_count(page, histogram):
    for value in (0.05, 0.1, 0.5, 9.0):
        histogram.record(value, task="intent")
    (family,) = [each for each in openmetrics(page) if each.type == "histogram"]
    labels = SERVICE | {"sprat_task": "intent"}
    assert [(each.name, each.labels, each.value) for each in family.samples] == [
        *(
            ("sprat_test_duration_seconds_bucket", {**labels, "le": le}, count)
            for le, count in (("0.1", 2), ("1.0", 3), ("5.0", 3), ("+Inf", 4))
        ),
        ("sprat_test_duration_seconds_sum", labels, 9.65),
        ("sprat_test_duration_seconds_count", labels, 4),
    ]


def test_an_exemplar_names_the_span_in_its_own_bucket(page, histogram, span):
    histogram.record(0.05)
    histogram.record(2.0, span.get_span_context())
    with use_span(span):
        histogram.record(70.0)
    found = exemplars(page)
    context = span.get_span_context()
    trace = {"trace_id": format_trace_id(context.trace_id), "span_id": format_span_id(context.span_id)}
    assert {le: (each.labels, each.value) for le, each in found.items()} == {"5.0": (trace, 2.0), "+Inf": (trace, 70.0)}
    assert float(found["5.0"].timestamp) > 1_700_000_000


def test_an_exemplar_is_there_for_every_scraper_until_a_later_one_comes(page, histogram, span):
    histogram.record(2.0, span.get_span_context())
    assert exemplars(page) == exemplars(page)
    histogram.record(3.0, span.get_span_context())
    assert {le: each.value for le, each in exemplars(page).items()} == {"5.0": 3.0}


def test_exemplars_of_different_series_are_apart(page, histogram, span):
    for task in ("intent", "ner"):
        histogram.record(2.0, task=task)
    histogram.record(3.0, span.get_span_context(), task="ner")
    (family,) = [each for each in openmetrics(page) if each.type == "histogram"]
    assert {each.labels["sprat_task"] for each in family.samples if each.exemplar is not None} == {"ner"}


def test_the_older_format_has_no_exemplars(page, histogram, span):
    histogram.record(2.0, span.get_span_context())
    body, _ = page("")
    assert b"trace_id" not in body
    assert (
        b'sprat_test_duration_seconds_bucket{le="5.0",service_name="sprat-intent",sprat_model_name="hr"} 1.0\n' in body
    )


def test_a_label_can_hold_anything(page, meter):
    counter = meter.create_counter("sprat.things", "{thing}", "Things.")
    value = 'quoted " backslash \\ newline \n å'
    counter.add(1, {"sprat.tenant": value})
    (family,) = [each for each in openmetrics(page) if each.type == "counter"]
    assert family.samples[0].labels["sprat_tenant"] == value
