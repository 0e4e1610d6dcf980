"""The kinds of signals that can be declared: attributes, metrics and spans. `signals.py` declares all of them.

Counters, gauges and histograms keep their values here, from the first on, whether a provider is set or not: the SDK's
own instruments cost three to five times as much for each value, and there are several for each text. What counts and
what goes up and down is bound to OpenTelemetry's global meter, which reads it; `histograms.py` gives the readers the
distributions, for which the SDK has no such way.
"""

import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import islice
from typing import Any, ClassVar, Final, Literal, NamedTuple

from opentelemetry import metrics, trace
from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind

OTHER: Final = "other"
"""The value of an attribute outside its allowed values, or beyond the number of values that it may have."""

SCOPE_NAME: Final = "sprat"
SCOPE_VERSION: Final = version("sprat")
SCHEMA_URL: Final = "https://opentelemetry.io/schemas/1.44.0"
"""Of the semantic conventions that `signals` follows."""
_METER = metrics.get_meter(SCOPE_NAME, SCOPE_VERSION, schema_url=SCHEMA_URL)
_PROMETHEUS_UNITS = {"s": "_seconds", "By": "_bytes"}


def prometheus_name(name: str, unit: str) -> str:
    """Return a metric's name in Prometheus, without the `_total` of a counter."""
    return name.replace(".", "_") + _PROMETHEUS_UNITS.get(unit, "")


Labels = Mapping[str, str]
"""The key of an attribute → its value."""
Value = str | int | float | bool | Sequence[str] | dict[str, int] | None
"""What an attribute of a span can be."""
Observations = Iterable[tuple[float, Labels]]


@dataclass(slots=True)
class Attribute:
    """An attribute of metrics and spans."""

    key: str
    """The keyword with which the code gives its value."""
    name: str
    """Of the semantic conventions, or beginning with `sprat.`."""
    description: str
    values: tuple[str, ...] = ()
    """The allowed values of a metric's attribute; none: any value, up to `limit` different ones. A single one is set
    by itself."""
    limit: int = 100
    """How many different values metrics may have; the later ones become `other`."""
    type: Literal["string", "int", "double", "boolean", "string[]", "template[int]"] = "string"
    examples: tuple[str | list[str], ...] = ()
    """Of an attribute of text that Sprat defines, unless its values are listed."""
    _seen: set[str] = field(default_factory=set, repr=False)

    def bounded(self, value: str) -> str:
        """Return the value as a metric may have it: itself, or `other`."""
        if self.values:
            return value if value in self.values else OTHER
        if value not in self._seen:
            if len(self._seen) >= self.limit:
                return OTHER
            self._seen.add(value)
        return value

    @contextmanager
    def only(self, values: Iterable[str]) -> Iterator[None]:
        """Let metrics have these values alone, the first `limit` of them: within the `with`, all others are `other`."""
        before = self._seen, self.limit
        self._seen = set(islice(values, self.limit))
        self.limit = len(self._seen)
        try:
            yield
        finally:
            self._seen, self.limit = before


class Exemplar(NamedTuple):
    """A value, and the span in which it was recorded."""

    value: float
    time_ns: int
    """Since the epoch."""
    span: SpanContext


class Series(dict[str, str]):
    """The attributes of a time series, with its values where they are added up."""

    __slots__ = ("buckets", "exemplars", "since_ns", "total")

    def __init__(self, attributes: Mapping[str, str]) -> None:
        super().__init__(attributes)
        self.since_ns = time.time_ns()
        self.total = 0.0
        """The sum of a counter, or of a histogram's values."""
        self.buckets: list[int] = []
        """Of a histogram: how many values are in each."""
        self.exemplars: dict[int, Exemplar] = {}
        """Of a histogram: the latest one of each bucket."""


class Distribution(NamedTuple):
    """A time series of a histogram at one moment."""

    series: Series
    buckets: list[int]
    """How many values are in each."""
    total: float
    exemplars: dict[int, Exemplar]


