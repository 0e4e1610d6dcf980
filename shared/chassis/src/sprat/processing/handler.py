"""What goes into a handler and what comes out: plain data, no Kafka and no Redis."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from sprat.errors import Rejected
from sprat.model import Answer, Question
from sprat_contracts import Envelope, Message, Origin

M_co = TypeVar("M_co", bound=Message, covariant=True)


@dataclass(frozen=True, slots=True)
class Received(Generic[M_co]):
    """A decoded record with its place in Kafka."""

    message: M_co
    envelope: Envelope
    topic: str
    partition: int
    offset: int
    appended_at: int
    """Epoch milliseconds, the broker's clock."""
    key: bytes | None


@dataclass(frozen=True, slots=True)
class Emit:
    """A message to publish. The loop adds time, source and trace, encodes, sends, and waits for the acknowledgement."""

    topic: str
    key: bytes
    id: str
    message: Message
    extensions: Mapping[str, str] = field(default_factory=dict)
    """CloudEvents extensions, written as `ce_` headers: tenant, status."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that one record causes. An empty one with a reason in `skipped` is a record that is somebody else's."""

    events: tuple[Emit, ...] = ()
    rejected: Rejected | None = None
    """The record becomes a dead letter, beside the events."""
    skipped: str | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """A question for the model. `cache_key` holds everything that the answer depends on; it is hashed before use."""

    question: Question
    task: str
    cache_key: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answered:
    """The model's answer to an Ask."""

    answer: Answer
    cached: bool
    timings_ms: Mapping[str, float]


class Handler(Protocol):
    """One service's decisions. Pure: no clock, no I/O; the same input gives the same outcome."""

    def message_type(self, topic: str) -> type[Message]:
        """Give the message that a topic of this service holds."""
        ...

    def receive(self, received: Received[Any]) -> Outcome | Ask:
        """Decide on a record at once, or ask the model first."""
        ...

    def malformed(self, rejected: Rejected) -> Outcome:
        """Decide on a record that cannot be decoded: the judge of a topic rejects it, others skip it."""
        ...

    def answered(self, received: Received[Any], ask: Ask, answered: Answered) -> Outcome:
        """Make the outcome of the model's answer."""
        ...

    def failed(self, received: Received[Any], ask: Ask) -> Outcome:
        """Make the outcome where the model broke on this one text."""
        ...

    def oversized(self, received: Received[Any], emit: Emit) -> Outcome:
        """Make the outcome that replaces one whose event `emit` is too large for its topic; it must be small."""
        ...


# Where a text stands, as every message derived from it says, and the key that all of them carry.


def origin_of(received: Received[Message]) -> Origin:
    """Make the origin of a text that was just read."""
    return Origin(
        partition=received.partition,
        offset=received.offset,
        appended_at=received.appended_at,
        key=None if received.key is None else base64.b64encode(received.key).decode(),
    )


def record_key(origin: Origin, text_id: str) -> bytes:
    """Give the upstream's key; the text's id where it gave none, or where a foreign producer wrote no base64."""
    if origin.key is not None:
        try:
            return base64.b64decode(origin.key, validate=True)
        except ValueError:
            return text_id.encode()
    return text_id.encode()
