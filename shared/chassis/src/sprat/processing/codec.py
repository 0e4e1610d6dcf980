"""Between records and messages: decoding what came, encoding what a handler gives."""

from sprat.errors import Rejected
from sprat.kafka.publisher import OutRecord
from sprat.processing.handler import Emit, Received
from sprat_contracts import (
    DeadLetterReason,
    Envelope,
    KafkaRecord,
    Message,
    ReasonCode,
    Traceparent,
    WireError,
    decode,
    encode,
)
from sprat_contracts.dead_letters import replays_of


def receive(record: KafkaRecord, message_type: type[Message]) -> Received[Message]:
    """Decode one record.

    Raises:
        Rejected: it is not what its topic holds.
    """
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
    )


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
    """Make the dead letter of a record: key, value and headers as they came, and the reason beside them."""
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
    return OutRecord(topic, record.key, record.value, reason.headers(map(_writable, record.headers)))


def _writable(header: tuple[str, bytes]) -> tuple[str, bytes]:
    """Give a header as the producer can write it: bytes of its name that are not UTF-8 are escaped."""
    name, value = header
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"), value


def defect(error: Exception) -> Rejected:
    """Make the reason of a dead letter of what a handler did not foresee; of the error only its type is told."""
    return Rejected(ReasonCode.DEFECT, f"the service has a defect: {type(error).__name__}", own_fault=True)
