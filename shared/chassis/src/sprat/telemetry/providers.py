"""The providers of traces, metrics and logs, from the standard `OTEL_*` variables."""

import contextlib
import logging
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from opentelemetry import metrics, trace
from opentelemetry._logs import set_logger_provider
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import (
    Histogram,
    MeterProvider,
    ObservableCounter,
    ObservableGauge,
    ObservableUpDownCounter,
)
from opentelemetry.sdk.metrics.export import CardinalityLimits, InMemoryMetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import SpanLimits, SynchronousMultiSpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from sprat.telemetry import instruments
from sprat.telemetry.histograms import HistogramExporter
from sprat.telemetry.instruments import HISTOGRAMS, MAX_SERIES, SCHEMA_URL, ExemplarFilter, Metric
from sprat.telemetry.logs import OtlpHandler
from sprat.telemetry.prometheus import PrometheusPage
from sprat.telemetry.spans import SpanPipeline, export_spans
from sprat.telemetry.variables import check_variables, exporters, sdk_disabled, variable

_FLUSH_S = 2.0
_SDK_LINKS = 128


@dataclass(frozen=True, slots=True)
class Telemetry:
    """The providers of a process; without them, nothing is recorded."""

    tracers: TracerProvider | None = None
    """Only where traces are exported."""
    meters: MeterProvider | None = None
    loggers: LoggerProvider | None = None
    """Only where logs are exported."""
    page: PrometheusPage | None = None
    """All metrics, for `/metrics`."""
    spans: SpanPipeline | None = None
    """Makes the spans, where traces are exported."""

    def shutdown(self, timeout_s: float = _FLUSH_S) -> None:
        """Export what waits, for so many seconds in all: a collector that does not answer must not hold up a stop."""
        ending = [
            threading.Thread(target=_shut_down, args=(each,), daemon=True)
            for each in (self.tracers, self.meters, self.loggers)
            if each is not None
        ]
        for thread in ending:
            thread.start()
        deadline = time.monotonic() + timeout_s
        for thread in ending:
            thread.join(max(0.0, deadline - time.monotonic()))


def _fast(exporter: Any) -> Any:
    """Return an exporter of spans with the faster encoding, where it is OpenTelemetry's for HTTP."""
    if not hasattr(exporter, "_client"):
        return exporter
    from sprat.telemetry.otlp_spans import with_fast_encoding  # noqa: PLC0415 - needs the extra `otel`

    return with_fast_encoding(exporter)


