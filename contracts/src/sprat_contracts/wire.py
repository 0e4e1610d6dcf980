"""The wire format: CloudEvents 1.0 over Kafka. JSON value, `ce_` headers, W3C trace context.

All messages are written in binary mode. Texts may also come in structured mode or as plain JSON.
"""

import codecs
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Generic, Protocol, TypeVar

from pydantic import ValidationError
from pydantic_core import from_json

from sprat_contracts.base import Message
from sprat_contracts.codes import ReasonCode
from sprat_contracts.dead_letters import REPLAY_FOR, REPLAYS, replays_of
from sprat_contracts.headers import ATTRIBUTE, attributes_among, header_name, layout_of
from sprat_contracts.ids import plain_text_identity
from sprat_contracts.message_reader import read_message
from sprat_contracts.signing import SIGNATURE_HEADER, TextSignature, signature_of
from sprat_contracts.structured import (
    CONTEXT,
    FORMAT,
    JSON,
    MAX_ATTRIBUTE,
    content_type_of,
    data_in,
    event_in,
    extensions_in,
)
from sprat_contracts.text_warnings import warnings_of
from sprat_contracts.texts import TextSubmitted, TextWarning, without_nulls
from sprat_contracts.trace_context import Traceparent
from sprat_contracts.wire_errors import JSON_TYPES, WireError, invalid_json, shown_header, wire_error

M = TypeVar("M", bound=Message)

SIGNATURE = "sprat_signature"
"""The header of a signature: the installation's on records that services write for each other, the frontier's on those
of the audit."""

_VERSION = re.compile(r"[0-9]\.[0-9]")
"""Of CloudEvents, as far as an error may show it: another value may be anything."""


class RecordContent(Protocol):
    """What a producer gives of a record."""

    @property
    def topic(self) -> str:
        """Name of the topic."""
        ...

    @property
    def key(self) -> bytes | None:
        """As it is produced."""
        ...

    @property
    def value(self) -> bytes | None:
        """As it is produced; None is a tombstone."""
        ...

    @property
    def headers(self) -> Sequence[tuple[str, bytes]]:
        """In their order; a name may occur twice."""
        ...


class KafkaRecord(RecordContent, Protocol):
    """A record as a Kafka client returns it; aiokafka's ConsumerRecord is one."""

    @property
    def partition(self) -> int:
        """Partition of the topic."""
        ...

    @property
    def offset(self) -> int:
        """Offset in the partition."""
        ...

    @property
    def timestamp(self) -> int:
        """Epoch milliseconds, the broker's clock."""
        ...


@dataclass(frozen=True, slots=True)
class Record:
    """A Kafka record as plain data, for clients whose own records are not a `KafkaRecord`, and for tests.

    With confluent-kafka:
    `Record(m.topic(), m.partition(), m.offset(), m.timestamp()[1], m.key(), m.value(), m.headers() or ())`.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int
    """Epoch milliseconds, the broker's clock."""
    key: bytes | None
    value: bytes | None
    """None is a tombstone."""
    headers: Sequence[tuple[str, bytes]] = ()


@dataclass(frozen=True, slots=True)
class Envelope:
    """The CloudEvents context of a record, and the trace that it continues."""

    id: str
    source: str
    traceparent: Traceparent
    tracestate: str | None = None
    time: str | None = None
    extensions: Mapping[str, str] = field(default_factory=dict)
    """`ce_` attributes beside the mandatory ones, without the prefix: tenant, status, …"""
    replay_for: str | None = None
    """The only service that should handle this replayed record; None for all. Anybody can write the header: services
    honour one with the installation's signature of the replay."""
    replays: int = 0
    signature: TextSignature | None = None
    """Of a text that is signed; not verified."""
    begins_trace: bool = field(default=False, compare=False)
    """Whether the record came without a trace context: its own is derived from source and id."""


@dataclass(frozen=True, slots=True)
class Event(Generic[M]):
    """A decoded record."""

    envelope: Envelope
    message: M
    warnings: tuple[TextWarning, ...] = ()
    """Of a text: what was not understood."""


