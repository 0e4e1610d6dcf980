"""Ids of spans: random ones, except where a span must have the ids that a trace context already names."""

from contextvars import ContextVar

from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

forced_ids: ContextVar[tuple[int, int] | None] = ContextVar("forced_ids", default=None)
"""Trace id and span id of the spans that are started while it is set: set it around the start of one span."""


class ForcedIds(RandomIdGenerator):
    """Generates random ids, or those of `forced_ids`. A span with a valid parent keeps the parent's trace id."""

    def generate_trace_id(self) -> int:
        """Return a trace id."""
        forced = forced_ids.get()
        return super().generate_trace_id() if forced is None else forced[0]

    def generate_span_id(self) -> int:
        """Return a span id."""
        forced = forced_ids.get()
        return super().generate_span_id() if forced is None else forced[1]

    def is_trace_id_random(self) -> bool:
        """Return whether the next trace id is random; a derived one must not be marked as such."""
        return forced_ids.get() is None
