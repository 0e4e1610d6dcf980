"""The records that a text causes, each read as one step of its way."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sprat.operating.telling import Kind, Told, asked_models, tell
from sprat_contracts import DeadLetterReason, KafkaRecord
from sprat_contracts.dead_letters import ORIGIN_TOPIC
from sprat_contracts.ids import plain_text_identity, root_traceparent

Place = tuple[str, int, int]
"""Topic, partition, offset."""
Identity = tuple[str, str]
"""Source and id of a text."""

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_PLAIN_ID = re.compile(r"(\d{1,19})-(\d{1,19})")
_INSIDE: Mapping[Kind, tuple[str, ...]] = {
    Kind.request: ("prediction",),
    Kind.answer: ("request", "prediction"),
}
"""Where in a value the prediction is that names the text."""


@dataclass(frozen=True, slots=True)
class Step:
    """A record of a text's way."""

    kind: Kind
    place: Place
    at_ms: int
    """When the broker appended it: epoch milliseconds."""
    service: str
    """Who wrote it."""
    identity: Identity | None
    """Which text it belongs to; None where the record does not say."""
    traceparent: str
    told: Told
    task: str | None = None
    origin: tuple[int, int] | None = None
    """Partition and offset of the text that it says it comes of."""
    text_at: int | None = None
    """When the text was appended, as the record says."""
    cause: Place | None = None
    """Of a dead letter: the record that could not be handled."""
    call_id: str | None = None
    tasks: tuple[str, ...] = ()
    """Of a text: the tasks asked for."""
    asked: Mapping[str, str] = field(default_factory=dict)
    """Task → the model of it that the text asks for, where the record holds what was submitted."""
    tenant: str | None = None
    replays: str = ""
    raw: bytes = field(default=b"", repr=False)

    @property
    def trace_id(self) -> str | None:
        """Give the trace that it is part of."""
        found = _TRACEPARENT.fullmatch(self.traceparent)
        return found[1] if found else None


@dataclass(frozen=True, slots=True)
class Sought:
    """The text that is looked for."""

    id: str
    source: str | None = None
    """None: whatever its source."""

    @property
    def needles(self) -> tuple[bytes, ...]:
        """Give how its id can stand in headers and in JSON: every record that names it holds one of these."""
        forms = {self.id} | {json.dumps(self.id, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)}
        forms |= {form.replace("/", r"\/") for form in forms}
        return tuple(sorted(form.encode("utf-8", "surrogatepass") for form in forms))

    @property
    def plain(self) -> tuple[int, int] | None:
        """Give offset and timestamp, if the id is of the form that plain JSON records get."""
        found = _PLAIN_ID.fullmatch(self.id)
        return (int(found[1]), int(found[2])) if found else None

    def matches(self, identity: Identity | None) -> bool:
        """Tell whether it is this text."""
        return identity is not None and identity[1] == self.id and self.source in (None, identity[0])


def headers_of(record: KafkaRecord) -> dict[str, str]:
    """Give the headers as texts; of a name that stands twice the last counts, as for the services."""
    return {name: (value or b"").decode("utf-8", "replace") for name, value in record.headers}


def step_of(kind: Kind, record: KafkaRecord, kinds: Mapping[str, Kind]) -> Step:
    """Read a record; one that is not what its topic holds says less, and is a step all the same."""
    headers, value = headers_of(record), _value(record)
    prediction = _prediction_in(kind, value)
    identity, cause = _identity(kind, record, headers, prediction), None
    told, service = tell(kind, value), headers.get("ce_source", "").rstrip("/").rpartition("/")[2]
    if kind is Kind.dead_letter:
        identity, cause, told, service = _dead_letter(record, headers, kinds)
    elif kind is Kind.text:
        service = identity[0] if identity else ""
    source, id = identity or ("", "")
    return Step(
        kind=kind,
        place=(record.topic, record.partition, record.offset),
        at_ms=record.timestamp,
        service=service or "unknown",
        identity=identity,
        traceparent=headers.get("traceparent", "") or (root_traceparent(source, id) if identity else ""),
        told=told,
        task=_string(prediction.get("task")),
        origin=_place_in(prediction.get("origin")),
        text_at=_appended_at(prediction.get("origin")),
        cause=cause,
        call_id=_string(value.get("call_id")) if kind is Kind.egress else None,
        tasks=tuple(_names(value.get("tasks"))) if kind is Kind.text else (),
        asked=_asked(value if kind is Kind.text else prediction.get("submitted")),
        tenant=_string(value.get("tenant")) or _tenant(prediction),
        replays=headers.get("sprat_replays", ""),
        raw=record.value or b"",
    )


