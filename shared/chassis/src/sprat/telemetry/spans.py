"""Spans: of a declared kind, built once when they end, and handed to the processor that exports them.

The SDK's own spans cost five times as much to make (35 µs against 7), for they are locked, cleaned and copied at each
attribute; with several spans a text that was a sixth of a service's work. Ids, sampling, export and limits are the
SDK's.
"""

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import DEFAULT_ON, Decision
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, Status, StatusCode, TraceFlags

from sprat.telemetry.instruments import SCHEMA_URL, SCOPE_NAME, SCOPE_VERSION, SpanType, Value
from sprat_contracts import Traceparent

SCOPE: Final = InstrumentationScope(SCOPE_NAME, SCOPE_VERSION, SCHEMA_URL)
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
_UNSET, _ERROR = Status(StatusCode.UNSET), Status(StatusCode.ERROR)

current_traceparent: ContextVar[Traceparent | None] = ContextVar("current_traceparent", default=None)
"""The trace context of the record that the running task handles, for log lines and for records besides its outcome."""


def traceparent_of(context: SpanContext) -> Traceparent:
    """Return the header `traceparent` of a record that a span causes."""
    return Traceparent(
        trace.format_trace_id(context.trace_id), trace.format_span_id(context.span_id), f"{context.trace_flags:02x}"
    )


