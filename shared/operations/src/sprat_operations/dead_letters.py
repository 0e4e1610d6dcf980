"""Dead letters as an operator sees them: the original record, the service that failed, and the text."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from sprat.kafka.signatures import Signatures, Verdict
from sprat_contracts import DeadLetterReason, KafkaRecord, Traceparent
from sprat_contracts.codes import ReasonCode
from sprat_contracts.dead_letters import SERVICE, original_headers
from sprat_contracts.headers import ATTRIBUTE, decoded, header_name
from sprat_contracts.ids import plain_text_identity
from sprat_contracts.structured import FORMAT, content_type_of, event_in, identity_in

Headers = Sequence[tuple[str, bytes]]
"""In their order. A null value is None here, although the type excludes it."""
Identity = tuple[str, str]
"""The CloudEvents source and id of an event."""
Subject = tuple[str, str, str]
"""Source, id and the digest of key and value: a text fixed and sent again under its id is another one."""

Cause = Literal["record", "settings", "fault"]
"""What has to change before a record can be handled: the record itself, settings or the policy, or the service."""

_ID: Final = f"{ATTRIBUTE}id"
_RECORD: Final = frozenset(
    {
        ReasonCode.STRUCTURED_MODE,
        ReasonCode.UNSUPPORTED_CONTENT_TYPE,
        ReasonCode.INVALID_HEADER,
        ReasonCode.INVALID_CLOUDEVENT,
        ReasonCode.UNEXPECTED_TYPE,
        ReasonCode.EMPTY_VALUE,
        ReasonCode.INVALID_JSON,
        ReasonCode.INVALID_MESSAGE,
        ReasonCode.INVALID_TEXT,
        ReasonCode.NO_KNOWN_TASK,
        ReasonCode.TASK_NOT_REQUESTED,
        ReasonCode.TOO_LARGE,
    }
)
_SETTINGS: Final = frozenset(
    {
        ReasonCode.UNKNOWN_TASK,
        ReasonCode.UNKNOWN_SERVICE,
        ReasonCode.FOREIGN_SOURCE,
        ReasonCode.BAD_SIGNATURE,
        ReasonCode.UNKNOWN_FIELD,
        ReasonCode.UNKNOWN_VALUE,
    }
)
_TEXTS = ".texts.v1"
"""The end of the name of the texts topic, for every prefix."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A dead letter. Its repr leaves out key, value and headers: they may hold a text."""

    partition: int
    offset: int
    written_at: int
    """When the broker appended it: epoch milliseconds."""
    reason: DeadLetterReason
    key: bytes | None = field(repr=False)
    value: bytes | None = field(repr=False)
    headers: Headers = field(repr=False)
    """All of them, the original ones first."""
    digest: str
    """Of key and value."""
    identity: Identity | None
    """Source and id of the original; None where it has none. Those of plain JSON follow from its place on the topic."""
    is_plain_text: bool
    """Whether the original is a text that is no CloudEvent."""
    signed: Verdict | None = None
    """With which secret of this installation; None where nobody has looked."""
    copies: tuple[str, ...] = ()
    """The places of its copies, see `without_copies`."""

    @property
    def place(self) -> str:
        """Return PARTITION:OFFSET, its name on the command line."""
        return f"{self.partition}:{self.offset}"

    @property
    def text_id(self) -> str | None:
        """Return the id of the original, also where its source is missing; None where it has none."""
        if self.identity is not None:
            return self.identity[1]
        ids = [value for name, value in self.headers if header_name(name) == _ID]
        return ids[-1].decode("utf-8", "replace") or None if ids and ids[-1] else None

    @property
    def trace_id(self) -> str | None:
        """Return the trace id in the headers of the original, else the one that follows from its identity."""
        traceparent = Traceparent.of(self.headers)
        if traceparent is None and self.identity is not None:
            traceparent = Traceparent.root(*self.identity)
        return None if traceparent is None else traceparent.trace_id

    @property
    def cause(self) -> Cause:
        """Return what has to change before a replay can succeed; for a code of a later version the service."""
        return cause_of(self.reason.code)

    @property
    def original_headers(self) -> list[tuple[str, bytes]]:
        """Return the headers of the original, without those that the dead letter added."""
        return original_headers(self.headers, self.value)

    @property
    def is_event(self) -> bool:
        """Return whether the value is an event in structured mode that can be read, with its `specversion`."""
        event = event_in(decoded(self.original_headers), self.value)
        return event is not None and "specversion" in event

    @property
    def subject(self) -> Subject:
        """Return what distinguishes events: the identity, empty strings without one, and the digest."""
        return (*(self.identity or ("", "")), self.digest)

    def without_value(self) -> "DeadLetter":
        """Return a copy without the value, for keeping many in memory."""
        return replace(self, value=None)