@dataclass(slots=True, eq=False)
class Metric:
    """What all metrics have in common."""

    name: str
    unit: str
    """In UCUM; what is counted stands in braces."""
    description: str
    attributes: tuple[Attribute, ...] = ()
    series: dict[tuple[str, ...], Series] = field(default_factory=dict, repr=False)
    """Every combination of labels that was emitted, all keys and then all values → its time series; several may have
    one, such as `other`."""
    _by_attributes: dict[tuple[tuple[str, str], ...], Series] = field(default_factory=dict, repr=False)
    _by_key: Mapping[str, Attribute] = field(init=False, repr=False)
    _constants: Mapping[str, str] = field(init=False, repr=False)

    kind: ClassVar[str] = ""
    suffix: ClassVar[str] = ""
    recording: ClassVar[bool] = True
    """Whether values are kept, by all metrics of the process."""

    def __post_init__(self) -> None:
        """Index the attributes, and bind it to the meter."""
        self._by_key = {attribute.key: attribute for attribute in self.attributes}
        self._constants = _constants(self.attributes)
        self._bind()

    def _bind(self) -> None:
        raise NotImplementedError

    @property
    def prometheus(self) -> str:
        """The name in Prometheus, without the `_bucket`, `_sum` or `_count` of a histogram."""
        return prometheus_name(self.name, self.unit) + self.suffix

    def attributes_of(self, labels: Labels) -> Series:
        """Return the time series with these labels.

        Raises:
            TypeError: the metric does not have an attribute with such a key.
        """
        key = (*labels, *labels.values())
        found = self.series.get(key)
        if found is None:
            by_key = self._by_key
            undeclared = labels.keys() - by_key.keys()
            if undeclared:
                raise TypeError(f"{self.name} has no attribute {', '.join(sorted(undeclared))}")
            given = {by_key[name].name: by_key[name].bounded(value) for name, value in labels.items()}
            given = {**self._constants, **given}
            full = len(self._by_attributes) >= MAX_SERIES
            attributes = {
                each.name: OTHER if full and not each.values else given[each.name]
                for each in self.attributes
                if each.name in given
            }
            named = tuple(attributes.items())
            found = self._by_attributes.get(named)
            if found is None:
                found = self._by_attributes.setdefault(named, Series(attributes))
            if len(self.series) < _MAX_REMEMBERED:
                self.series[key] = found
        return found


def _constants(attributes: Iterable[Attribute]) -> dict[str, str]:
    """Return names and values of the attributes with one allowed value."""
    return {attribute.name: attribute.values[0] for attribute in attributes if len(attribute.values) == 1}


MAX_SERIES: Final = 5_000
"""Time series of a metric; in later ones every open attribute is `other`."""
_MAX_REMEMBERED = 10_000
"""Combinations of labels whose attributes are remembered: unbounded values must not fill the memory."""


ExemplarFilter = Literal["trace_based", "always_on", "always_off"]


@dataclass(slots=False, eq=False)
class Histogram(Metric):
    """A distribution: how many values were at most each boundary."""

    boundaries: Sequence[float] = ()
    kind = "histogram"
    exemplar_filter: ClassVar[ExemplarFilter] = "trace_based"
    """Which values become exemplars, of all histograms of the process, as `OTEL_METRICS_EXEMPLAR_FILTER` has it."""

    def _bind(self) -> None:
        self._recording = threading.Lock()
        self._instrument: metrics.Histogram | None = None
        HISTOGRAMS.append(self)

    def record_by_sdk(self) -> None:
        """Let the SDK keep the values from now on: it can choose the buckets by itself."""
        self._instrument = _METER.create_histogram(
            self.name, self.unit, self.description, explicit_bucket_boundaries_advisory=list(self.boundaries)
        )

    def record(self, value: float, span: SpanContext | None = None, /, **labels: str) -> None:
        """Record a value. The span, or else the current one, becomes its exemplar if it is sampled."""
        if not Metric.recording:
            return
        series = self.attributes_of(labels)
        if span is None:
            span = trace.get_current_span().get_span_context()
        if self._instrument is not None:
            self._instrument.record(value, series, trace.set_span_in_context(NonRecordingSpan(span), Context()))
            return
        bucket = bisect_left(self.boundaries, value)
        seen = (
            span.trace_flags.sampled if self.exemplar_filter == "trace_based" else self.exemplar_filter == "always_on"
        )
        with self._recording:
            if not series.buckets:
                series.buckets = [0] * (len(self.boundaries) + 1)
            series.buckets[bucket] += 1
            series.total += value
            if seen:
                series.exemplars[bucket] = Exemplar(value, time.time_ns(), span)

    def distributions(self) -> list[Distribution]:
        """Return every time series as it is now."""
        with self._recording:
            return [
                Distribution(each, [*each.buckets], each.total, {**each.exemplars})
                for each in tuple(self._by_attributes.values())  # other threads add to it
                if each.buckets
            ]

    @contextmanager
    def timed(self, **labels: str) -> Iterator[None]:
        """Record how many seconds the `with` takes; an exception is the label `error`, by the name of its class."""
        began = time.perf_counter()
        try:
            yield
        except BaseException as error:  # a cancellation, too: the time was spent
            self.record(time.perf_counter() - began, error=type(error).__name__, **labels)
            raise
        self.record(time.perf_counter() - began, **labels)