def _value(record: KafkaRecord) -> dict[str, Any]:
    try:
        value = json.loads(record.value or b"")
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _prediction_in(kind: Kind, value: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give the part that names text, task and origin."""
    for name in _INSIDE.get(kind, ()):
        part = value.get(name)
        value = part if isinstance(part, dict) else {}
    return value


def _identity(
    kind: Kind, record: KafkaRecord, headers: Mapping[str, str], prediction: Mapping[str, Any]
) -> Identity | None:
    if kind is Kind.text:
        return text_identity(headers, record.topic, record.partition, record.offset, record.timestamp)
    source, id = _string(prediction.get("text_source")), _string(prediction.get("text_id"))
    return (source, id) if source is not None and id is not None else None


def text_identity(
    headers: Mapping[str, str], topic: str, partition: int, offset: int, timestamp_ms: int
) -> Identity | None:
    """Give source and id of a record on the texts topic; None where it has `ce_` headers, but not these."""
    if any(name.startswith("ce_") for name in headers):
        source, id = headers.get("ce_source"), headers.get("ce_id")
        return (source, id) if source and id else None
    return plain_text_identity(topic, partition, offset, timestamp_ms)


def _dead_letter(
    record: KafkaRecord, headers: Mapping[str, str], kinds: Mapping[str, Kind]
) -> tuple[Identity | None, Place | None, Told, str]:
    """Give of a dead letter: the text, the record that it was, why, who says so."""
    try:
        reason = DeadLetterReason.from_headers((name, value or b"") for name, value in record.headers)
    except ValueError:
        return None, None, Told("not a dead letter of ours"), ""
    cause = (reason.topic, reason.partition, reason.offset)
    kind = kinds.get(headers.get(ORIGIN_TOPIC, ""))
    if kind is Kind.text:
        identity = text_identity(headers, *cause, reason.timestamp_ms)
    else:
        prediction = _prediction_in(kind, _value(record)) if kind is not None else {}
        identity = _identity(kind, record, headers, prediction) if kind is not None else None
    said = f"{reason.code}: {reason.detail}"
    return identity, cause, Told(said, "rejected", reason.code), reason.service


def _place_in(origin: Any) -> tuple[int, int] | None:
    if not isinstance(origin, dict):
        return None
    partition, offset = origin.get("partition"), origin.get("offset")
    return (partition, offset) if isinstance(partition, int) and isinstance(offset, int) else None


def _appended_at(origin: Any) -> int | None:
    appended_at = origin.get("appended_at") if isinstance(origin, dict) else None
    return appended_at if isinstance(appended_at, int) else None


def _tenant(prediction: Mapping[str, Any]) -> str | None:
    submitted = prediction.get("submitted")
    return _string(submitted.get("tenant")) if isinstance(submitted, dict) else None


def _asked(submitted: Any) -> Mapping[str, str]:
    tasks = submitted.get("tasks") if isinstance(submitted, dict) else None
    return asked_models(tasks) if isinstance(tasks, dict) else {}


def _names(value: Any) -> Iterable[str]:
    return [name for name in value if isinstance(name, str)] if isinstance(value, dict) else []


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) else None