def decode(record: KafkaRecord, message_type: type[M]) -> Event[M]:
    """Decode a record.

    Raises:
        WireError: structured_mode, unsupported_content_type, invalid_header, invalid_cloudevent, unexpected_type,
            empty_value, too_large, invalid_json or invalid_message (of texts: invalid_text, no_known_task).
    """
    envelope, value = _opened(record, message_type)
    _check_value(record, message_type)
    if b"null" in value and issubclass(message_type, TextSubmitted):
        value = without_nulls(value)
    noted: list[TextWarning] = []
    try:
        message = read_message(message_type, value, noted)
    except ValidationError as error:
        raise wire_error(error, message_type, value) from None
    return Event(envelope, message, warnings_of(message, noted) if isinstance(message, TextSubmitted) else ())


def read_envelope(record: KafkaRecord, message_type: type[Message]) -> Envelope:
    """Return the envelope alone; raise the same errors as `decode`, except those of the message."""
    return _opened(record, message_type)[0]


def _opened(record: KafkaRecord, message_type: type[Message]) -> tuple[Envelope, bytes]:
    """Return the envelope of a record and the JSON of its message, which is not read."""
    headers, named = _text_headers(record)
    value = (record.value or b"").removeprefix(codecs.BOM_UTF8)
    is_binary = named and headers.get("content-type", JSON) == JSON
    event = None if is_binary else _structured(headers, record, message_type)
    if event is not None:
        attributes = extensions_in(event)
        source, event_id = _identity(event, message_type.event_type, "structured mode: attribute ")
        value = _data(event)
    elif named:
        attributes = {attribute: headers[name] for name, attribute in named}
        source, event_id = _identity(attributes, message_type.event_type, "header ce_")
    elif message_type.plain_json_allowed:
        attributes = {}
        source, event_id = plain_text_identity(record.topic, record.partition, record.offset, record.timestamp)
    else:
        raise WireError(ReasonCode.INVALID_CLOUDEVENT, "header ce_id: missing; only texts may come as plain JSON")
    traceparent = Traceparent.parse(headers.get("traceparent"))
    envelope = Envelope(
        id=event_id,
        source=source,
        traceparent=traceparent or Traceparent.root(source, event_id),
        tracestate=None if traceparent is None else headers.get("tracestate"),
        time=attributes.get("time"),
        extensions={name: value for name, value in attributes.items() if name not in CONTEXT},
        replay_for=headers.get(REPLAY_FOR),
        replays=replays_of(record.headers) if REPLAYS in headers else 0,
        signature=signature_of(headers.get(SIGNATURE_HEADER), record.value),
        begins_trace=traceparent is None,
    )
    return envelope, value


def _structured(
    headers: Mapping[str, str], record: KafkaRecord, message_type: type[Message]
) -> Mapping[str, Any] | None:
    """Return the event of a record in structured mode; None for one in another mode."""
    content_type = content_type_of(headers)
    if content_type.startswith(f"{FORMAT}-batch"):
        detail = "batched mode; send each event as a record of its own, in structured or binary mode"
    elif content_type.startswith(FORMAT) and content_type != f"{FORMAT}+json":
        detail = f"structured mode in another format than JSON; send {FORMAT}+json, or binary mode"
    elif content_type.startswith(FORMAT) and not message_type.plain_json_allowed:
        detail = "structured mode, in which only texts are read; send it in binary mode"
    elif content_type.startswith(FORMAT):
        _check_value(record, message_type)
        event = event_in(headers, record.value)
        if event is None:
            _check_json(record.value or b"")
        elif event.get("specversion") is not None:
            return event
        detail = (
            'structured mode, but the value has no specversion; add "specversion": "1.0", or send the text alone, as '
            "application/json"
        )
    elif content_type != JSON and not content_type.endswith("+json"):
        raise WireError(ReasonCode.UNSUPPORTED_CONTENT_TYPE, "header content-type: only application/json is read")
    else:
        if not message_type.plain_json_allowed or len(record.value or b"") > (message_type.max_bytes or 0):
            return None
        return event_in(headers, record.value)
    raise WireError(ReasonCode.STRUCTURED_MODE, f"header content-type: {detail}")


def _data(event: Mapping[str, Any]) -> bytes:
    """Return the JSON of the message in an event."""
    content_type = event.get("datacontenttype")
    if content_type is not None:
        media_type = content_type_of({"content-type": str(content_type)})
        if media_type != JSON and not media_type.endswith("+json"):
            detail = "structured mode: attribute datacontenttype: only application/json is read"
            raise WireError(ReasonCode.UNSUPPORTED_CONTENT_TYPE, detail)
    if event.get("data") is not None and event.get("data_base64") is not None:
        raise WireError(ReasonCode.INVALID_CLOUDEVENT, "structured mode: data and data_base64: only one may be there")
    data = data_in(event)
    if data is None:
        raise WireError(ReasonCode.STRUCTURED_MODE, "structured mode: data: missing, or base64 that cannot be read")
    return data


