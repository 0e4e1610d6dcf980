"""The declared histograms as the SDK's data, for `/metrics` and for the exporters: its own readers do not see them."""

import time
from collections.abc import Iterator, Sequence
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
from sprat.telemetry.instruments import HISTOGRAMS, Distribution
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
        """Where differences are asked for: the identity of a series → what was read last."""

    def read(self) -> list[Metric]:
        """Return each histogram that has values."""
        since_ns, self._read_ns = self._read_ns, time.time_ns()
        return [
            Metric(each.name, each.description, each.unit, Histogram(points, self._temporality))
            for each in self._histograms
            if (points := [*self._points(each, since_ns)])
        ]

    def _points(self, histogram: instruments.Histogram, since_ns: int) -> Iterator[HistogramDataPoint]:
        for read in histogram.distributions():
            buckets, total, began_ns = read.buckets, read.total, read.series.since_ns
            if self._temporality is AggregationTemporality.DELTA:
                before = self._last.get(id(read.series))
                self._last[id(read.series)] = read
                if before is not None:
                    buckets = [new - old for new, old in zip(buckets, before.buckets, strict=True)]
                    total -= before.total
                    began_ns = since_ns
            if count := sum(buckets):
                yield HistogramDataPoint(
                    attributes=read.series,
                    start_time_unix_nano=began_ns,
                    time_unix_nano=self._read_ns,
                    count=count,
                    sum=total,
                    bucket_counts=buckets,
                    explicit_bounds=histogram.boundaries,
                    min=None,  # type: ignore[arg-type] # optional in OTLP, and nothing here reads it
                    max=None,  # type: ignore[arg-type]
                    exemplars=[
                        _exemplar(each)
                        for each in read.exemplars.values()
                        if not self._once or each.time_ns >= since_ns
                    ],
                )


class HistogramExporter:
    """Passes what a reader of the SDK has collected on to an exporter, with the declared histograms."""

    def __init__(self, exporter: Any, histograms: Sequence[instruments.Histogram] = HISTOGRAMS) -> None:
        self._exporter = exporter
        temporality = exporter._preferred_temporality.get(metrics.Histogram, AggregationTemporality.CUMULATIVE)  # noqa: SLF001 - the SDK's readers ask it in the same way
        self._histograms = HistogramReader(histograms, temporality, once=True)

    def export(self, data: MetricsData, timeout_millis: float = 10_000, **options: Any) -> Any:
        """Return the exporter's result."""
        (resource,) = data.resource_metrics  # of this process
        declared = ScopeMetrics(SCOPE, self._histograms.read(), "")
        whole = replace(resource, scope_metrics=[*resource.scope_metrics, declared])
        return self._exporter.export(MetricsData([whole]), timeout_millis=timeout_millis, **options)

    def __getattr__(self, name: str) -> Any:
        """Return what else the exporter has."""
        return getattr(self._exporter, name)


def _exemplar(exemplar: instruments.Exemplar) -> Exemplar:
    span = exemplar.span if exemplar.span.is_valid else None
    return Exemplar({}, exemplar.value, exemplar.time_ns, span and span.span_id, span and span.trace_id)
