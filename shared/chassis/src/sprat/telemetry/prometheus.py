"""All metrics in the formats of Prometheus, with exemplars: OpenTelemetry's own exporter leaves those out."""

import re
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate
from typing import Final

from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics.export import (
    Histogram,
    HistogramDataPoint,
    InMemoryMetricReader,
    Metric,
    MetricsData,
    NumberDataPoint,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from prometheus_client import core
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from sprat.telemetry.histograms import HistogramReader
from sprat.telemetry.instruments import prometheus_name

LABELLED: Final = ("service.name", "sprat.model.name")
"""Attributes of the resource that every series has as labels; the others are labels of `target_info` alone."""

Page = Callable[[str], tuple[bytes, str]]
"""Takes the header `Accept`; returns the body and its content type."""


class PrometheusPage(Collector):
    """Renders what readers collect. It may be called from any thread."""

    def __init__(
        self, reader: InMemoryMetricReader, resource: Resource, histograms: HistogramReader | None = None
    ) -> None:
        self._reader = reader
        self._lock = threading.Lock()
        self._target = _labels(resource.attributes)
        self._constant = _labels({name: value for name, value in resource.attributes.items() if name in LABELLED})
        self._histograms = histograms or HistogramReader()

    def __call__(self, accept: str) -> tuple[bytes, str]:
        """Return the page and its content type: OpenMetrics where the header `Accept` names it, else Prometheus text.

        Only OpenMetrics has exemplars.
        """
        encode, content_type = choose_encoder(accept)
        with self._lock:
            return encode(self), content_type

    def collect(self) -> Iterator[core.Metric]:
        """Yield every metric, and `target_info` with all attributes of the resource."""
        target = core.Metric("target", "Attributes of the process.", "info")
        target.add_sample("target_info", dict(self._target), 1)
        yield target
        data: MetricsData | None = self._reader.get_metrics_data()
        for resource in data.resource_metrics if data is not None else ():
            for scope in resource.scope_metrics:
                yield from map(self._family, scope.metrics)
        yield from map(self._family, self._histograms.read())

    def _family(self, metric: Metric) -> core.Metric:
        counts = isinstance(metric.data, Sum) and metric.data.is_monotonic
        kind = "histogram" if isinstance(metric.data, Histogram) else "counter" if counts else "gauge"
        family = core.Metric(prometheus_name(metric.name, metric.unit or ""), metric.description or "", kind)
        for point in metric.data.data_points:
            labels = {**self._constant, **_labels(point.attributes or {})}
            if isinstance(point, HistogramDataPoint):
                self._add_histogram(family, labels, point)
            elif isinstance(point, NumberDataPoint):
                family.add_sample(f"{family.name}_total" if counts else family.name, labels, point.value)
        return family

    def _add_histogram(self, family: core.Metric, labels: dict[str, str], point: HistogramDataPoint) -> None:
        exemplars = {bisect_left(point.explicit_bounds, each.value): each for each in point.exemplars if each.trace_id}
        names = (*map(floatToGoString, point.explicit_bounds), "+Inf")
        for index, count in enumerate(accumulate(point.bucket_counts)):
            at_most = {**labels, "le": names[index]}
            exemplar = _exemplar(exemplars[index]) if index in exemplars else None
            family.add_sample(f"{family.name}_bucket", at_most, count, exemplar=exemplar)
        family.add_sample(f"{family.name}_sum", labels, point.sum)
        family.add_sample(f"{family.name}_count", labels, point.count)


def _exemplar(exemplar: Exemplar) -> core.Exemplar:
    trace = {"trace_id": f"{exemplar.trace_id:032x}", "span_id": f"{exemplar.span_id:016x}"}
    return core.Exemplar(trace, exemplar.value, exemplar.time_unix_nano / 1e9)


def _labels(attributes: Mapping[str, object]) -> dict[str, str]:
    return {re.sub(r"\W", "_", name, flags=re.ASCII): str(value) for name, value in attributes.items()}
