"""The loop of a service that handles batches. The order of its steps is the promise that nothing is lost.

decode → cache → model → publish, wait for every acknowledgement → dead letters, wait too → commit exactly these.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field

from sprat.errors import Fatal, Rejected, Retryable, SpratError
from sprat.kafka.offsets import Consumer, commit, next_offsets, seek_back
from sprat.lifecycle import AdmissionControl, Failure
from sprat.processing.cached_inference import CachedInference
from sprat.processing.checkpoint import Checkpoint, ignore
from sprat.processing.codec import defect, receive
from sprat.processing.failure_budget import FailureBudget
from sprat.processing.handler import Handler, Outcome
from sprat.processing.outbox import Outbox
from sprat.processing.work_item import RetryBuffer, WorkItem
from sprat.retry import Backoff
from sprat.telemetry.tracing import Tracing
from sprat_contracts import KafkaRecord

log = logging.getLogger(__name__)

BATCH_TOKENS = 8_000
"""Bound of one part of a batch, so that it ends well within `max.poll.interval.ms` and the drain."""


@dataclass(slots=True)
class BatchLoop:
    """Handles batches for one consumer, one at a time."""

    handler: Handler
    outbox: Outbox
    consumer: Callable[[], Consumer]
    tracing: Tracing
    gate: AdmissionControl
    failure: Failure
    counts: Counter[str]
    answering: CachedInference | None = None
    """None for a service without a model."""
    refresh: Callable[[], Awaitable[None]] | None = None
    """Brings what the handler knows of others up to date, before each batch."""
    owns: Callable[[KafkaRecord], bool] | None = None
    """Tells what is still this service's; the rest is passed over and not committed. None: all is."""
    checkpoint: Checkpoint = ignore
    limit: FailureBudget = field(default_factory=FailureBudget)
    give_up_s: float = 300.0
    _held: RetryBuffer = field(default_factory=RetryBuffer)
    _failing_since: float | None = None
    _backoff: Backoff = field(default_factory=Backoff)

    async def handle(self, records: Sequence[KafkaRecord]) -> None:
        """Handle a batch.

        Never raises: FastStream would swallow it, and the position has moved on already. What fails is sought
        back and comes again; what cannot go on closes the gate and reports the failure.
        """
        if not self.gate.enter():
            return
        try:
            await self._handle(records)
        except Exception as error:  # noqa: BLE001 - the boundary: whatever it is, nothing more may be committed
            self.gate.close(for_good=True)
            self.failure.report(error)
        finally:
            self.gate.leave()

    async def _handle(self, records: Sequence[KafkaRecord]) -> None:
        items: list[WorkItem] = []
        done = 0
        try:
            if self.refresh is not None:
                await self.refresh()
            records = self._own(records)
            items.extend(self._decode(record) for record in records)
            self.checkpoint("decoded", len(items))
            for part in self._parts(items):
                if not self.gate.is_open:
                    return
                await self._run(part)
                done += len(part)
                self._got_through()
            if not self._held.items:  # also where there was nothing to do: all was passed over
                self._got_through()
        except Retryable as error:
            await self._hold(error, items[done:], records[done:])

    async def let_go(self) -> None:
        """Forget what is held: the partitions have moved on, and their records come again to whoever has them."""
        self._held.forget()
        self._failing_since = None

    def _own(self, records: Sequence[KafkaRecord]) -> Sequence[KafkaRecord]:
        """Give the records that are still this service's; of the others, nothing stays held."""
        if self.owns is None:
            return records
        own = []
        for record in records:
            if self.owns(record):
                own.append(record)
            elif (held := self._held.take(record)) is not None:
                held.finish()
        return own

    def _got_through(self) -> None:
        self._failing_since = None
        self._backoff.reset()

    async def _run(self, items: Sequence[WorkItem]) -> None:
        if self.answering is not None:
            await self.answering.answer(items, self.handler)
        self.checkpoint("inferred", 0)
        for item in items:
            if item.pending is None:  # not one that is held from a failed attempt, and was counted then
                rejected = item.decided().rejected
                self.limit.record(own_fault=rejected is not None and rejected.own_fault)
        await self.outbox.publish(items, self.handler.oversized)
        self.checkpoint("published", 0)
        await commit(self.consumer(), next_offsets(item.record for item in items))
        self.checkpoint("committed", 0)
        for item in items:
            self._count(item)
            item.finish()

    def _decode(self, record: KafkaRecord) -> WorkItem:
        """Decode a record by itself: a bad one never stops its neighbours.

        One that is held from a failed attempt is taken up where it was, so that a retry never runs the model
        again.
        """
        held = self._held.take(record)
        if held is not None:
            return held
        item = WorkItem(record)
        try:
            item.received = received = receive(record, self.handler.message_type(record.topic))
        except Rejected as rejected:
            item.outcome = self.handler.malformed(rejected)
            return item
        item.span = self.tracing.process(received.envelope, record.topic, record.partition, record.offset)
        try:
            step = self.handler.receive(received)
        except SpratError:
            raise
        except Exception as error:  # noqa: BLE001 - the boundary: one record must not stop all others for ever
            item.outcome = Outcome(rejected=defect(error))
            return item
        if isinstance(step, Outcome):
            item.outcome = step
        elif self.answering is None:
            raise Fatal("the handler asks a model, but the service has none")
        else:
            self.answering.prepare(item, step)
        return item

    @staticmethod
    def _parts(items: Sequence[WorkItem]) -> Iterator[list[WorkItem]]:
        """Cut a batch into parts of at most BATCH_TOKENS, in order."""
        part: list[WorkItem] = []
        tokens = 0
        for item in items:
            if part and tokens + item.tokens > BATCH_TOKENS:
                yield part
                part, tokens = [], 0
            part.append(item)
            tokens += item.tokens
        if part:
            yield part

    async def _hold(self, error: Retryable, items: list[WorkItem], records: Sequence[KafkaRecord]) -> None:
        """Keep what was decided, go back to the first record that is not done, and wait before it is read again.

        Raises:
            Fatal: nothing got through for `give_up_s`.
        """
        now = time.monotonic()
        self._failing_since = self._failing_since or now
        if now - self._failing_since > self.give_up_s:
            raise Fatal(f"nothing got through for {self.give_up_s:.0f} s, last: {error}") from None
        self._held.keep(items)
        seek_back(self.consumer(), records)
        pause = self._backoff.next()
        log.warning("%s; %d records held, again in %.1f s", error, len(records), pause)
        await asyncio.sleep(pause)

    def _count(self, item: WorkItem) -> None:
        outcome = item.decided()
        self.counts["records"] += 1
        if outcome.skipped is not None:
            self.counts[f"skipped_{outcome.skipped}"] += 1
        if outcome.rejected is not None:
            self.counts["dead_letters"] += 1
            log.info(
                "dead letter: %s",
                outcome.rejected.code,
                extra=item.about(),
            )
