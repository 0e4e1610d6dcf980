"""PromQL over the declared metrics: an expression can only name what `sprat.telemetry.signals` declares.

Expressions hold Grafana's variables: `$__rate_interval`, `$__interval`, `$__range`, and the dashboard's own. A metric
that has the attribute task or tenant is filtered by the variable `task` or `tenant` unless the caller says otherwise.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from sprat.telemetry import signals
from sprat.telemetry.instruments import Attribute, Counter, Gauge, Histogram, Metric

RATE: Final = "$__rate_interval"
STEP: Final = "$__interval"
RANGE: Final = "$__range"


@dataclass(frozen=True, slots=True)
class Matches:
    """A regular expression that a label's value matches, or does not."""

    pattern: str
    negate: bool = False


ANY: Final = Matches(".+")
"""Any value but none: an `error.type` that is set, for instance."""

CHOSEN: Final = Matches("$service")
"""The services that the reader of a dashboard has chosen."""

Value = str | Matches
By = Attribute | str

RESOURCE: Final[Mapping[str, str]] = {"service": "service_name", "served_model": "sprat_model_name"}
"""The labels that every series has from its process, by the keyword that filters by them."""

SERVICE: Final = RESOURCE["service"]


def label(by: By) -> str:
    """Return the label of an attribute in Prometheus."""
    return by if isinstance(by, str) else by.name.replace(".", "_")


def series(metric: Metric, part: str = "", **where: Value) -> str:
    """Return the selector of a metric's series, with the `part` of a histogram: `_bucket`, `_sum`, `_count`.

    Raises:
        TypeError: the metric has no attribute with such a key.
    """
    labels = {attribute.key: label(attribute) for attribute in metric.attributes}
    undeclared = where.keys() - labels.keys() - RESOURCE.keys()
    if undeclared:
        raise TypeError(f"{metric.name} has no attribute {', '.join(sorted(undeclared))}")
    chosen: dict[str, Value] = {key: Matches(f"${key}") for key in ("task", "tenant") if key in labels}
    names = {**labels, **RESOURCE}
    matchers = [_matcher(names[key], value) for key, value in (chosen | where).items()]
    return metric.prometheus + part + (f"{{{', '.join(matchers)}}}" if matchers else "")


def _matcher(name: str, value: Value) -> str:
    if isinstance(value, str):
        return f'{name}="{value}"'
    return f'{name}{"!" if value.negate else "="}~"{value.pattern}"'


def _aggregated(how: str, inner: str, by: tuple[By, ...]) -> str:
    return f"{how} by ({', '.join(label(each) for each in by)}) ({inner})" if by else f"{how}({inner})"


def rate(metric: Counter | Histogram, *by: By, window: str = RATE, **where: Value) -> str:
    """Return what a counter grows by per second; of a histogram, how many values it records per second."""
    return _aggregated("sum", f"rate({series(metric, _count(metric), **where)}[{window}])", by)


def rate_of_sum(metric: Histogram, *by: By, window: str = RATE, **where: Value) -> str:
    """Return by how much the sum of the recorded values grows per second."""
    return _aggregated("sum", f"rate({series(metric, '_sum', **where)}[{window}])", by)


def total(metric: Counter | Histogram, *by: By, window: str = RANGE, **where: Value) -> str:
    """Return what a counter has grown by in the window; of a histogram, how many values were recorded.

    `increase` alone misses the first value of a series: the one dead letter of a day would not be counted. So a series
    that is new counts with all that it has: it was not there in the five minutes before the window (a scrape that fails
    leaves a gap), has fewer samples than its target has scrapes, and its process has not started again. A Prometheus
    that has just begun to look at old counters adds nothing.
    """
    counter = series(metric, _count(metric), **where)
    new = (
        f"(last_over_time({counter}[{window}])"
        f" and count_over_time({counter}[{window}])"
        f" < on (instance) group_left () max by (instance) (count_over_time(up[{window}]))"
        f" unless last_over_time({counter}[5m] offset {window}) unless resets({counter}[{window}])"
    )
    return _aggregated("sum", f"{new} > 0) or increase({counter}[{window}])", by)


def per_step(metric: Counter | Histogram, *by: By, **where: Value) -> str:
    """Return the `total` of one bar."""
    return total(metric, *by, window=STEP, **where)


def _count(metric: Metric) -> str:
    return "_count" if isinstance(metric, Histogram) else ""


def quantile(q: float, metric: Histogram, *by: By, window: str = RATE, **where: Value) -> str:
    """Return the value below which a share of the recorded values lies."""
    buckets = _aggregated("sum", f"rate({series(metric, '_bucket', **where)}[{window}])", ("le", *by))
    return f"histogram_quantile({q}, {buckets})"


def mean(metric: Histogram, *by: By, window: str = RATE, **where: Value) -> str:
    """Return the mean of the recorded values."""
    return share(rate_of_sum(metric, *by, window=window, **where), rate(metric, *by, window=window, **where))


def within(boundary: float, metric: Histogram, *by: By, window: str = RATE, **where: Value) -> str:
    """Return the share of the recorded values that are at most a boundary of the histogram.

    Raises:
        ValueError: the histogram has no such boundary.
    """
    if boundary not in metric.boundaries:
        raise ValueError(f"{metric.name} has no boundary {boundary}")
    bucket = series(metric, "_bucket", **where).removesuffix("}")
    # Exporters write a whole boundary as 1 or as 1.0.
    selected = f'{bucket}{", " if "{" in bucket else "{"}le=~"{boundary:g}|{float(boundary)}"}}'
    return share(_aggregated("sum", f"rate({selected}[{window}])", by), rate(metric, *by, window=window, **where))


def buckets(metric: Histogram, window: str = STEP, **where: Value) -> str:
    """Return how many values each bucket has received in the window."""
    return _aggregated("sum", f"increase({series(metric, '_bucket', **where)}[{window}])", ("le",))


def now(metric: Gauge, *by: By, how: Literal["sum", "max", "min", "count"] = "sum", **where: Value) -> str:
    """Return the current value of a gauge."""
    return _aggregated(how, series(metric, "", **where), by)


def share(part: str, whole: str) -> str:
    """Return one expression divided by another."""
    return f"{part}\n  / {whole}"


def measured_price() -> str:
    """Return what a call to the provider has cost on average, in euros, over everything that is counted.

    It holds no quotes and no commas, for it is the value of a variable that Grafana puts into other expressions.
    """
    return f"(sum({signals.COST_EUR.prometheus}) / sum({signals.EGRESS_CALLS.prometheus}))"
