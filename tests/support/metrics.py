"""Metrics inside a test: one provider for the whole run, read in memory. The fixture `metrics` gives what is here."""

import functools
from collections.abc import Mapping
from itertools import chain

from opentelemetry import metrics as api
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader, NumberDataPoint

from sprat.telemetry import instruments
from sprat.telemetry.histograms import HistogramReader
from sprat.telemetry.signals import METRICS

Point = HistogramDataPoint | NumberDataPoint
Series = Mapping[frozenset[tuple[str, str]], Point]

_DECLARED = {metric.name: metric for metric in METRICS}


@functools.cache
def _reader() -> InMemoryMetricReader:
    """Return the reader of the run; a provider can be set only once in a process."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    api.set_meter_provider(provider)
    assert api.get_meter_provider() is provider, "another test has set a provider in this process"
    return reader


class Metrics:
    """The metrics of one test: counters and histograms from its beginning on, and gauges as they are.

    Labels are given by their keys in the registry: `value("sprat.group.lag", group="sprat.router")`. A metric counts
    together all time series that have the labels.
    """

    def __init__(self) -> None:
        self._reader = _reader()
        for metric in METRICS:
            if isinstance(metric, instruments.Gauge):
                metric.replace([])
            # Else the values of earlier tests would use up the bounds, and what was beyond them would stay there.
            metric.series.clear()
            for attribute in metric.attributes:
                attribute._seen.clear()
        self._before = self._read()

    def value(self, name: str, **labels: str) -> float | None:
        """Return the growth of a counter, the sum of a histogram's values, or a gauge's value; None without any."""
        counted = not isinstance(_DECLARED[name], instruments.Gauge)
        before = self._before.get(name, {}) if counted else {}
        found = [
            _value(point) - _value(before.get(key))
            for key, point in self._matching(name, labels).items()
            if not counted or _count(point) != _count(before.get(key))  # what earlier tests counted is still there
        ]
        return sum(found) if found else None

    def count(self, name: str, **labels: str) -> int:
        """Return how many values a histogram has recorded."""
        return sum(
            point.count - (before.count if (before := self._before.get(name, {}).get(key)) else 0)
            for key, point in self._matching(name, labels).items()
        )

    @property
    def finished(self) -> int:
        """How many records the loops have finished, the skipped ones included."""
        return self.count("messaging.process.duration") + int(self.value("sprat.skipped") or 0)

    def series(self, name: str) -> list[dict[str, str]]:
        """Return the labels of all time series of a metric, by their keys; those that earlier tests made included."""
        keys = {attribute.name: attribute.key for attribute in _DECLARED[name].attributes}
        return [{keys[attribute]: value for attribute, value in each} for each in self._read().get(name, {})]

    def emitted(self) -> dict[str, set[str]]:
        """Return what has been emitted since the test began: names of metrics → names of their attributes.

        A metric that is not declared counts whenever it was emitted.
        """
        undeclared = self._read().keys() - _DECLARED.keys()
        declared = {name: metric.series.values() for name, metric in _DECLARED.items() if metric.series}
        return {name: set().union(*series) for name, series in declared.items()} | {name: set() for name in undeclared}

    def _matching(self, name: str, labels: Mapping[str, str]) -> Series:
        names = {attribute.key: attribute.name for attribute in _DECLARED[name].attributes}
        wanted = {(names[key], value) for key, value in labels.items()}
        return {key: point for key, point in self._read().get(name, {}).items() if wanted <= key}

    def _read(self) -> dict[str, Series]:
        data = self._reader.get_metrics_data()
        collected = [] if data is None else [scope for each in data.resource_metrics for scope in each.scope_metrics]
        return {
            metric.name: {frozenset(point.attributes.items()): point for point in metric.data.data_points}
            for metric in chain(HistogramReader().read(), *(scope.metrics for scope in collected))
            if not metric.name.startswith("sprat.test.")  # what tests declare for themselves
        }


def _value(point: Point | None) -> float:
    return 0 if point is None else point.sum if isinstance(point, HistogramDataPoint) else point.value


def _count(point: Point | None) -> float:
    return point.count if isinstance(point, HistogramDataPoint) else _value(point)
