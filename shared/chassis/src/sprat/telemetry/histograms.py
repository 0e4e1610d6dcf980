"""The declared histograms as the SDK's data, for `/metrics` and for the exporters: its own readers do not see them."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from opentelemetry.sdk import metrics
from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    ScopeMetrics,
)

from sprat.telemetry import instruments
from sprat.telemetry.instruments import HISTOGRAMS, SCHEMA_URL, Distribution
from sprat.telemetry.spans import SCOPE


class HistogramReader:
    """Reads histograms, for one receiver.

    Args:
        histograms: by default, all that are declared.
        temporality: whether the values are those since the beginning, or those since the last reading.
        once: give each exemplar only once; else the latest one of a bucket each time.
    """

    def __init__(
        self,
        histograms: Sequence[instruments.Histogram] = HISTOGRAMS,
        temporality: AggregationTemporality = AggregationTemporality.CUMULATIVE,
        *,
        once: bool = False,
    ) -> None:
        self._histograms = histograms
        self._temporality = temporality
        self._once = once
        self._read_ns = 0
        self._last: dict[int, Distribution] = {}
        """The identity of a series → what was read last."""

    def read(self) -> list[Metric]:
        """Return each histogram that has values."""
        read = [(each, each.distributions()) for each in self._histograms]
        now_ns = time.time_ns()  # after the values: no series began later
        found = [
            Metric(each.name, each.description, each.unit, Histogram(points, self._temporality))
            for each, distributions in read
            if (points := [*self._points(each, distributions, now_ns)])
        ]
        self._read_ns = now_ns
        self._last = {id(each.series): each for _, distributions in read for each in distributions}
        return found

    def _points(
        self, histogram: instruments.Histogram, distributions: Iterable[Distribution], now_ns: int
    ) -> Iterator[HistogramDataPoint]:
        for each in distributions:
            buckets, total, since_ns = each.buckets, each.total, each.series.since_ns
            before = self._last.get(id(each.series))
            if before is not None and self._temporality is AggregationTemporality.DELTA:
                buckets = [new - old for new, old in zip(buckets, before.buckets, strict=True)]
                total, since_ns = total - before.total, self._read_ns
            given = before.exemplars if before is not None and self._once else {}
            if count := sum(buckets):
                yield HistogramDataPoint(
                    attributes=each.series,
                    start_time_unix_nano=since_ns,
                    time_unix_nano=now_ns,
                    count=count,
                    sum=total,
                    bucket_counts=buckets,
                    explicit_bounds=histogram.boundaries,
                    min=None,  # type: ignore[arg-type] # optional in OTLP, and nothing here reads it
                    max=None,  # type: ignore[arg-type] # as min
                    exemplars=[
                        _exemplar(latest)
                        for bucket, latest in each.exemplars.items()
                        if latest is not given.get(bucket)
                    ],
                )


class HistogramExporter:
    """Passes what a reader of the SDK has collected on to an exporter, with the declared histograms."""

    def __init__(self, exporter: Any, histograms: Sequence[instruments.Histogram] = HISTOGRAMS) -> None:
        self._exporter = exporter
        # The SDK's readers ask an exporter in the same way; that for the console has no preference.
        preferred = exporter._preferred_temporality or {}  # noqa: SLF001
        temporality = preferred.get(metrics.Histogram, AggregationTemporality.CUMULATIVE)
        self._histograms = HistogramReader(histograms, temporality, once=True)

    def export(self, data: MetricsData, timeout_millis: float = 10_000, **options: Any) -> Any:
        """Return the exporter's result."""
        (resource,) = data.resource_metrics  # of this process
        declared = self._histograms.read()
        # In the scope of the other declared metrics: OpenTelemetry's encoder keeps one of two that are equal.
        scopes = [each for each in resource.scope_metrics if each.scope.name == SCOPE.name]
        own = scopes[0] if scopes else ScopeMetrics(SCOPE, [], SCHEMA_URL)
        others = [each for each in resource.scope_metrics if each is not own]
        whole = [*others, replace(own, metrics=[*own.metrics, *declared])]
        return self._exporter.export(
            MetricsData([replace(resource, scope_metrics=whole)]), timeout_millis=timeout_millis, **options
        )

    def __getattr__(self, name: str) -> Any:
        """Return what else the exporter has."""
        return getattr(self._exporter, name)


def _exemplar(exemplar: instruments.Exemplar) -> Exemplar:
    span = exemplar.span if exemplar.span.is_valid else None
    return Exemplar({}, exemplar.value, exemplar.time_ns, span and span.span_id, span and span.trace_id)
