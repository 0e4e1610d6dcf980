"""Traces: each record continues the trace it came with, so that one text has one trace id on every topic.

Where no spans are exported none is made, and the incoming context is passed on unchanged.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, TraceFlags

from sprat.telemetry import signals
from sprat.telemetry.ids import forced_ids
from sprat.telemetry.instruments import SpanType, Value
from sprat_contracts import Traceparent

current_traceparent: ContextVar[Traceparent | None] = ContextVar("current_traceparent", default=None)
"""The trace context of the record that the running task handles, for log lines and for records besides its outcome."""


def traceparent_of(context: SpanContext) -> Traceparent:
    """Return the header `traceparent` of a record that a span causes."""
    return Traceparent(
        trace.format_trace_id(context.trace_id), trace.format_span_id(context.span_id), f"{context.trace_flags:02x}"
    )


def span_context(traceparent: Traceparent) -> SpanContext:
    """Return the span that a header `traceparent` names."""
    return SpanContext(
        int(traceparent.trace_id, 16),
        int(traceparent.parent_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(int(traceparent.flags, 16)),
    )


class DeclaredSpan:
    """A span of a declared kind, while it is under way. Attributes are given by their keys in the registry."""

    __slots__ = ("_span", "_type", "traceparent")

    def __init__(self, span: Span, span_type: SpanType, traceparent: Traceparent | None = None) -> None:
        self._span = span
        self._type = span_type
        self.traceparent = traceparent or traceparent_of(span.get_span_context())
        """What a record continues that this span causes."""

    @property
    def recording(self) -> bool:
        """Whether the span will be exported."""
        return self._span.is_recording()

    @property
    def context(self) -> Context:
        """The OpenTelemetry context in which the span is the current one."""
        return trace.set_span_in_context(self._span, Context())

    @property
    def link(self) -> SpanContext:
        """What links to the span."""
        return self._span.get_span_context()

    def set(self, **attributes: Value) -> None:
        """Set attributes.

        Raises:
            KeyError: the kind of span does not declare such an attribute.
        """
        if self._span.is_recording():
            self._span.set_attributes(self._type.named_attributes(attributes))

    def fail(self, error: str) -> None:
        """Record a failure; `error` is a code or the name of a class, never a text."""
        self.set(error=error)
        self._span.set_status(trace.StatusCode.ERROR)

    def end(self, error: str | None = None) -> None:
        """End the span; `error` as in `fail`."""
        if error is not None:
            self.fail(error)
        self._span.end()

    @contextmanager
    def current(self) -> Iterator[None]:
        """Make it the current span; it does not end with the `with`."""
        token = current_traceparent.set(self.traceparent)
        try:
            with trace.use_span(self._span, record_exception=False, set_status_on_exception=False):
                yield
        finally:
            current_traceparent.reset(token)

    def send(self, topic: str, message_id: str | None) -> "DeclaredSpan":
        """Begin the span of a record that this one causes; the record carries its `traceparent`."""
        if not self._span.is_recording():
            return DeclaredSpan(trace.INVALID_SPAN, signals.SEND, self.traceparent)
        attributes: dict[str, Value] = {"operation": "send", "operation_type": "send", "destination": topic}
        return _start(signals.SEND, topic, attributes | {"message_id": message_id}, self.context)


INVISIBLE = DeclaredSpan(trace.INVALID_SPAN, signals.PROCESS)
"""Where a span is needed and none is made."""


@contextmanager
def child_span(span_type: SpanType, value: str = "", **attributes: Value) -> Iterator[DeclaredSpan]:
    """Make a child of the current span, and the current one inside the `with`; without a sampled one none is made.

    An exception that leaves the `with` is recorded by the name of its class.
    """
    parent = trace.get_current_span().get_span_context()
    # Not `is_recording`, which is false of a span that has ended: a shared call may outlive the record that began it.
    if parent.is_remote or not parent.trace_flags.sampled:
        yield DeclaredSpan(trace.INVALID_SPAN, span_type, current_traceparent.get())
        return
    with _ending(_start(span_type, value, attributes)) as span:
        yield span


@contextmanager
def _ending(span: DeclaredSpan) -> Iterator[DeclaredSpan]:
    """Make the span the current one and end it; an exception is recorded by the name of its class."""
    error = None
    try:
        with span.current():
            yield span
    except BaseException as raised:
        error = type(raised).__name__
        raise
    finally:
        span.end(error)


class Tracing:
    """Makes the spans of records, where spans are exported."""

    def __init__(self, *, exporting: bool) -> None:
        self.exporting = exporting
        self.group = ""
        """Set once the consumer group is known."""

    @contextmanager
    def poll(self, links: Sequence[Traceparent], messages: int, began_ns: int) -> Iterator[DeclaredSpan]:
        """Make the span of a batch the current one, linked to the records that the batch is about.

        Args:
            links: the trace contexts of the records that are not skipped; without one, no span is made.
            messages: how many records were polled.
            began_ns: when they were polled, epoch nanoseconds.
        """
        if not self.exporting or not links:
            yield INVISIBLE
            return
        attributes: dict[str, Value] = {"operation": "poll", "operation_type": "receive", "messages": messages}
        records = [Link(span_context(link)) for link in links]
        with _ending(
            _start(signals.POLL, "", attributes | {"group": self.group}, Context(), records, began_ns)
        ) as span:
            yield span

    def process(
        self,
        parent: Traceparent,
        place: tuple[str, int, int],
        message_id: str | None,
        began_ns: int,
        batch: SpanContext | None = None,
    ) -> DeclaredSpan:
        """Begin the span of a record: a child of the record's own trace context, with a link to its batch.

        Args:
            parent: the record's trace context.
            place: topic, partition, offset.
            message_id: the id of its event; None where it cannot be decoded.
            began_ns: when it was polled, epoch nanoseconds.
            batch: the span of its batch.
        """
        if not self.exporting:
            return DeclaredSpan(trace.INVALID_SPAN, signals.PROCESS, parent)
        links = [Link(batch)] if batch is not None and batch.is_valid else []
        return self._of_record(signals.PROCESS, _remote(parent), place, message_id, began_ns, links)

    def accept(
        self,
        root: Traceparent,
        place: tuple[str, int, int],
        message_id: str | None,
        appended_ms: int,
        attributes: Mapping[str, Value],
        error: str | None = None,
    ) -> None:
        """Export the root of a text's trace, from the broker's append (epoch milliseconds) to now.

        Its ids are those that the context names which all services have derived from the text.
        """
        if not self.exporting or not _sampled(root):
            return
        token = forced_ids.set((int(root.trace_id, 16), int(root.parent_id, 16)))
        try:
            span = self._of_record(signals.ACCEPT, Context(), place, message_id, appended_ms * 1_000_000, [])
        finally:
            forced_ids.reset(token)
        span.set(**attributes)
        span.end(error)

    def as_sampled(self, root: Traceparent) -> Traceparent:
        """Return a derived trace context with the decision of the sampler, which every service makes alike.

        A context that a sender gave has the sender's decision already.
        """
        if not self.exporting:
            return root
        sampler = getattr(trace.get_tracer_provider(), "sampler", None)
        if (
            sampler is None
            or sampler.should_sample(None, int(root.trace_id, 16), signals.ACCEPT.name).decision.is_sampled()
        ):
            return root
        return Traceparent(root.trace_id, root.parent_id, "00", root.version)

    def _of_record(
        self,
        span_type: SpanType,
        context: Context,
        place: tuple[str, int, int],
        message_id: str | None,
        began_ns: int,
        links: Sequence[Link],
    ) -> DeclaredSpan:
        topic, partition, offset = place
        attributes: dict[str, Value] = {
            "operation": "process",
            "operation_type": "process",
            "destination": topic,
            "partition": str(partition),
            "offset": offset,
            "group": self.group,
            "message_id": message_id,
        }
        return _start(span_type, topic, attributes, context, links, began_ns)


def _start(
    span_type: SpanType,
    value: str,
    attributes: Mapping[str, Value],
    context: Context | None = None,
    links: Sequence[Link] = (),
    began_ns: int | None = None,
) -> DeclaredSpan:
    """Begin a span; without a context it is a child of the current one."""
    given = {**span_type.constants, **span_type.named_attributes(attributes)}
    tracer = trace.get_tracer("sprat")
    span = tracer.start_span(span_type.named(value), context, span_type.kind, given, links, began_ns)
    return DeclaredSpan(span, span_type)


def _remote(traceparent: Traceparent) -> Context:
    return trace.set_span_in_context(NonRecordingSpan(span_context(traceparent)), Context())


def _sampled(traceparent: Traceparent) -> bool:
    return bool(int(traceparent.flags, 16) & TraceFlags.SAMPLED)
