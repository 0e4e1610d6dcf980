"""From outcomes to acknowledged records: events first, then dead letters; both before any commit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sprat.delivery.codec import dead_letter, event_record
from sprat.delivery.faults import KillSwitch
from sprat.delivery.item import Item
from sprat.delivery.outcomes import Emit, Outcome, Received
from sprat.delivery.publisher import NotAcknowledged, OutRecord, Publisher, TooLarge
from sprat.errors import Fatal
from sprat_contracts import Topics

Shrink = Callable[[Received[Any], Emit], Outcome]
"""Makes the small outcome that replaces one whose event is too large for its topic: a handler's `oversized`."""


@dataclass(slots=True)
class Outbox:
    """Publishes what items cause, under the service's name."""

    service: str
    version: str
    topics: Topics
    publisher: Publisher
    kill: KillSwitch
    _limits: dict[str, int] = field(init=False)
    _source: str = field(init=False)

    def __post_init__(self) -> None:
        """Look the limits up once."""
        self._limits = {topic.name: topic.max_record_bytes for topic in self.topics.table()}
        self._source = f"/{self.topics.prefix}/{self.service}"

    async def publish(self, items: Sequence[Item], shrink: Shrink) -> None:
        """Publish every event and wait for all acknowledgements, then every dead letter.

        What is acknowledged is not sent again by a later attempt.

        Raises:
            NotAcknowledged: some are not acknowledged; the items know which.
            Fatal: not allowed to write, or a dead letter does not fit its topic.
        """
        for item in items:
            if item.pending is None:
                item.pending = self._encode(item, shrink)
        letters = self.topics.dead_letters
        events = [(item, record) for item in items for record in item.pending or () if record.topic != letters]
        if self.kill.armed("publishing") and events:
            await self._send(events[: (len(events) + 1) // 2])
            self.kill.passing("publishing")
        await self._send(events)
        await self._send([(item, record) for item in items for record in item.pending or () if record.topic == letters])

    def _encode(self, item: Item, shrink: Shrink) -> list[OutRecord]:
        """Encode an outcome. One with an event too large for its topic is replaced by the handler's smaller one."""
        outcome = item.decided()
        for emit in outcome.events:
            record = self._event(item, emit)
            if record.size > self._limits[emit.topic]:
                outcome = self._shrunk(item, emit, shrink)
                break
        records = [self._event(item, emit) for emit in outcome.events]
        if outcome.rejected is not None:
            records.append(
                dead_letter(item.record, outcome.rejected, self.topics.dead_letters, self.service, self.version)
            )
        return records

    @staticmethod
    def _shrunk(item: Item, emit: Emit, shrink: Shrink) -> Outcome:
        if item.received is None:
            raise Fatal("a record that was not decoded emits an event")
        item.outcome = shrink(item.received, emit)
        return item.outcome

    def _event(self, item: Item, emit: Emit) -> OutRecord:
        if item.received is None or item.span is None:
            raise Fatal("a record that was not decoded emits an event")
        return event_record(emit, item.received.envelope, item.span.traceparent, self._source)

    async def _send(self, pairs: Sequence[tuple[Item, OutRecord]]) -> None:
        if not pairs:
            return
        try:
            await self.publisher.publish([record for _, record in pairs])
        except NotAcknowledged as error:
            _settle(pairs, frozenset(error.places))
            raise
        except TooLarge as error:
            raise Fatal(
                f"topic {pairs[error.places[0]][1].topic} takes smaller records than `sprat topics create` gives it; "
                "`sprat topics list` shows the difference"
            ) from None
        _settle(pairs, frozenset())


def _settle(pairs: Sequence[tuple[Item, OutRecord]], lost: frozenset[int]) -> None:
    """Strike out what is acknowledged."""
    for place, (item, record) in enumerate(pairs):
        if place not in lost and item.pending is not None:
            item.pending.remove(record)
