"""The wire format: CloudEvents 1.0 over Kafka in binary mode. JSON value, `ce_` headers, W3C trace context."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Generic, Protocol, TypeVar

from pydantic import ValidationError

from sprat_contracts.base import Message
from sprat_contracts.codes import ReasonCode
from sprat_contracts.dead_letters import REPLAY_FOR, replays_of
from sprat_contracts.ids import plain_text_identity
from sprat_contracts.signing import SIGNATURE_HEADER, TextSignature, signature_of
from sprat_contracts.trace_context import Traceparent

M = TypeVar("M", bound=Message)

SIGNATURE = "sprat_signature"
"""The header of a signature: the installation's on records that services write for each other, the frontier's on those
of the audit."""

_CONTEXT = frozenset({"ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time"})
_OPTIONAL = frozenset({"ce_subject", "ce_dataschema", "ce_datacontenttype", "ce_tenant", "ce_status"})
_KNOWN_HEADERS = _CONTEXT | _OPTIONAL | {"content-type", "traceparent", "tracestate", REPLAY_FOR, SIGNATURE_HEADER}
_MAX_ATTRIBUTE = 1024
_MAX_PROBLEMS = 5


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


class WireError(ValueError):
    """A record that is not what its topic holds. `code` is for machines, `detail` for people; both without the text."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


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


@dataclass(frozen=True, slots=True)
class Event(Generic[M]):
    """A decoded record."""

    envelope: Envelope
    message: M


def decode(record: KafkaRecord, message_type: type[M]) -> Event[M]:
    """Decode a record.

    Raises:
        WireError: structured_mode, unsupported_content_type, invalid_header, invalid_cloudevent, unexpected_type,
            empty_value, too_large, invalid_json or invalid_message (of texts: invalid_text, no_known_task).
    """
    envelope = read_envelope(record, message_type)
    if not record.value:
        raise WireError(ReasonCode.EMPTY_VALUE, "the record has no value")
    if message_type.max_bytes is not None and len(record.value) > message_type.max_bytes:
        raise WireError(ReasonCode.TOO_LARGE, f"the value has more than {message_type.max_bytes} bytes")
    try:
        return Event(envelope, message_type.model_validate_json(record.value))
    except ValidationError as error:
        raise _wire_error(error, message_type) from None


def read_envelope(record: KafkaRecord, message_type: type[Message]) -> Envelope:
    """Decode the headers alone; raise the same errors as `decode`, except those of the value."""
    headers = _text_headers(record)
    content_type = headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if content_type.startswith("application/cloudevents"):
        raise WireError(
            ReasonCode.STRUCTURED_MODE, "header content-type: a CloudEvent in structured mode; send it in binary mode"
        )
    if content_type != "application/json" and not content_type.endswith("+json"):
        raise WireError(ReasonCode.UNSUPPORTED_CONTENT_TYPE, "header content-type: only application/json is read")
    if any(name.startswith("ce_") for name in headers):
        source, event_id = _cloudevent_identity(headers, message_type.event_type)
    elif message_type.plain_json_allowed:
        source, event_id = plain_text_identity(record.topic, record.partition, record.offset, record.timestamp)
    else:
        raise WireError(ReasonCode.INVALID_CLOUDEVENT, "header ce_id: missing; only texts may come as plain JSON")
    traceparent = Traceparent.parse(headers.get("traceparent"))
    return Envelope(
        id=event_id,
        source=source,
        traceparent=traceparent or Traceparent.root(source, event_id),
        tracestate=None if traceparent is None else headers.get("tracestate"),
        time=headers.get("ce_time"),
        extensions={name[3:]: value for name, value in headers.items() if name[:3] == "ce_" and name not in _CONTEXT},
        replay_for=headers.get(REPLAY_FOR),
        replays=replays_of(record.headers),
        signature=signature_of(headers.get(SIGNATURE_HEADER), record.value),
    )


def encode(message: Message, envelope: Envelope) -> tuple[bytes, list[tuple[str, bytes]]]:
    """Return the value and the headers of a record; the time is now where the envelope has none."""
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
    return message.model_dump_json().encode(), headers


def _text_headers(record: KafkaRecord) -> dict[str, str]:
    """Decode the headers; the last one of a name counts, as in most clients."""
    headers: dict[str, str] = {}
    for name, value in record.headers:
        try:
            name.encode()  # a reader may keep bytes that are not UTF-8 as surrogates
            headers[name] = (value or b"").decode()
        except UnicodeError:
            raise WireError(ReasonCode.INVALID_HEADER, f"header {_shown(name)}: not UTF-8") from None
    return headers


def _cloudevent_identity(headers: Mapping[str, str], event_type: str) -> tuple[str, str]:
    if headers.get("ce_specversion") != "1.0":
        raise WireError(ReasonCode.INVALID_CLOUDEVENT, "header ce_specversion: missing or not 1.0")
    for name in ("ce_id", "ce_source", "ce_type"):
        if not 0 < len(headers.get(name, "")) <= _MAX_ATTRIBUTE:
            raise WireError(
                ReasonCode.INVALID_CLOUDEVENT, f"header {name}: missing, empty or over {_MAX_ATTRIBUTE} characters"
            )
    if headers["ce_type"] != event_type:
        raise WireError(ReasonCode.UNEXPECTED_TYPE, f"header ce_type: {event_type} is expected on this topic")
    return headers["ce_source"], headers["ce_id"]


def _wire_error(error: ValidationError, message_type: type[Message]) -> WireError:
    """Return which fields are wrong and why, without any input: keys that are not field names are shown as `*`."""
    problems = error.errors(include_input=False, include_context=False, include_url=False)
    if problems[0]["type"] == "json_invalid":
        return WireError(ReasonCode.INVALID_JSON, problems[0]["msg"])
    known = _field_names(message_type)
    problem_texts = [
        (
            ".".join(str(step) if isinstance(step, int) or step in known else "*" for step in problem["loc"])
            or "the value"
        )
        + f": {problem['msg']}"
        for problem in problems[:_MAX_PROBLEMS]
    ]
    if len(problems) > _MAX_PROBLEMS:
        problem_texts.append(f"and {len(problems) - _MAX_PROBLEMS} more")
    if message_type.plain_json_allowed:
        no_known_task = [problem["type"] for problem in problems] == [ReasonCode.NO_KNOWN_TASK]
        code = ReasonCode.NO_KNOWN_TASK if no_known_task else ReasonCode.INVALID_TEXT
    else:
        code = ReasonCode.INVALID_MESSAGE
    return WireError(code, "; ".join(problem_texts))


@cache
def _field_names(message_type: type[Message]) -> frozenset[str]:
    """Return all field names of a message and its parts: an error may show these."""
    names: set[str] = set()
    definitions = message_type.model_json_schema(mode="validation")
    for schema in (definitions, *definitions.get("$defs", {}).values()):
        names.update(schema.get("properties", {}))
    return frozenset(names)


def _shown(name: str) -> str:
    """Return a header's name, or `*` where the sender has made it up: it may hold anything."""
    return name if name in _KNOWN_HEADERS else "*"