def cause_of(code: str) -> Cause:
    """Return what has to change before a replay can succeed; for a code of a later version the service."""
    if code in _RECORD:
        return "record"
    return "settings" if code in _SETTINGS else "fault"


def without_copies(letters: Iterable[DeadLetter]) -> list[DeadLetter]:
    """Return each dead letter once, oldest first, with the places of its copies.

    A service that is killed between the acknowledgement of a dead letter and its commit writes it again. A copy is from
    the same service about the same record. What this installation has not signed is no copy, and has none.
    """
    once: dict[tuple[object, ...], DeadLetter] = {}
    for letter in sorted(letters, key=lambda letter: letter.written_at):
        reason = letter.reason
        foreign = letter.place if letter.signed in {"unsigned", "invalid"} else ""
        failure = reason.service, reason.topic, reason.partition, reason.offset, letter.subject, foreign
        first = once.get(failure)
        once[failure] = letter if first is None else replace(first, copies=(*first.copies, letter.place))
    return list(once.values())


def read_dead_letter(record: KafkaRecord, signatures: Signatures | None = None) -> DeadLetter:
    """Read a record of the dead letters' topic, and verify its signature where `signatures` are given.

    Raises:
        ValueError: it is not a dead letter; the message names the header that is missing or wrong.
    """
    reason = DeadLetterReason.from_headers((name, value or b"") for name, value in record.headers)
    if not reason.service:
        raise ValueError(f"not a dead letter: header {SERVICE} is empty")
    plain = reason.topic.endswith(_TEXTS) and not _is_cloudevent(record)
    place = (reason.topic, reason.partition, reason.offset, reason.timestamp_ms)
    return DeadLetter(
        partition=record.partition,
        offset=record.offset,
        written_at=record.timestamp,
        reason=reason,
        key=record.key,
        value=record.value,
        headers=[(_writable(name), value) for name, value in record.headers],
        digest=digest(record.key, record.value),
        identity=plain_text_identity(*place) if plain else identity_of(record.headers, record.value),
        is_plain_text=plain,
        signed=None if signatures is None else signatures.dead_letter_verdict(record),
    )


def identity_of(headers: Headers, value: bytes | None) -> Identity | None:
    """Return source and id of a CloudEvent; None where one is missing, empty or not UTF-8.

    They stand in the value in structured mode, and else in the headers.
    """
    event = event_in(decoded(headers), value)
    if event is not None and (identity := identity_in(event)) is not None:
        return identity
    found = {header_name(name): value or b"" for name, value in headers}
    try:
        source, event_id = found.get("ce_source", b"").decode(), found.get("ce_id", b"").decode()
    except UnicodeDecodeError:
        return None
    return (source, event_id) if source and event_id else None


def digest(key: bytes | None, value: bytes | None) -> str:
    """Return a digest of key and value; an absent one differs from an empty one."""
    summed = hashlib.sha256()
    for part in (key, value):
        summed.update(b"-" if part is None else b"%d:" % len(part) + part)
    return summed.hexdigest()


def _writable(name: str) -> str:
    """Return a header's name as a producer can write it: bytes that are not UTF-8 are escaped."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _is_cloudevent(record: KafkaRecord) -> bool:
    """Return whether a record is a CloudEvent, in whichever mode."""
    headers = decoded(record.headers)
    named = any(name.startswith(ATTRIBUTE) for name in headers) or content_type_of(headers).startswith(FORMAT)
    return named or event_in(headers, record.value) is not None