class PausedExporter:
    """Passes batches on to an exporter, and drops them for a while after one that failed.

    What cannot arrive is then not encoded: that costs more than all else of a span, and would delay a stop.
    """

    def __init__(self, exporter: Any, pause_s: float = 10.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._exporter = exporter
        self._pause_s = pause_s
        self._clock = clock
        self._resume_at = float("-inf")
        self._failed: Any = None

    def export(self, batch: Any) -> Any:
        """Return the exporter's result; during a pause, that of the attempt before it."""
        if self._clock() < self._resume_at:
            return self._failed
        result = self._exporter.export(batch)
        if result.name != "SUCCESS":
            self._failed, self._resume_at = result, self._clock() + self._pause_s
        return result

    def __getattr__(self, name: str) -> Any:
        """Return what else the exporter has."""
        return getattr(self._exporter, name)


def _shut_down(provider: TracerProvider | MeterProvider | LoggerProvider) -> None:
    with contextlib.suppress(Exception):  # the process ends; what could not be exported was reported before
        provider.shutdown()


def configure_telemetry(service: str, version: str, model: str | None = None, max_links: int = _SDK_LINKS) -> Telemetry:
    """Set the global providers as the `OTEL_*` variables say, once in a process, after `configure_logs`.

    Args:
        service: its name, such as `intent`.
        version: of the service.
        model: the name by which texts ask for the service's model, where it has one.
        max_links: how many links a span may have, unless `OTEL_SPAN_LINK_COUNT_LIMIT` says otherwise.

    Raises:
        UserError: a variable is wrong, or an exporter is not installed.
    """
    telemetry = make_telemetry(service, version, model, max_links)
    Metric.recording = telemetry.meters is not None
    if telemetry.meters is not None:
        _configure_metrics()
        metrics.set_meter_provider(telemetry.meters)
    if telemetry.tracers is not None:
        trace.set_tracer_provider(telemetry.tracers)
        export_spans(telemetry.spans)
    if telemetry.loggers is not None:
        set_logger_provider(telemetry.loggers)
        logging.getLogger().addHandler(OtlpHandler(telemetry.loggers))
    return telemetry


def _configure_metrics() -> None:
    """Set for the declared metrics what the SDK's own instruments read from the variables, which were checked."""
    chosen = variable("OTEL_METRICS_EXEMPLAR_FILTER").lower() or "trace_based"
    instruments.Histogram.exemplar_filter = cast("ExemplarFilter", chosen)
    if variable("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION").lower().startswith("base2_exponential"):
        for histogram in HISTOGRAMS:
            histogram.record_by_sdk()


def make_telemetry(service: str, version: str, model: str | None = None, max_links: int = _SDK_LINKS) -> Telemetry:
    """Return the providers of `configure_telemetry` without setting them.

    Raises:
        UserError: as there.
    """
    if sdk_disabled():
        return Telemetry()
    check_variables()
    resource = _resource(service, version, model)
    spans: list[Any] = [PausedExporter(_fast(each)) for each in exporters("traces")]
    lines: list[Any] = [PausedExporter(each) for each in exporters("logs")]
    measurements: list[Any] = [HistogramExporter(each) for each in exporters("metrics")]

    # No provider is shut down at exit: `Telemetry.shutdown` does it, within its time.
    # The metrics bound their series by themselves; the SDK would take all labels of the later ones away.
    limits: CardinalityLimits = dict.fromkeys(
        (ObservableCounter, ObservableGauge, ObservableUpDownCounter, Histogram), 2 * MAX_SERIES
    )
    reader = InMemoryMetricReader(cardinality_limits=limits)
    readers = [
        reader,
        *(PeriodicExportingMetricReader(each, cardinality_limits=limits) for each in measurements),
    ]
    meters = MeterProvider(readers, resource, shutdown_on_exit=False)
    tracers = loggers = pipeline = None
    if spans:
        links = None if variable("OTEL_SPAN_LINK_COUNT_LIMIT") else max(max_links, _SDK_LINKS)
        processor = SynchronousMultiSpanProcessor()  # type: ignore[no-untyped-call] # not annotated there
        tracers = TracerProvider(
            resource=resource,
            shutdown_on_exit=False,
            active_span_processor=processor,
            meter_provider=meters,
        )
        for exporter in spans:
            tracers.add_span_processor(BatchSpanProcessor(exporter, meter_provider=meters))
        pipeline = SpanPipeline(tracers, processor, SpanLimits(max_links=links))
    if lines:
        loggers = LoggerProvider(resource, shutdown_on_exit=False, meter_provider=meters)
        for exporter in lines:
            loggers.add_log_record_processor(BatchLogRecordProcessor(exporter, meter_provider=meters))
    return Telemetry(tracers, meters, loggers, PrometheusPage(reader, resource), pipeline)


def _resource(service: str, version: str, model: str | None) -> Resource:
    """Return what all signals of this process have in common; `OTEL_RESOURCE_ATTRIBUTES` and others take precedence."""
    own: dict[str, str] = {
        "service.name": f"sprat-{service}",
        "service.namespace": "sprat",
        "service.version": version,
        "service.instance.id": str(uuid.uuid4()),
    }
    if model is not None:
        own["sprat.model.name"] = model
    return Resource.create(own | dict(OTELResourceDetector().detect().attributes), SCHEMA_URL)
