"""Traces: each record continues the trace it came with, so that one text has one trace id on every topic.

Without `OTEL_EXPORTER_OTLP_ENDPOINT` no span is made, and the incoming context is passed on unchanged.
"""

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from opentelemetry import trace
from opentelemetry.trace import Link, Span, SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from sprat.errors import UserError
from sprat.telemetry.instruments import SpanType
from sprat_contracts import Envelope, Traceparent

_EXPORT_S = 2
_FLUSH_S = 2.0
_PROPAGATOR = TraceContextTextMapPropagator()

current_traceparent: ContextVar[Traceparent | None] = ContextVar("current_traceparent", default=None)
"""The trace context of the record that the running task handles, for records that it publishes besides its outcome."""


Value = str | int | float | bool | Sequence[str]


class ChildSpan:
    """A span of one kind, while it is under way. Its attributes are given by their keys in the registry."""

    __slots__ = ("_names", "_span")

    def __init__(self, span: Span, span_type: SpanType) -> None:
        self._span = span
        self._names = {attribute.key: attribute for attribute in span_type.attributes}

    def set(self, **attributes: Value | Mapping[str, int] | None) -> None:
        """Set attributes; None is left out, and a mapping sets one attribute for each of its names.

        Raises:
            KeyError: the kind of span does not declare such an attribute.
        """
        for key, value in attributes.items():
            name = self._names[key].name
            if isinstance(value, Mapping):
                for item, count in value.items():
                    self._span.set_attribute(f"{name}.{item}", count)
            elif value is not None:
                self._span.set_attribute(name, value)

    def fail(self, error: str) -> None:
        """Record a failure; `error` is a code or the name of a class, never a text."""
        self.set(error=error)
        self._span.set_status(trace.StatusCode.ERROR)


@contextmanager
def child_span(
    span_type: SpanType, value: str = "", **attributes: Value | Mapping[str, int] | None
) -> Iterator[ChildSpan]:
    """Make a child of the current span, and the current one inside the `with`; without a recorded one, nothing is made.

    An exception that leaves the `with` is recorded by the name of its class.
    """
    if not trace.get_current_span().is_recording():
        yield ChildSpan(trace.INVALID_SPAN, span_type)
        return
    span = trace.get_tracer("sprat").start_span(span_type.named(value), kind=span_type.kind)
    child = ChildSpan(span, span_type)
    child.set(**attributes)
    with trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
        try:
            yield child
        except BaseException as error:
            child.fail(type(error).__name__)
            raise


class RecordSpan(Protocol):
    """The span of processing one record."""

    traceparent: Traceparent

    def end(self, error: str | None = None) -> None:
        """End the span; `error` is a code, never a text."""
        ...


class _Untraced:
    __slots__ = ("traceparent",)

    def __init__(self, traceparent: Traceparent) -> None:
        self.traceparent = traceparent

    def end(self, error: str | None = None) -> None:
        pass


class _Traced:
    __slots__ = ("_span", "traceparent")

    def __init__(self, span: Span) -> None:
        self._span = span
        context = span.get_span_context()
        self.traceparent = Traceparent(
            trace.format_trace_id(context.trace_id), trace.format_span_id(context.span_id), f"{context.trace_flags:02x}"
        )

    def end(self, error: str | None = None) -> None:
        if error is not None:
            self._span.set_attribute("error.type", error)
            self._span.set_status(trace.StatusCode.ERROR)
        self._span.end()


class Tracing:
    """Makes one `process {topic}` span per record, where spans are exported."""

    def __init__(self, *, exporting: bool) -> None:
        self.group = ""
        """Set once the consumer group is known."""
        self._tracer = trace.get_tracer("sprat") if exporting else None

    def process(self, envelope: Envelope, topic: str, partition: int, offset: int) -> RecordSpan:
        """Begin a span for a record: a child of the record's own trace context."""
        if self._tracer is None:
            return _Untraced(envelope.traceparent)
        parent = _PROPAGATOR.extract({"traceparent": str(envelope.traceparent)})
        attributes: Mapping[str, str | int] = {
            "messaging.system": "kafka",
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.destination.name": topic,
            "messaging.destination.partition.id": str(partition),
            "messaging.kafka.offset": offset,
            "messaging.consumer.group.name": self.group,
            "messaging.message.id": envelope.id,
        }
        return _Traced(
            self._tracer.start_span(
                f"process {topic}",
                context=parent,
                kind=SpanKind.CONSUMER,
                attributes=attributes,
                links=[Link(trace.get_current_span(parent).get_span_context())],
            )
        )


def configure_tracing(service: str, version: str, model: str | None = None) -> bool:
    """Export spans where `OTEL_EXPORTER_OTLP_ENDPOINT` is set; return whether it is.

    `model` is the name by which texts ask for the service's model; there is no standard attribute for it.

    Raises:
        UserError: the endpoint is set but the exporter is not installed.
    """
    if not os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        return False
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - an extra
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - as above
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - as above
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - as above
    except ImportError:
        raise UserError(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set but the exporter is missing: install sprat[otel], or unset it"
        ) from None
    attributes = {"service.name": service, "service.version": version, "service.namespace": "sprat"}
    if model is not None:
        attributes["sprat.model.name"] = model
    provider = TracerProvider(resource=Resource.create(attributes))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(timeout=_EXPORT_S)))
    trace.set_tracer_provider(provider)
    return True


def flush_tracing() -> None:
    """Export the waiting spans, for at most two seconds: an unreachable collector must not block a stop."""
    shutdown = getattr(trace.get_tracer_provider(), "shutdown", None)
    if shutdown is not None:
        ending = threading.Thread(target=shutdown, daemon=True)
        ending.start()
        ending.join(_FLUSH_S)
