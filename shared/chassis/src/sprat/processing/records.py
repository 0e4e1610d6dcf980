"""One record on its way through a loop: decoded, decided on, encoded, acknowledged."""

from dataclasses import dataclass, field, replace
from hashlib import blake2b

from sprat.base.errors import Rejected
from sprat.base.model import Unfinished
from sprat.kafka.bounded_records import Oversized
from sprat.kafka.publisher import OutRecord
from sprat.processing.handler import Ask, Emit, Outcome, Received
from sprat.telemetry.spans import DeclaredSpan
from sprat.telemetry.tracing import Place
from sprat_contracts import (
    DeadLetterReason,
    Envelope,
    KafkaRecord,
    Message,
    ReasonCode,
    TextSubmitted,
    Traceparent,
    WireError,
    decode,
    encode,
)
from sprat_contracts.dead_letters import replays_of


@dataclass(slots=True, eq=False)
class PendingRecord:
    """A record to publish, with its span and the message that it holds."""

    record: OutRecord
    span: DeclaredSpan
    message: Message | None = None
    """None: a dead letter, which holds the origin's bytes."""


@dataclass(slots=True)
class WorkItem:
    """A record, what was decided on it, and what of that is not yet acknowledged."""

    record: KafkaRecord
    received: Received[Message] | None = None
    """None where the record could not be decoded."""
    polled_s: float = 0.0
    """When it was polled: seconds of the performance counter."""
    span: DeclaredSpan | None = None
    """None before the record is decided on, and for one that is skipped."""
    traced: bool = False
    """Whether the root of its trace was exported."""
    ask: Ask | None = None
    unfinished: Unfinished | None = None
    """The question, with what the first stage of the model has found; None where no model is asked."""
    cache_key: str = ""
    """Under which its answer is looked up and cached; empty before that."""
    cache_s: float | None = None
    """How long its answer was looked up; None before that."""
    tokens: int = 0
    outcome: Outcome | None = None
    pending: list[PendingRecord] | None = None
    """What is not acknowledged yet; None before it is encoded."""
    acknowledged_s: float | None = None
    """When all was acknowledged, seconds of the performance counter; None: that was not measured."""

    @property
    def place(self) -> Place:
        """Where the record is."""
        return self.record.topic, self.record.partition, self.record.offset

    @property
    def partition(self) -> tuple[str, int]:
        """The partition of the record, with its topic."""
        return self.record.topic, self.record.partition

    def log_fields(self) -> dict[str, object]:
        """Return what a log line says about the record: its place and its trace, nothing of the text."""
        fields: dict[str, object] = dict(zip(("topic", "partition", "offset"), self.place, strict=True))
        if self.span is None:
            return fields
        traceparent = self.span.traceparent
        return fields | {"trace_id": traceparent.trace_id, "span_id": traceparent.parent_id}

    def decided(self) -> Outcome:
        """Return the outcome, which must be there."""
        if self.outcome is None:
            raise AssertionError("no step of the loop decided on this record")
        return self.outcome

    @property
    def skipped(self) -> bool:
        """Whether it was decided that the record is another service's."""
        return self.outcome is not None and self.outcome.skipped is not None

    @property
    def error(self) -> str | None:
        """The code of its rejection; None where it is not rejected."""
        rejected = self.outcome.rejected if self.outcome else None
        return rejected.code if rejected else None

    def end_span(self) -> None:
        """End the span; a rejection is its error."""
        if self.span is not None:
            self.span.end(self.error)


@dataclass(slots=True)
class RetryBuffer:
    """Work items of a failed attempt: when their records are read again, they continue where they were."""

    items: dict[Place, WorkItem] = field(default_factory=dict)

    def keep(self, items: list[WorkItem]) -> None:
        """Keep the items that are decided, in addition to those of other partitions."""
        self.items |= {item.place: item for item in items if item.outcome is not None}

    def take(self, record: KafkaRecord) -> WorkItem | None:
        """Remove and return the item of a record that is read again."""
        return self.items.pop((record.topic, record.partition, record.offset), None) if self.items else None

    def clear(self) -> None:
        """Forget all items: the partitions were revoked."""
        self.items.clear()


def receive(record: KafkaRecord, message_type: type[Message]) -> Received[Message]:
    """Decode one record.

    Raises:
        Rejected: it is not what its topic holds.
    """
    if isinstance(record.value, Oversized):
        raise Rejected(ReasonCode.TOO_LARGE, record.value.reason)
    try:
        event = decode(record, message_type)
    except WireError as error:
        raise Rejected(error.code, error.detail) from None
    return Received(
        message=event.message,
        envelope=event.envelope,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        appended_at=record.timestamp,
        key=record.key,
        warnings=event.warnings,
    )


def trace_context(record: KafkaRecord, received: Received[Message] | None) -> tuple[Traceparent, bool]:
    """Return the trace context that a record continues, and whether it is derived: its root is not a sender's span.

    A sender may also give the derived one, as `sprat send` does. That of a record without one that cannot be decoded
    is derived from its place. A text that is sent twice is one trace with two roots: their span ids are derived from
    the places of their records, for two spans must not have one id.
    """
    if received is None:
        given = Traceparent.of(record.headers)
        place = f"{record.topic}/{record.partition}", str(record.offset)
        return (Traceparent.root(*place), True) if given is None else (given, False)
    envelope = received.envelope
    context = envelope.traceparent
    is_text = isinstance(received.message, TextSubmitted)
    if envelope.begins_trace or (is_text and context == Traceparent.root(envelope.source, envelope.id)):
        return root_at(context, record.topic, record.partition, record.offset), True
    return context, False


def root_at(derived: Traceparent, topic: str, partition: int, offset: int) -> Traceparent:
    """Return the root of a derived trace for the record in this place: every service derives the same span id."""
    place = f"{derived.trace_id} {topic} {partition} {offset}"
    return replace(derived, parent_id=blake2b(place.encode(), digest_size=8).hexdigest())


def defect(error: BaseException) -> Rejected:
    """Return the reason of a dead letter for an unexpected error of a handler; it names the error's type alone."""
    return Rejected(ReasonCode.DEFECT, f"the service has a defect: {type(error).__name__}", own_fault=True)


def event_record(emit: Emit, cause: Envelope, traceparent: Traceparent, source: str) -> OutRecord:
    """Encode what a handler emits; it continues the trace of its cause."""
    envelope = Envelope(
        id=emit.id,
        source=source,
        traceparent=traceparent,
        tracestate=cause.tracestate,
        extensions=emit.extensions,
    )
    value, headers = encode(emit.message, envelope)
    return OutRecord(emit.topic, emit.key, value, headers)


def dead_letter(record: KafkaRecord, rejected: Rejected, topic: str, service: str, version: str) -> OutRecord:
    """Return the dead letter of a record: its key, value and headers unchanged, and the reason as more headers."""
    reason = DeadLetterReason(
        code=rejected.code,
        detail=rejected.detail,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        timestamp_ms=record.timestamp,
        service=service,
        version=version,
        replays=replays_of(record.headers),
    )
    return OutRecord(topic, record.key, record.value, reason.headers(map(_writable, record.headers), record.value))


def _writable(header: tuple[str, bytes]) -> tuple[str, bytes]:
    """Return a header as the producer can write it: bytes of its name that are not UTF-8 are escaped."""
    name, value = header
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"), value
