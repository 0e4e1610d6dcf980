"""The loop of a service whose work is slow and independent: many records in flight, and a slow one holds up nobody.

Each record goes its own way: decode → handle → publish, wait for every acknowledgement → dead letter, wait too. Offsets
are committed up to the lowest one that is not finished, partition by partition.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from aiokafka import TopicPartition

from sprat.errors import Rejected, Retryable, SpratError
from sprat.kafka.offsets import Consumer, OffsetTracker, commit
from sprat.lifecycle import AdmissionControl, Failure
from sprat.processing.checkpoint import Checkpoint, ignore
from sprat.processing.codec import defect, receive
from sprat.processing.failure_budget import FailureBudget
from sprat.processing.handler import Emit, Outcome, Received
from sprat.processing.outbox import Outbox
from sprat.processing.work_item import WorkItem
from sprat.retry import retry_until
from sprat.telemetry.tracing import Tracing, current_traceparent
from sprat_contracts import KafkaRecord, Message

log = logging.getLogger(__name__)


class ConcurrentHandler(Protocol):
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

    def failed(self, received: Received[Any]) -> Outcome:
        """Decline where the handler itself broke on the record."""
        ...

    def oversized(self, received: Received[Any], emit: Emit) -> Outcome:
        """Make the small outcome that replaces one whose event is too large for its topic."""
        ...


@dataclass(slots=True)
class ConcurrentLoop:
    """Handles the records of one consumer, at most `capacity` at a time; a full house stops the reading."""

    handler: ConcurrentHandler
    outbox: Outbox
    consumer: Callable[[], Consumer]
    tracing: Tracing
    gate: AdmissionControl
    failure: Failure
    counts: Counter[str]
    capacity: int = 256
    give_up_s: float = 300.0
    checkpoint: Checkpoint = ignore
    limit: FailureBudget = field(default_factory=FailureBudget)
    _tracker: OffsetTracker = field(default_factory=OffsetTracker)
    _owed: dict[TopicPartition, int] = field(default_factory=dict)
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
            flight = asyncio.create_task(self._fly(WorkItem(record)))
            self._flights.add(flight)
            flight.add_done_callback(self._landed)

    async def let_go(self) -> None:
        """After the drain: commit what is finished, drop the rest; it comes again to whoever has the partition."""
        try:
            await self._commit()
        except Retryable as error:
            log.warning("%s; what was finished comes again", error)
        finally:
            for flight in self._flights:
                flight.cancel()
            self._tracker.clear()
            self._owed.clear()

    def _landed(self, flight: asyncio.Task[None]) -> None:
        self._flights.discard(flight)
        self.gate.leave()
        self._room.set()

    async def _fly(self, item: WorkItem) -> None:
        try:
            await self._handle(item)
            await self._publish(item)
            self.checkpoint("published", 0)
            self._tracker.finish(TopicPartition(item.record.topic, item.record.partition), item.record.offset)
            await retry_until(self._commit, Retryable, self.give_up_s)
            self.checkpoint("committed", 0)
        except Exception as error:  # noqa: BLE001 - the boundary: whatever it is, nothing more may be committed
            self.gate.close(for_good=True)
            self.failure.report(error)

    async def _handle(self, item: WorkItem) -> None:
        record = item.record
        try:
            item.received = received = receive(record, self.handler.message_type(record.topic))
        except Rejected as rejected:
            item.outcome = self.handler.malformed(rejected)
            return
        item.span = self.tracing.process(received.envelope, record.topic, record.partition, record.offset)
        current_traceparent.set(item.span.traceparent)
        self.checkpoint("decoded", 1)

        async def decide() -> None:
            try:
                item.outcome = await self.handler.handle(received)
            except SpratError:
                raise
            except Exception as error:  # noqa: BLE001 - the boundary: one record must not stop all others for ever
                log.error("a defect in the handler: %s", type(error).__name__, extra=item.about())  # noqa: TRY400
                item.outcome = replace(self.handler.failed(received), rejected=defect(error))

        await retry_until(decide, Retryable, self.give_up_s)
        self.checkpoint("inferred", 0)

    async def _publish(self, item: WorkItem) -> None:
        outcome = item.decided()
        self.limit.record(own_fault=outcome.rejected is not None and outcome.rejected.own_fault)
        await retry_until(lambda: self.outbox.publish([item], self.handler.oversized), Retryable, self.give_up_s)
        self.counts["records"] += 1
        self.counts["dead_letters"] += outcome.rejected is not None
        if outcome.rejected is not None:
            log.info("dead letter: %s", outcome.rejected.code, extra=item.about())
        item.finish()

    async def _commit(self) -> None:
        """Commit what may be committed; while one commit is under way, the next waits and takes all with it.

        Raises:
            Retryable: it failed; what is owed goes with the next one.
        """
        async with self._committing:
            self._owed |= self._tracker.committable()
            if self._owed:
                await commit(self.consumer(), self._owed)
                self._owed.clear()
