"""One record on its way through a loop."""

from dataclasses import dataclass, field

from sprat.kafka.publisher import OutRecord
from sprat.processing.handler import Ask, Outcome, Received
from sprat.telemetry.tracing import RecordSpan
from sprat_contracts import KafkaRecord, Message

Place = tuple[str, int, int]
"""Topic, partition, offset."""


@dataclass(slots=True)
class WorkItem:
    """A record, what was decided on it, and what of that is not yet acknowledged."""

    record: KafkaRecord
    received: Received[Message] | None = None
    """None where the record could not be decoded."""
    span: RecordSpan | None = None
    ask: Ask | None = None
    cache_key: str = ""
    tokens: int = 0
    outcome: Outcome | None = None
    pending: list[OutRecord] | None = None
    """What is to be acknowledged; None before it was encoded."""

    @property
    def place(self) -> Place:
        """Where the record stands."""
        return self.record.topic, self.record.partition, self.record.offset

    def about(self) -> dict[str, object]:
        """Give what a log line says of the record: its place and its trace, nothing of the text."""
        where = dict(zip(("topic", "partition", "offset"), self.place, strict=True))
        return where if self.span is None else where | {"trace_id": self.span.traceparent.trace_id}

    def decided(self) -> Outcome:
        """Give the outcome; nobody asks before it is there."""
        if self.outcome is None:
            raise AssertionError("no step of the loop decided on this record")
        return self.outcome

    def finish(self, error: str | None = None) -> None:
        """Close the span."""
        if self.span is not None:
            rejected = self.outcome.rejected if self.outcome else None
            self.span.end(error or (rejected.code if rejected else None))


@dataclass(slots=True)
class RetryBuffer:
    """Items of a failed attempt: when their records come again, they are taken up where they were."""

    items: dict[Place, WorkItem] = field(default_factory=dict)

    def keep(self, items: list[WorkItem]) -> None:
        """Keep what was decided, beside what is kept of other partitions."""
        self.items |= {item.place: item for item in items if item.outcome is not None}

    def take(self, record: KafkaRecord) -> WorkItem | None:
        """Give the held item of a record that came again."""
        return self.items.pop((record.topic, record.partition, record.offset), None) if self.items else None

    def forget(self) -> None:
        """Let all go: the partitions have moved on."""
        self.items.clear()