def _check_value(record: KafkaRecord, message_type: type[Message]) -> None:
    if not record.value:
        raise WireError(ReasonCode.EMPTY_VALUE, "the record has no value")
    if message_type.max_bytes is not None and len(record.value) > message_type.max_bytes:
        raise WireError(ReasonCode.TOO_LARGE, f"the value has more than {message_type.max_bytes} bytes")


def _check_json(value: bytes) -> None:
    try:
        from_json(value.removeprefix(codecs.BOM_UTF8), allow_inf_nan=False)
    except ValueError as error:
        raise invalid_json(value, f"Invalid JSON: {error}") from None


def encode(message: Message, envelope: Envelope) -> tuple[bytes, list[tuple[str, bytes]]]:
    """Return the value and the headers of a record; the time is now where the envelope has none.

    A text that names no language is written without one: which it is read in is the installation's to say.
    """
    time = envelope.time or datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", envelope.id.encode()),
        ("ce_source", envelope.source.encode()),
        ("ce_type", message.event_type.encode()),
        ("ce_time", time.encode()),
        ("content-type", b"application/json"),
        ("traceparent", str(envelope.traceparent).encode()),
    ]
    if envelope.tracestate:
        headers.append(("tracestate", envelope.tracestate.encode()))
    headers.extend((f"ce_{name}", value.encode()) for name, value in envelope.extensions.items())
    left_out = {"language"} if isinstance(message, TextSubmitted) and not message.names_language else None
    return message.__pydantic_serializer__.to_json(message, exclude=left_out), headers


def _text_headers(record: KafkaRecord) -> tuple[dict[str, str], tuple[tuple[str, str], ...]]:
    """Return the decoded headers, and which of them are attributes.

    The last one of a name counts, as in most clients, but attributes have one value.
    """
    layout = layout_of(record.headers)
    if layout is not None:
        with suppress(UnicodeDecodeError):  # of which one, is looked for below
            values = [(value or b"").decode() for _, value in record.headers]
            return dict(zip(layout.names, values, strict=True)), layout.attributes
    headers: dict[str, str] = {}
    for written, value in record.headers:
        name = header_name(written)
        try:
            name.encode()  # a reader may keep bytes that are not UTF-8 as surrogates
            text = (value or b"").decode()
        except UnicodeError:
            raise WireError(ReasonCode.INVALID_HEADER, f"header {shown_header(name)}: not UTF-8") from None
        if name.startswith(ATTRIBUTE) and headers.get(name, text) != text:
            raise WireError(ReasonCode.INVALID_CLOUDEVENT, f"header {shown_header(name)}: twice, with different values")
        headers[name] = text
    return headers, attributes_among(headers)


def _identity(attributes: Mapping[str, Any], event_type: str, where: str) -> tuple[str, str]:
    """Return source and id of a CloudEvent; `where` begins the place of an attribute in errors."""
    version = attributes.get("specversion")
    if version != "1.0":
        shown = isinstance(version, str) and _VERSION.fullmatch(version) is not None
        wrong = f"{version} is not 1.0" if shown else _unusable(attributes, "specversion") or "not 1.0"
        raise WireError(ReasonCode.INVALID_CLOUDEVENT, f"{where}specversion: {wrong}")
    for name in ("id", "source", "type"):
        if (why := _unusable(attributes, name)) is not None:
            raise WireError(ReasonCode.INVALID_CLOUDEVENT, f"{where}{name}: {why}")
    if attributes["type"] != event_type:
        raise WireError(ReasonCode.UNEXPECTED_TYPE, f"{where}type: {event_type} is expected on this topic")
    return attributes["source"], attributes["id"]


def _unusable(attributes: Mapping[str, Any], name: str) -> str | None:
    """Return why an attribute is no string of 1 to 1,024 characters; None where it is one."""
    if name not in attributes:
        return "missing"
    value = attributes[name]
    if not isinstance(value, str):
        return f"{JSON_TYPES[type(value)]}; it must be a string"
    if len(value) > MAX_ATTRIBUTE:
        return f"over {MAX_ATTRIBUTE} characters"
    return None if value else "empty"
