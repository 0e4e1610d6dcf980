"""Histograms: kept by Sprat, and given to the SDK's readers and exporters as its own would be."""

import io
import sys
import threading

import pytest
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk import metrics as sdk
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    ConsoleMetricExporter,
    HistogramDataPoint,
    InMemoryMetricReader,
    MetricExportResult,
    MetricsData,
)
from opentelemetry.trace import INVALID_SPAN_CONTEXT, SpanContext, TraceFlags

from sprat.telemetry.attributes import TASK
from sprat.telemetry.histograms import HistogramExporter, HistogramReader
from sprat.telemetry.instruments import OTHER, Attribute, Distribution, Histogram, Metric

SAMPLED = SpanContext(1, 2, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))
UNSAMPLED = SpanContext(3, 4, is_remote=False)
DELTA = AggregationTemporality.DELTA


@pytest.fixture
def histogram() -> Histogram:
    return Histogram("sprat.test.duration", "s", "Seconds.", (TASK,), boundaries=(0.1, 1.0, 5.0))


def points(reader: HistogramReader) -> list[HistogramDataPoint]:
    return [point for metric in reader.read() for point in metric.data.data_points]


def test_a_value_is_in_the_bucket_that_the_sdk_would_choose(histogram: Histogram) -> None:
    reader = InMemoryMetricReader()
    meter = sdk.MeterProvider([reader], shutdown_on_exit=False).get_meter("test")
    other = meter.create_histogram("a", explicit_bucket_boundaries_advisory=[*histogram.boundaries])
    for value in (0.0, 0.05, 0.1, 0.11, 1.0, 4.9, 5.0, 5.1, 1e9):
        histogram.record(value, task="ner")
        other.record(value)
    (ours,) = points(HistogramReader([histogram]))
    data = reader.get_metrics_data()
    assert data is not None
    (theirs,) = data.resource_metrics[0].scope_metrics[0].metrics[0].data.data_points
    assert isinstance(theirs, HistogramDataPoint)
    assert (ours.bucket_counts, ours.count, ours.sum) == ([*theirs.bucket_counts], theirs.count, theirs.sum)
    assert [*ours.explicit_bounds] == [*theirs.explicit_bounds]


def test_nothing_recorded_is_nothing_to_read(histogram: Histogram) -> None:
    assert HistogramReader([histogram]).read() == []


def test_all_other_values_of_a_label_are_one_series() -> None:
    shop = Attribute("shop", "sprat.test.shop", "A shop.", limit=1)
    histogram = Histogram("sprat.test.price", "{EUR}", "Price.", (shop,), boundaries=(1,))
    for each in ("a", "b", "c"):
        histogram.record(2, shop=each)
    found = {point.attributes["sprat.test.shop"]: point.count for point in points(HistogramReader([histogram]))}
    assert found == {"a": 1, OTHER: 2}


def test_each_reader_gets_what_was_recorded_since_its_last_reading(histogram: Histogram) -> None:
    first, second = (HistogramReader([histogram], DELTA) for _ in range(2))
    histogram.record(0.5)
    (before,) = points(first)
    histogram.record(2.0)
    (after,) = points(first)
    assert (before.bucket_counts, before.sum) == ([0, 1, 0, 0], 0.5)
    assert (after.bucket_counts, after.sum) == ([0, 0, 1, 0], 2.0)
    assert after.start_time_unix_nano == before.time_unix_nano
    assert points(first) == [], "nothing new"
    (both,) = points(second)
    assert (both.count, both.sum) == (2, 2.5)


def test_a_cumulative_reader_gets_all_each_time(histogram: Histogram) -> None:
    reader = HistogramReader([histogram])
    histogram.record(0.5)
    (before,) = points(reader)
    histogram.record(2.0)
    (after,) = points(reader)
    assert (before.count, after.count, after.sum) == (1, 2, 2.5)
    assert before.start_time_unix_nano == after.start_time_unix_nano < before.time_unix_nano


def test_an_exemplar_is_the_latest_sampled_span_of_its_bucket(histogram: Histogram) -> None:
    reader = HistogramReader([histogram])
    histogram.record(0.5, SAMPLED)
    histogram.record(0.6, UNSAMPLED)
    histogram.record(0.7, INVALID_SPAN_CONTEXT)
    for _ in range(2):
        (point,) = points(reader)
        (exemplar,) = point.exemplars
        assert (exemplar.value, exemplar.trace_id, exemplar.span_id) == (0.5, 1, 2)


def test_an_exporter_gets_an_exemplar_once(histogram: Histogram) -> None:
    reader = HistogramReader([histogram], once=True)
    histogram.record(0.5, SAMPLED)
    assert [len(point.exemplars) for _ in range(2) for point in points(reader)] == [1, 0]
    histogram.record(0.6, SAMPLED)
    assert [each.value for point in points(reader) for each in point.exemplars] == [0.6]


