"""Traces: each record continues the trace it came with, so that one text has one trace id on every topic.

Where no spans are exported none is made, and the incoming context is passed on unchanged; one that the sampler leaves
out is passed on as not sampled.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.trace import Link, SpanContext

from sprat.telemetry import signals
from sprat.telemetry.instruments import Value
from sprat.telemetry.spans import INVISIBLE, DeclaredSpan, begin, ending, samples, span_context
from sprat_contracts import Traceparent

Place = tuple[str, int, int]
"""Topic, partition, offset."""


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
            links: the trace contexts of the records that are not skipped; without a sampled one, no span is made.
            messages: how many records were polled.
            began_ns: when they were polled, epoch nanoseconds.
        """
        contexts = [span_context(each) for each in links] if self.exporting else ()
        sampled = [Link(each) for each in contexts if each.trace_flags.sampled]
        if not sampled:
            yield INVISIBLE
            return
        about: dict[str, Value] = {
            "operation": "poll",
            "operation_type": "receive",
            "group": self.group,
            "messages": messages,
        }
        span = begin(signals.POLL, "", None, began_ns, about, links=sampled)
        with ending(span):
            yield span

    def process(
        self,
        parent: Traceparent,
        place: Place,
        message_id: str | None,
        began_ns: int,
        batch: SpanContext = trace.INVALID_SPAN_CONTEXT,
    ) -> DeclaredSpan:
        """Begin the span of a record: a child of the record's own trace context, with a link to its batch.

        Args:
            parent: the record's trace context.
            place: where the record is.
            message_id: the id of its event; None where it cannot be decoded.
            began_ns: when it was polled, epoch nanoseconds.
            batch: the span of its batch.
        """
        if not self.exporting:
            return DeclaredSpan(signals.PROCESS, "", trace.INVALID_SPAN_CONTEXT, traceparent=parent)
        topic, partition, offset = place
        about: dict[str, Value] = {
            "operation": "process",
            "operation_type": "process",
            "destination": topic,
            "partition": str(partition),
            "offset": offset,
            "group": self.group,
            "message_id": message_id,
        }
        links = [Link(batch)] if batch.is_valid else ()
        return begin(signals.PROCESS, topic, parent, began_ns, about, links=links)

    def accept(
        self,
        root: Traceparent,
        topic: str,
        message_id: str | None,
        appended_ms: int,
        attributes: Mapping[str, Value],
        error: str | None = None,
    ) -> None:
        """Export the root of a text's trace, from the broker's append (epoch milliseconds) to now.

        Its ids are those that the context names which all services have derived from the text.
        """
        about = {"operation": "accept", "destination": topic, "message_id": message_id, **attributes}
        begin(signals.ACCEPT, topic, None, appended_ms * 1_000_000, about, ids=root).end(error)

    def as_sampled(self, root: Traceparent) -> Traceparent:
        """Return a derived trace context with the decision of the sampler, which every service makes alike.

        A context that a sender gave has the sender's decision already.
        """
        if not self.exporting or samples(signals.ACCEPT, root):
            return root
        return Traceparent(root.trace_id, root.parent_id, "00", root.version)
