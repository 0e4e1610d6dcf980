"""What goes into a service's handler and what it returns: plain data, no Kafka and no Redis.

* `Handler`: decides on each record at once (router).
* `ModelHandler`: may ask a model first (specialists).
* `ConcurrentHandler`: takes its time for a decision (frontier).
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from sprat.base.errors import Rejected
from sprat.base.model import Answer, Question
from sprat_contracts import Envelope, Message, Origin, TextWarning

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
    warnings: tuple[TextWarning, ...] = ()
    """Of a text: what was not understood."""


@dataclass(frozen=True, slots=True)
class Emit:
    """A message to publish.

    The loop adds time, source and trace, encodes and sends it, and waits for the acknowledgement.
    """

    topic: str
    key: bytes
    id: str
    message: Message
    extensions: Mapping[str, str] = field(default_factory=dict)
    """CloudEvents extensions, written as `ce_` headers: tenant, status."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything that one record causes."""

    events: tuple[Emit, ...] = ()
    rejected: Rejected | None = None
    """The record becomes a dead letter, in addition to the events."""
    skipped: str | None = None
    """Why the record causes nothing: it is another service's."""
    judged: bool = False
    """Whether the record is a text that this service has judged for all others: it is counted, and its trace gets its
    root."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A question for the model. `cache_key` holds all that the answer depends on besides tenant and text."""

    question: Question
    task: str
    tenant: str
    cache_key: tuple[str, ...]
    """Hashed before use, as tenant and text are."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The model's answer to an `Ask`."""

    answer: Answer
    cached: bool
    timings_ms: Mapping[str, float]
    """Stage → milliseconds."""


class RecordHandler(Protocol):
    """What every handler decides."""

    def message_type(self, topic: str) -> type[Message]:
        """Return the message that a topic of this service holds."""
        ...

    def malformed(self, rejected: Rejected, topic: str) -> Outcome:
        """Decide on a record that cannot be decoded: one service of its topic rejects it, the others skip it."""
        ...

    def oversized(self, received: Received[Any], emit: Emit) -> Outcome:
        """Return the outcome that replaces one whose event `emit` is too large for its topic; it must be small."""
        ...


class Handler(RecordHandler, Protocol):
    """One service's decisions. Pure: no clock, no I/O; the same input gives the same outcome."""

    def receive(self, received: Received[Any]) -> Outcome:
        """Decide on a record."""
        ...


class ModelHandler(RecordHandler, Protocol):
    """The decisions of a service with a model. Pure, as a `Handler` is."""

    def receive(self, received: Received[Any]) -> Outcome | Ask:
        """Decide on a record, or ask the model first."""
        ...

    def answered(self, received: Received[Any], ask: Ask, answered: Answered) -> Outcome:
        """Return the outcome of the model's answer."""
        ...

    def failed(self, received: Received[Any], ask: Ask) -> Outcome:
        """Return the outcome where the model failed on this one text."""
        ...


class ConcurrentHandler(RecordHandler, Protocol):
    """The decisions of a service that waits for something else while it decides."""

    def skip_reason(self, received: Received[Any]) -> str | None:
        """Return why the record is another service's, at once; None where it is this one's."""
        ...

    async def handle(self, received: Received[Any]) -> Outcome:
        """Answer or decline, always; may wait as long as the record's own deadline allows."""
        ...

    def failed(self, received: Received[Any]) -> Outcome:
        """Decline where `handle` raised an unexpected error."""
        ...


def origin_of(received: Received[Message]) -> Origin:
    """Return where a text is on its topic, as every message derived from it says."""
    return Origin(
        partition=received.partition,
        offset=received.offset,
        appended_at=received.appended_at,
        key=None if received.key is None else base64.b64encode(received.key).decode(),
    )


def record_key(origin: Origin, text_id: str) -> bytes:
    """Return the key of every message derived from a text: the upstream's key.

    It is the text's id where the upstream gave none, or where another producer wrote one that is not base64.
    """
    if origin.key is not None:
        try:
            return base64.b64decode(origin.key, validate=True)
        except ValueError:
            return text_id.encode()
    return text_id.encode()
