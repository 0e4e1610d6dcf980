"""The loop of a service whose work is slow and independent: many records in flight, and a slow one holds up nobody.

Each record goes its own way: decode → handle → publish, wait for every acknowledgement → dead letter, wait too. Offsets
are committed up to the lowest one that is not finished, partition by partition.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from aiokafka import TopicPartition

from sprat.deadline import Deadline
from sprat.delivery.backoff import Backoff
from sprat.delivery.codec import receive
from sprat.delivery.failure import Failure
from sprat.delivery.faults import FaultLimit, KillSwitch
from sprat.delivery.gate import Gate
from sprat.delivery.item import Item
from sprat.delivery.offsets import Consumer, commit
from sprat.delivery.outbox import Outbox
from sprat.delivery.outcomes import Emit, Outcome, Received
from sprat.delivery.tracker import OffsetTracker
from sprat.errors import Fatal, Rejected, Retryable
from sprat.telemetry.tracing import Tracing, current_traceparent
from sprat_contracts import KafkaRecord, Message

log = logging.getLogger(__name__)


class FlightHandler(Protocol):
    """One service's decisions, where a decision takes its time."""

    def message_type(self, topic: str) -> type[Message]:
        """Give the message that a topic of this service holds."""
        ...

    async def handle(self, received: Received[Any]) -> Outcome:
        """Answer or decline, always; may wait as long as the record's own deadline allows."""
        ...

    def malformed(self, rejected: Rejected) -> Outcome:
        """Decide on a record that cannot be decoded."""
        ...

    def oversized(self, received: Received[Any], emit: Emit) -> Outcome:
        """Make the small outcome that replaces one whose event is too large for its topic."""
        ...


@dataclass(slots=True)
class FlightLoop:
    """Handles the records of one consumer, at most `capacity` at a time; a full house stops the reading."""

    handler: FlightHandler
    outbox: Outbox
    consumer: Callable[[], Consumer]
    tracing: Tracing
    gate: Gate
    failure: Failure
    kill: KillSwitch
    counts: Counter[str]
    capacity: int = 256
    give_up_s: float = 300.0
    limit: FaultLimit = field(default_factory=FaultLimit)
    _tracker: OffsetTracker = field(default_factory=OffsetTracker)
    _flights: set[asyncio.Task[None]] = field(default_factory=set)
    _room: asyncio.Event = field(default_factory=asyncio.Event)
    _committing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def handle(self, records: Sequence[KafkaRecord]) -> None:
        """Admit a batch; returns when the last of it is in flight. Never raises, as in the batch loop."""
        for record in records:
            while len(self._flights) >= self.capacity:
                self._room.clear()
                await self._room.wait()
            if not self.gate.enter():
                return
            self._tracker.start(TopicPartition(record.topic, record.partition), record.offset)
            flight = asyncio.create_task(self._fly(Item(record)))
            self._flights.add(flight)
            flight.add_done_callback(self._landed)

    async def let_go(self) -> None:
        """After the drain: commit what is finished, drop the rest; it comes again to whoever has the partition."""
        await self._commit()
        for flight in self._flights:
            flight.cancel()
        self._tracker.clear()

    def _landed(self, flight: asyncio.Task[None]) -> None:
        self._flights.discard(flight)
        self.gate.leave()
        self._room.set()

    async def _fly(self, item: Item) -> None:
        try:
            await self._handle(item)
            await self._publish(item)
            self.kill.passing("published")
            self._tracker.finish(TopicPartition(item.record.topic, item.record.partition), item.record.offset)
            await self._commit()
            self.kill.passing("committed")
        except Exception as error:  # noqa: BLE001 - the boundary: whatever it is, nothing more may be committed
            self.gate.close(for_good=True)
            self.failure.report(error)

    async def _handle(self, item: Item) -> None:
        record = item.record
        try:
            item.received = received = receive(record, self.handler.message_type(record.topic))
        except Rejected as rejected:
            item.outcome = self.handler.malformed(rejected)
            return
        item.span = self.tracing.process(received.envelope, record.topic, record.partition, record.offset)
        current_traceparent.set(item.span.traceparent)
        self.kill.passing("decoded", 1)

        async def decide() -> None:
            item.outcome = await self.handler.handle(received)

        await self._patiently(decide)
        self.kill.passing("inferred")

    async def _publish(self, item: Item) -> None:
        outcome = item.decided()
        self.limit.record(own_fault=outcome.rejected is not None and outcome.rejected.own_fault)
        await self._patiently(lambda: self.outbox.publish([item], self.handler.oversized))
        self.counts["records"] += 1
        self.counts["dead_letters"] += outcome.rejected is not None
        item.finish()

    async def _patiently(self, step: Callable[[], Awaitable[None]]) -> None:
        """Try a step until it succeeds.

        Raises:
            Fatal: it did not for `give_up_s`; the process exits, and the record comes again.
        """
        deadline, backoff = Deadline(self.give_up_s), Backoff()
        while True:
            try:
                await step()
            except Retryable as error:
                if deadline.passed:
                    raise Fatal(f"nothing got through for {self.give_up_s:.0f} s, last: {error}") from None
                await asyncio.sleep(backoff.next())
            else:
                return

    async def _commit(self) -> None:
        """Commit what may be committed; while one commit is under way, the next waits and takes all with it."""
        async with self._committing:
            offsets = self._tracker.committable()
            if not offsets:
                return
            try:
                await commit(self.consumer(), offsets)
            except Retryable as error:
                # Later commits carry higher offsets of the same partitions; until then the records may come again.
                log.warning("%s", error)