@pytest.mark.parametrize(("rule", "expected"), [("always_on", [0.5, 2.0]), ("always_off", [])])
def test_the_filter_says_which_values_become_exemplars(
    histogram: Histogram, monkeypatch: pytest.MonkeyPatch, rule: str, expected: list[float]
) -> None:
    monkeypatch.setattr(Histogram, "exemplar_filter", rule)
    histogram.record(0.5, SAMPLED)
    histogram.record(2.0, INVALID_SPAN_CONTEXT)
    (point,) = points(HistogramReader([histogram]))
    assert [each.value for each in point.exemplars] == expected
    assert [each.trace_id for each in point.exemplars] == [1, None][: len(expected)]


def test_nothing_is_kept_where_telemetry_is_switched_off(histogram: Histogram, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Metric, "recording", False)
    histogram.record(0.5)
    assert histogram.series == {}


def test_nothing_is_lost_where_threads_record_while_others_read() -> None:
    shop = Attribute("shop", "sprat.test.shop", "A shop.", limit=10_000)
    histogram = Histogram("sprat.test.price", "{EUR}", "Price.", (shop,), boundaries=(1,))
    reader, per_thread = HistogramReader([histogram], DELTA), 3_000
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:

        def record(number: int) -> None:
            for each in range(per_thread):
                histogram.record(0.5, shop=f"{number}-{each % 1_200}")  # a new series, and then the same ones again

        threads = [threading.Thread(target=record, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        counted = 0
        while any(thread.is_alive() for thread in threads):
            counted += sum(point.count for point in points(reader))
    finally:
        sys.setswitchinterval(interval)
    counted += sum(point.count for point in points(reader))
    assert counted == 4 * per_thread


class Exporter:
    """Keeps what it is given."""

    def __init__(self, temporality: AggregationTemporality) -> None:
        self._preferred_temporality = {sdk.Histogram: temporality}
        self.given: list[MetricsData] = []

    def export(self, data: MetricsData, timeout_millis: float = 0) -> MetricExportResult:
        self.given.append(data)
        return MetricExportResult.SUCCESS


@pytest.mark.parametrize("temporality", list(AggregationTemporality)[1:])
def test_an_exporter_gets_them_beside_what_the_sdk_collects(
    histogram: Histogram, temporality: AggregationTemporality
) -> None:
    reader = InMemoryMetricReader()
    provider = sdk.MeterProvider([reader], shutdown_on_exit=False)
    provider.get_meter("other").create_counter("a").add(1)
    provider.get_meter("sprat").create_counter("sprat.test.sales").add(1)
    data, exporter = reader.get_metrics_data(), Exporter(temporality)
    assert data is not None
    wrapped = HistogramExporter(exporter, [histogram])
    histogram.record(0.5, task="ner")
    assert wrapped.export(data) is MetricExportResult.SUCCESS
    (resource,) = exporter.given[0].resource_metrics
    scopes = {scope.scope.name: [metric.name for metric in scope.metrics] for scope in resource.scope_metrics}
    assert scopes == {"other": ["a"], "sprat": ["sprat.test.sales", "sprat.test.duration"]}
    (encoded,) = encode_metrics(exporter.given[0]).resource_metrics
    assert sum(len(scope.metrics) for scope in encoded.scope_metrics) == 3, "none is lost on its way"
    (found,) = [
        each for scope in resource.scope_metrics for each in scope.metrics if each.name == "sprat.test.duration"
    ]
    assert found.data.aggregation_temporality is temporality
    assert wrapped.given is exporter.given, "all else is the exporter's"


def test_no_series_begins_after_it_was_read(histogram: Histogram, monkeypatch: pytest.MonkeyPatch) -> None:
    distributions = histogram.distributions

    def with_a_new_one() -> list[Distribution]:
        """Return the series with one that has begun since the reading did."""
        histogram.record(0.5, SAMPLED, task="ner")
        return distributions()

    monkeypatch.setattr(histogram, "distributions", with_a_new_one)
    reader = HistogramReader([histogram], DELTA, once=True)
    for _ in range(2):
        (point,) = points(reader)
        assert point.start_time_unix_nano <= point.time_unix_nano
        assert len(point.exemplars) == 1
    monkeypatch.undo()
    assert points(reader) == []


def test_the_console_gets_them_too(histogram: Histogram) -> None:
    histogram.record(0.5)
    exporter = HistogramExporter(ConsoleMetricExporter(out=io.StringIO()), [histogram])
    assert exporter._preferred_temporality is None