HISTOGRAMS: Final[list[Histogram]] = []
"""All that were declared."""


class _Observed(Metric):
    """A metric whose values are read when it is collected."""

    def __post_init__(self) -> None:
        """Bind it to the meter."""
        self._sources: list[Callable[[], Observations]] = []
        super().__post_init__()

    def watch(self, source: Callable[[], Observations]) -> Callable[[], None]:
        """Read values from the source at every collection; return a function that ends this."""
        self._sources.append(source)
        return lambda: self._sources.remove(source)

    def _collect(self, _: CallbackOptions) -> Iterable[Observation]:
        for source in tuple(self._sources):
            for value, labels in source():
                yield Observation(value, self.attributes_of(labels))


class Gauge(_Observed):
    """A value that goes up and down."""

    kind = "gauge"

    def __post_init__(self) -> None:
        """Bind it to the meter."""
        self._values: dict[tuple[tuple[str, str], ...], float] = {}
        super().__post_init__()

    def _bind(self) -> None:
        _METER.create_observable_gauge(self.name, [self._collect], self.unit, self.description)

    def set(self, value: float, **labels: str) -> None:
        """Set the value of one time series."""
        if Metric.recording:
            self._values[tuple(self.attributes_of(labels).items())] = value

    def replace(self, observations: Observations) -> None:
        """Set the values of these time series, and end all others; of those that are `other`, show the largest."""
        values: dict[tuple[tuple[str, str], ...], float] = {}
        for value, labels in observations:
            key = tuple(self.attributes_of(labels).items())
            values[key] = max(value, values.get(key, value))
        self._values = values

    def _collect(self, options: CallbackOptions) -> Iterable[Observation]:
        yield from (Observation(value, dict(key)) for key, value in tuple(self._values.items()))
        yield from super()._collect(options)


class UpDownCounter(Gauge):
    """A sum that goes up and down, where the conventions ask for one; it is set as a gauge is."""

    kind = "updowncounter"

    def _bind(self) -> None:
        _METER.create_observable_up_down_counter(self.name, [self._collect], self.unit, self.description)


class Counter(_Observed):
    """A sum that only grows: added up here, or kept elsewhere, such as by the kernel, and watched."""

    kind = "counter"
    suffix = "_total"

    def __post_init__(self) -> None:
        """Bind it to the meter."""
        self._adding = threading.Lock()
        super().__post_init__()

    def _bind(self) -> None:
        _METER.create_observable_counter(self.name, [self._collect], self.unit, self.description)

    def add(self, amount: float, **labels: str) -> None:
        """Add to the sum of one time series."""
        if not Metric.recording:
            return
        series = self.attributes_of(labels)
        with self._adding:
            series.total += amount

    def _collect(self, options: CallbackOptions) -> Iterable[Observation]:
        for series in tuple(self._by_attributes.values()):
            if series.total:  # what is watched has its sum elsewhere
                yield Observation(series.total, series)
        yield from super()._collect(options)


@dataclass(frozen=True, slots=True)
class SpanType:
    """A kind of span."""

    name: str
    """Its name; `{…}` is replaced by the value of an attribute."""
    kind: SpanKind
    description: str
    attributes: tuple[Attribute, ...] = ()
    constants: Mapping[str, str] = field(init=False, repr=False)
    """Names and values of the attributes with one allowed value: every span of the kind has them."""
    _names: Mapping[str, str] = field(init=False, repr=False)
    _templates: frozenset[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Index the attributes."""
        object.__setattr__(self, "constants", _constants(self.attributes))
        object.__setattr__(self, "_names", {attribute.key: attribute.name for attribute in self.attributes})
        templates = frozenset(each.name for each in self.attributes if each.type.startswith("template"))
        object.__setattr__(self, "_templates", templates)

    def named_attributes(self, values: Mapping[str, Value]) -> dict[str, str | int | float | bool | Sequence[str]]:
        """Return the attributes of a span: None is left out, and a mapping becomes one attribute for each of its names.

        Raises:
            KeyError: the kind of span does not declare such an attribute.
        """
        names = self._names
        named: dict[str, Any] = {names[key]: value for key, value in values.items() if value is not None}
        for name in self._templates & named.keys() if self._templates else ():
            named |= {f"{name}.{item}": count for item, count in named.pop(name).items()}
        return named

    def named(self, value: str) -> str:
        """Return the name of one span."""
        return self.name.partition("{")[0] + value if "{" in self.name else self.name