def span_context(traceparent: Traceparent) -> SpanContext:
    """Return the context of the span that a header `traceparent` names."""
    return SpanContext(
        int(traceparent.trace_id, 16),
        int(traceparent.parent_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(int(traceparent.flags, 16)),
    )


class SpanPipeline:
    """Where ended spans go, and which are made at all.

    Args:
        provider: has the resource and the sampler.
        processor: of the provider; it exports.
        limits: how many links and attributes a span may have.
    """

    def __init__(self, provider: TracerProvider, processor: SpanProcessor, limits: SpanLimits) -> None:
        self.resource = provider.resource
        self._sampler = provider.sampler
        self._follows_parent = provider.sampler is DEFAULT_ON
        """Whether the sampler is the standard's default: a root is sampled, all else as its parent."""
        self._processor = processor
        self.limits = limits

    def samples(self, span_type: SpanType, trace_id: int, parent: SpanContext | None) -> bool:
        """Return whether a span without a parent in this process is recorded."""
        if self._follows_parent:
            return parent is None or parent.trace_flags.sampled
        context = None if parent is None else trace.set_span_in_context(NonRecordingSpan(parent), Context())
        judged = _evenly_distributed(trace_id)
        decision = self._sampler.should_sample(context, judged, span_type.name, span_type.kind).decision
        return decision is Decision.RECORD_AND_SAMPLE

    def export(self, span: "DeclaredSpan", attributes: Mapping[str, object], status: Status) -> None:
        """Hand over a span that has ended."""
        limits = self.limits
        self._processor.on_end(
            ReadableSpan(
                name=span.name,
                context=span.link,
                parent=span.parent,
                resource=self.resource,
                attributes=_limited(attributes, limits),  # type: ignore[arg-type] # None is left out before
                links=span.links[: limits.max_links],
                kind=span.type.kind,
                instrumentation_scope=SCOPE,
                status=status,
                start_time=span.began_ns,
                end_time=time.time_ns(),
            )
        )


def _evenly_distributed(trace_id: int) -> int:
    """Return a trace id for a sampler, which decides by the lower 64 bits.

    A derived id is a UUID (RFC 9562): its lower half begins with two fixed bits, so that a ratio up to a half would
    sample no text. Its upper half begins with 48 random ones.
    """
    is_uuid5 = trace_id >> 76 & 0xF == 5 and trace_id >> 62 & 0b11 == 0b10
    return trace_id >> 64 if is_uuid5 else trace_id


_pipeline: SpanPipeline | None = None


def export_spans(pipeline: SpanPipeline | None) -> None:
    """Export spans by this pipeline from now on; None: make none."""
    global _pipeline  # noqa: PLW0603 - one for the process, as OpenTelemetry's own providers are
    _pipeline = pipeline


class DeclaredSpan:
    """A span while it is under way. Attributes are given by their keys in the registry.

    One that is not recorded only passes a trace context on.
    """

    __slots__ = (
        "_attributes",
        "_status",
        "_traceparent",
        "began_ns",
        "link",
        "links",
        "name",
        "parent",
        "recorded",
        "type",
    )

    def __init__(
        self,
        span_type: SpanType,
        name: str,
        context: SpanContext,
        parent: SpanContext | None = None,
        *,
        traceparent: Traceparent | None = None,
        recorded: bool = False,
        links: Sequence[Link] = (),
        began_ns: int = 0,
    ) -> None:
        self.type = span_type
        self.name = name
        self.link = context
        """The context by which other spans link to it."""
        self.parent = parent
        self._traceparent = traceparent
        self.recorded = recorded
        """Whether it is exported when it ends, and may have children."""
        self.links = links
        self.began_ns = began_ns
        self._status = _UNSET
        self._attributes: dict[str, str | int | float | bool | Sequence[str]] | None = None
        if recorded:
            self._attributes = dict(span_type.constants)

    @property
    def traceparent(self) -> Traceparent:
        """What a record continues that the span causes."""
        if self._traceparent is None:
            self._traceparent = traceparent_of(self.link)
        return self._traceparent

    def set(self, **attributes: Value) -> None:
        """Set attributes, until the span ends.

        Raises:
            KeyError: the kind of span does not declare such an attribute.
        """
        if self._attributes is not None:
            self._attributes |= self.type.named_attributes(attributes)

    def fail(self, error: str) -> None:
        """Record a failure; `error` is a code or the name of a class, never a text."""
        self.set(error=error)
        self._status = _ERROR

    def end(self, error: str | None = None) -> None:
        """End the span and export it, once; `error` as in `fail`."""
        attributes = self._attributes
        if attributes is None or _pipeline is None:
            return
        if error is not None:
            self.fail(error)
        self._attributes = None
        _pipeline.export(self, attributes, self._status)

    @contextmanager
    def current(self) -> Iterator[None]:
        """Make it the current span; it does not end with the `with`."""
        span_token, token = _current.set(self), current_traceparent.set(self.traceparent)
        try:
            # Also where it is not recorded: the batch's span must not become the exemplar of what is measured here.
            seen = self.link if self.recorded else trace.INVALID_SPAN_CONTEXT
            with trace.use_span(NonRecordingSpan(seen), record_exception=False):
                yield
        finally:
            current_traceparent.reset(token)
            _current.reset(span_token)

    def child(self, span_type: SpanType, value: str = "", **attributes: Value) -> "DeclaredSpan":
        """Begin a child, also after this span has ended; one that is not recorded is its own child."""
        if not self.recorded:
            return self
        context = SpanContext(self.link.trace_id, random.getrandbits(64), is_remote=False, trace_flags=_SAMPLED)
        span = DeclaredSpan(
            span_type, span_type.named(value), context, self.link, recorded=True, began_ns=time.time_ns()
        )
        span.set(**attributes)
        return span


INVISIBLE = DeclaredSpan(
    SpanType("none", trace.SpanKind.INTERNAL, "Where a span is needed and none is made."),
    "",
    trace.INVALID_SPAN_CONTEXT,
)
"""Where a span is needed and none is made."""

_current: ContextVar[DeclaredSpan] = ContextVar("current_span", default=INVISIBLE)


@contextmanager
def child_span(span_type: SpanType, value: str = "", **attributes: Value) -> Iterator[DeclaredSpan]:
    """Make a child of the current span, and the current one inside the `with`; without a recorded one none is made.

    An exception that leaves the `with` is recorded by the name of its class.
    """
    parent = _current.get()
    if not parent.recorded:
        yield parent
        return
    with ending(parent.child(span_type, value, **attributes)) as span:
        yield span


@contextmanager
def ending(span: DeclaredSpan) -> Iterator[DeclaredSpan]:
    """Make the span the current one and end it; an exception is recorded by the name of its class."""
    error = None
    try:
        with span.current():
            yield span
    except BaseException as raised:  # a cancellation, too: it is how the span ended
        error = type(raised).__name__
        raise
    finally:
        span.end(error)


def samples(span_type: SpanType, root: Traceparent) -> bool:
    """Return whether a root with these ids is recorded."""
    return _pipeline is not None and _pipeline.samples(span_type, int(root.trace_id, 16), None)


def begin(
    span_type: SpanType,
    value: str,
    parent: Traceparent | None,
    began_ns: int,
    attributes: Mapping[str, Value],
    *,
    ids: Traceparent | None = None,
    links: Sequence[Link] = (),
) -> DeclaredSpan:
    """Begin a span that has no parent in this process.

    Args:
        span_type: its kind.
        value: completes its name.
        parent: the trace context that it continues; None: it is a root.
        began_ns: when it began, epoch nanoseconds.
        attributes: by their keys.
        ids: the ids that a root must have; None: random ones.
        links: to other spans.

    Returns:
        A span that is recorded if the sampler says so. Another passes the parent's context on, as not sampled.
    """
    above = None if parent is None else span_context(parent)
    own = None if ids is None else span_context(ids)
    trace_id = above.trace_id if above else own.trace_id if own else random.getrandbits(128)
    if _pipeline is None or not _pipeline.samples(span_type, trace_id, above):
        given = parent or ids
        unsampled = None if given is None else Traceparent(given.trace_id, given.parent_id, "00", given.version)
        return DeclaredSpan(span_type, "", trace.INVALID_SPAN_CONTEXT, traceparent=unsampled)
    span_id = own.span_id if own else random.getrandbits(64)
    context = SpanContext(trace_id, span_id, is_remote=False, trace_flags=_SAMPLED)
    span = DeclaredSpan(
        span_type, span_type.named(value), context, above, recorded=True, links=links, began_ns=began_ns
    )
    span.set(**attributes)
    return span


def _limited(attributes: Mapping[str, object], limits: SpanLimits) -> Mapping[str, object]:
    """Return the attributes within the limits of the standard variables."""
    count, length = limits.max_span_attributes, limits.max_span_attribute_length
    if count is not None and len(attributes) > count:
        attributes = dict(list(attributes.items())[:count])
    if length is None:
        return attributes
    return {name: value[:length] if isinstance(value, str) else value for name, value in attributes.items()}
