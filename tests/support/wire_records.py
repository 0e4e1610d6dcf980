"""Records as they stand on a topic."""

from dataclasses import replace
from typing import Any

from sprat.kafka.publisher import OutRecord
from sprat.kafka.signatures import Signatures
from sprat.processing.handler import Emit
from sprat.processing.records import event_record
from sprat_contracts import Envelope, Message, Record, TextSubmitted, Traceparent
from support.stream import SIGNATURES

TRACE_CONTEXT = Traceparent("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
PLAIN = Record("sprat.texts.v1", 3, 41, 1_767_225_600_000, None, b'{"text": "hi", "tasks": {"intent": {}}}')


def plain(value: bytes | None = PLAIN.value, **fields: Any) -> Record:
    """Return a record without headers."""
    return replace(PLAIN, value=value, **fields)


def event(
    value: bytes | None = PLAIN.value, kind: type[Message] = TextSubmitted, **headers: str | bytes | None
) -> Record:
    """Return a CloudEvent; a header given as None is left out, `content_type` and the like are named with dashes."""
    standard: dict[str, str | bytes | None] = {
        "ce_specversion": "1.0",
        "ce_id": "t-1",
        "ce_source": "/app",
        "ce_type": kind.event_type,
        "content-type": "application/json",
    }
    named = {name if name.startswith(("ce_", "sprat_")) else name.replace("_", "-"): v for name, v in headers.items()}
    encoded = tuple(
        (name, header if isinstance(header, bytes) else header.encode())
        for name, header in (standard | named).items()
        if header is not None
    )
    return replace(PLAIN, value=value, headers=encoded)


def published(emit: Emit, cause: Envelope, offset: int = 0) -> Record:
    """Return the record that the loop makes of what a handler emits, as the next service reads it."""
    out = event_record(emit, cause, cause.traceparent, "/sprat/test")
    return Record(out.topic, 0, offset, 1_767_225_600_000 + offset, out.key, out.value, tuple(out.headers))


def signed(record: Record, signatures: Signatures = SIGNATURES) -> Record:
    """Return a record with the signature of the installation."""
    return replace(record, headers=tuple(signatures.sign(_out(record)).headers))


def signed_replay(record: Record, signatures: Signatures = SIGNATURES) -> Record:
    """Return a record with the signature of a replay."""
    return replace(record, headers=tuple(signatures.sign_replay(_out(record)).headers))


def signed_letter(record: Record, signatures: Signatures = SIGNATURES) -> Record:
    """Return a dead letter with its signature."""
    return replace(record, headers=tuple(signatures.sign_dead_letter(_out(record)).headers))


def _out(record: Record) -> OutRecord:
    return OutRecord(record.topic, record.key, record.value, record.headers)
