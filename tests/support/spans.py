"""Spans inside a test: one provider for the whole run, read in memory. The fixture `spans` gives what is here."""

import functools
import time
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from sprat.telemetry.attributes import ERROR
from sprat.telemetry.instruments import SpanType
from sprat.telemetry.spans import SpanPipeline, begin, ending, export_spans

RECORD = "a record"
_RECORD = SpanType(RECORD, SpanKind.CONSUMER, "What the loops make for a record.", (ERROR,))


@functools.cache
def _parts() -> tuple[InMemorySpanExporter, SpanPipeline]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    return exporter, SpanPipeline(provider, SimpleSpanProcessor(exporter), SpanLimits())


class Spans:
    """The spans that have ended since the test began, in this order."""

    def __init__(self) -> None:
        self._exporter, pipeline = _parts()
        self._exporter.clear()
        export_spans(pipeline)  # another test may have set its own

    @contextmanager
    def record(self) -> Iterator[int]:
        """Make a root span the current one, as the loops do for a record; return its trace id."""
        with ending(begin(_RECORD, "", None, time.time_ns(), {})) as span:
            yield span.link.trace_id

    @property
    def all(self) -> tuple[ReadableSpan, ...]:
        """All spans, without those of `record`."""
        return tuple(span for span in self._exporter.get_finished_spans() if span.name != RECORD)

    def of(self, trace_id: int) -> list[str]:
        """Return the names of the spans of one trace."""
        return [span.name for span in self.all if span.context.trace_id == trace_id]

    def named(self, name: str) -> list[ReadableSpan]:
        """Return the spans with this name."""
        return [span for span in self.all if span.name == name]

    def one(self, name: str) -> ReadableSpan:
        """Return the only span with this name."""
        (span,) = self.named(name)
        return span

    def parent(self, span: ReadableSpan) -> str:
        """Return the name of a span's parent, which has ended."""
        (found,) = [
            each.name
            for each in self._exporter.get_finished_spans()
            if span.parent is not None and each.context.span_id == span.parent.span_id
        ]
        return found

    @property
    def words(self) -> str:
        """All that an operator may read in them."""
        return "\n".join(span.to_json() for span in self._exporter.get_finished_spans())
