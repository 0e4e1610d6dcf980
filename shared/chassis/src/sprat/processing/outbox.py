"""From outcomes to acknowledged records: events first, then dead letters, both before any commit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sprat.base.errors import Fatal, Rejected
from sprat.kafka.publisher import NotAcknowledged, Publisher, TooLarge
from sprat.kafka.signatures import Signatures
from sprat.processing.handler import Emit, Outcome, Received
from sprat.processing.measure import count_sent, span_attributes
from sprat.processing.records import PendingRecord, WorkItem, dead_letter, event_record
from sprat.telemetry import signals
from sprat.telemetry.spans import INVISIBLE, DeclaredSpan
from sprat_contracts import Topics

Shrink = Callable[[Received[Any], Emit], Outcome]
"""Returns the small outcome that replaces one whose event is too large for its topic: a handler's `oversized`."""


@dataclass(slots=True)
class Outbox:
    """Publishes what work items cause, in the service's name."""

    service: str
    version: str
    topics: Topics
    publisher: Publisher
    signatures: Signatures
    _limits: dict[str, int] = field(init=False)
    _source: str = field(init=False)

    def __post_init__(self) -> None:
        """Read the limits of the topics once."""
        self._limits = {topic.name: topic.max_record_bytes for topic in self.topics.table()}
        self._source = f"/{self.topics.prefix}/{self.service}"

    async def publish(self, items: Sequence[WorkItem], shrink: Shrink) -> None:
        """Publish every event and wait for all acknowledgements, then every dead letter.

        A later attempt does not send again what is acknowledged.

        Raises:
            NotAcknowledged: some are not acknowledged; `pending` of the items holds them.
            Fatal: Kafka does not let this service write, or a dead letter does not fit its topic.
        """
        for item in items:
            if item.pending is None:
                item.pending = self._encode(item, shrink)
        pairs = [(item, each) for item in items for each in item.pending or ()]
        events = [pair for pair in pairs if pair[1].message is not None]
        letters = [pair for pair in pairs if pair[1].message is None]
        await self._send(events)
        await self._send(letters)

    def _encode(self, item: WorkItem, shrink: Shrink) -> list[PendingRecord]:
        """Encode an outcome; the handler's smaller one replaces one with an event too large for its topic."""
        events, large = self._events(item, item.decided())
        if large is not None and item.received is not None:
            item.outcome = shrink(item.received, large)
            events, large = self._events(item, item.outcome)
            if large is not None:  # the text itself does not fit: only its dead letter remains
                events = []
        rejected = item.decided().rejected
        return events if rejected is None else [*events, self._letter(item, rejected)]

    def _events(self, item: WorkItem, outcome: Outcome) -> tuple[list[PendingRecord], Emit | None]:
        """Return the encoded events, and the first of them that is too large for its topic."""
        events = [(emit, self._event(item, emit)) for emit in outcome.events]
        large = next((emit for emit, event in events if event.record.size > self._limits[emit.topic]), None)
        return [event for _, event in events], large

    def _letter(self, item: WorkItem, rejected: Rejected) -> PendingRecord:
        """Return the dead letter, without its value where that does not fit: it may have been compressed."""
        topic = self.topics.dead_letters
        letter = dead_letter(item.record, rejected, topic, self.service, self.version)
        self.signatures.sign_dead_letter(letter)
        if letter.size > self._limits[topic]:
            without_value = Rejected(rejected.code, f"{rejected.detail}; the value is too large to be kept")
            letter = dead_letter(item.record, without_value, topic, self.service, self.version)
            letter.value = b""
            self.signatures.sign_dead_letter(letter)
        return PendingRecord(letter, _sending(item, topic))

    def _event(self, item: WorkItem, emit: Emit) -> PendingRecord:
        if item.received is None or item.span is None:
            raise Fatal("a record that was not decoded emits an event")
        if item.span.recorded:
            item.span.set(**span_attributes(emit.message, self.topics.tasks))
        span = _sending(item, emit.topic)
        record = event_record(emit, item.received.envelope, span.traceparent, self._source)
        return PendingRecord(self.signatures.sign(record) if emit.message.signed else record, span, emit.message)

    async def _send(self, pairs: Sequence[tuple[WorkItem, PendingRecord]]) -> None:
        if not pairs:
            return
        try:
            await self.publisher.publish([each.record for _, each in pairs])
        except NotAcknowledged as error:
            _settle(pairs, frozenset((*error.places, *error.too_large)))  # what is too large is fatal the next time
            raise
        except TooLarge as error:
            topic = pairs[error.places[0]][1].record.topic
            raise Fatal(
                f"topic {topic} takes smaller records than `sprat topics create` gives it; "
                "`sprat topics list` shows the difference"
            ) from None
        _settle(pairs, frozenset())


def _settle(pairs: Sequence[tuple[WorkItem, PendingRecord]], unacknowledged: frozenset[int]) -> None:
    """Remove what is acknowledged from the items' pending records, count it, and end its span."""
    for place, (item, each) in enumerate(pairs):
        if item.pending is None or place in unacknowledged:
            continue
        item.pending.remove(each)
        acknowledged = each.record.acknowledged
        each.span.end()
        if each.message is not None:
            appended_ms = None if acknowledged is None else acknowledged.timestamp_ms
            count_sent(each.message, appended_ms, each.span.link)


def _sending(item: WorkItem, topic: str) -> DeclaredSpan:
    """Begin the span of a record that an item causes; the record carries its `traceparent`."""
    above = INVISIBLE if item.span is None else item.span
    return above.child(signals.SEND, topic, operation="send", operation_type="send", destination=topic)
