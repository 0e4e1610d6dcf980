"""The loop of a service that handles batches. The order of its steps is the promise that nothing is lost.

decode → cache → model → publish, wait for all acknowledgements → dead letters, wait for these too → commit exactly the
offsets of these records.

While one part of the records is published and committed, the next one may be with the model; two are in progress at
most. Parts are published and committed in order: one that fails stops those behind it, which are read again with it.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from sprat.errors import Fatal, Retryable, SpratError
from sprat.kafka.offsets import commit, next_offsets, seek_back
from sprat.model import Answer
from sprat.processing.cached_inference import CachedInference
from sprat.processing.handler import Handler, ModelHandler, Outcome
from sprat.processing.loop import LoopContext, count_retry
from sprat.processing.records import RetryBuffer, WorkItem, defect
from sprat.retry import Backoff
from sprat.telemetry import signals
from sprat.telemetry.spans import current_traceparent
from sprat_contracts import KafkaRecord

log = logging.getLogger(__name__)

BATCH_TOKENS = 8_000
"""Upper bound of one part of a batch, so that it ends well within `max.poll.interval.ms` and the drain."""
COMMIT_EVERY_S = 0.1
"""How long the commit of acknowledged records may wait for that of the next ones, while there are any. A process that
is killed answers the records of this time again, under the same ids."""

Poll = Callable[[], Awaitable[Sequence[KafkaRecord]]]
"""Waits for records and returns them; cancelling it loses none."""


async def _no_more() -> Sequence[KafkaRecord]:
    return ()


@dataclass(slots=True)
class BatchLoop:
    """Handles the batches of one consumer, in order."""

    context: LoopContext
    handler: Handler | ModelHandler
    cached_inference: CachedInference | None = None
    """None for a service without a model."""
    refresh: Callable[[], Awaitable[None]] | None = None
    """Updates what the handler knows of other services, before each batch."""
    owns: Callable[[KafkaRecord], bool] | None = None
    """Which records are still this service's; others are neither handled nor committed. None: all are."""
    poll: Poll = _no_more
    """Returns the records to handle while those before are published."""
    _held: RetryBuffer = field(default_factory=RetryBuffer)
    _failing_since: float | None = None
    _backoff: Backoff = field(default_factory=Backoff)
    _undecoded: Sequence[KafkaRecord] = ()
    """Records that were polled and are not decoded yet."""
    _decoded: list[WorkItem] = field(default_factory=list)
    """Items that are not committed yet, in order."""
    _acknowledged: int = 0
    """How many of these, from the first on, are acknowledged."""
    _publishing: "asyncio.Task[None] | None" = None
    """Publishes one part, and commits what is acknowledged when that is due."""
    _more: bool = False
    """Whether other records are in progress behind the part that is published: its commit may wait for theirs."""
    _committed_at: float = 0.0

    async def handle(self, records: Sequence[KafkaRecord]) -> None:
        """Handle a batch, and those that come before all of it is committed.

        Never raises, because FastStream would swallow the error, and the position has already moved on. After a
        retryable error the loop seeks back and the records are read again; any other error stops the service.
        """
        if not self.context.admission.enter():
            return
        try:
            await self._handle(records)
        except Exception as error:  # noqa: BLE001 - the boundary: whatever it is, nothing more may be committed
            self.context.stop(error)
        finally:
            await self._forget_progress()
            self.context.admission.leave()

    async def release(self) -> None:
        """Forget the work of a failed attempt, after a drain: the partitions' next owner reads the records again."""
        self._held.clear()
        self._failing_since = None
        signals.HELD.set(0)

    async def _handle(self, records: Sequence[KafkaRecord]) -> None:
        self._undecoded = records
        try:
            while self._undecoded and self.context.admission.is_open:
                self.context.admission.advance()
                await self._begin_batch()
                self._undecoded = await self._next_records()
            await self._published()
            await self._commit()
            if not self._held.items:  # also where nothing was to be done because all records were skipped
                self._succeeded()
        except Retryable as error:
            await self._commit_acknowledged()
            await self._hold(error)

    async def _begin_batch(self) -> None:
        """Decode the polled records and begin their parts, one after the other, until admission closes."""
        polled_s = time.perf_counter()
        self._more = True
        signals.IN_PROGRESS.set(len(self._decoded) + len(self._undecoded))
        if self.refresh is not None:
            await self.refresh()
        self._undecoded = self._owned(self._undecoded)
        items: list[WorkItem] = []
        for record in self._undecoded:
            items.append(self._decode(record, polled_s))
            self._decoded.append(items[-1])
        self._undecoded = ()
        self.context.checkpoint("decoded", len(items))
        with self.context.traced(items, polled_s):
            for part in self._parts(items):
                if not self.context.admission.is_open:
                    return
                answers = await self.cached_inference.answer(part) if self.cached_inference is not None else {}
                self.context.checkpoint("inferred", 0)
                await self._published()
                self._publishing = asyncio.create_task(self._publish(part, answers))

    async def _next_records(self) -> Sequence[KafkaRecord]:
        """Return the records that come while a part is published; none if it is committed before any come."""
        publishing = self._publishing
        if publishing is None or not self.context.admission.is_open:
            return ()
        self._more = False
        polling = asyncio.create_task(self._poll())
        try:
            await asyncio.wait({polling, publishing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            polling.cancel()  # without effect where it is done
            await asyncio.wait({polling})
        if polling.cancelled() or polling.exception() is not None:  # whoever polls has reported it
            return ()
        return polling.result()

    async def _poll(self) -> Sequence[KafkaRecord]:
        records = await self.poll()
        self._more = bool(records)
        return records

    async def _published(self) -> None:
        """Wait for the part that is being published.

        Raises:
            Retryable: it is not acknowledged or not committed.
            Fatal: it cannot be published.
        """
        publishing, self._publishing = self._publishing, None
        if publishing is not None:
            await publishing

    async def _publish(self, part: Sequence[WorkItem], answers: Mapping[str, Answer]) -> None:
        """Publish a part, cache the model's answers, and commit unless the next part's commit may include this one's.

        Nobody waits for the cache: it comes after the acknowledgements.
        """
        for item in part:
            if item.pending is None:  # an item that is held from a failed attempt was counted then
                self.context.spend_budget(item)
        await self.context.outbox.publish(part, self.handler.oversized)
        self.context.checkpoint("published", 0)
        self._acknowledged += len(part)
        acknowledged_s = time.perf_counter()
        for item in part:
            item.acknowledged_s = acknowledged_s
        if answers and self.cached_inference is not None:
            await self.cached_inference.store(answers)
        if not self._more or self.context.clock() - self._committed_at >= COMMIT_EVERY_S:
            await self._commit()

    async def _commit(self) -> None:
        """Commit all that is acknowledged."""
        done = self._decoded[: self._acknowledged]
        if not done:
            return
        await commit(self.context.consumer(), next_offsets(item.record for item in done))
        self._committed_at = self.context.clock()
        self.context.checkpoint("committed", 0)
        del self._decoded[: len(done)]
        self._acknowledged -= len(done)
        self.context.finish(done)
        self.context.admission.advance()
        self._succeeded()

    async def _commit_acknowledged(self) -> None:
        """After a failure, commit what precedes it; where that fails, too, it is read again."""
        for step in (self._published, self._commit):
            with suppress(Retryable):
                await step()

    async def _forget_progress(self) -> None:
        """Forget all that is in progress: it is committed, held, or read again by the partitions' next owner."""
        if self._publishing is not None:
            self._publishing.cancel()
            await asyncio.gather(self._publishing, return_exceptions=True)
        self._publishing = None
        self._undecoded = ()
        self._decoded.clear()
        self._acknowledged = 0
        signals.IN_PROGRESS.set(0)

    def _owned(self, records: Sequence[KafkaRecord]) -> Sequence[KafkaRecord]:
        """Return the records that are still this service's; forget held items of the others."""
        if self.owns is None:
            return records
        owned = []
        for record in records:
            if self.owns(record):
                owned.append(record)
            elif (item := self._held.take(record)) is not None:
                item.end_span()
        return owned

    def _succeeded(self) -> None:
        self._failing_since = None
        self._backoff.reset()
        signals.HELD.set(0)

    def _decode(self, record: KafkaRecord, polled_s: float) -> WorkItem:
        """Decode a record, and decide on it where no model is needed.

        An item that is held from a failed attempt continues where it was, so that a retry never runs the model again.
        """
        held = self._held.take(record)
        if held is not None:
            return held
        item = self.context.decode(record, self.handler, polled_s)
        if item.received is None:
            return item
        token = current_traceparent.set(item.received.envelope.traceparent)
        try:
            step = self.handler.receive(item.received)
        except SpratError:
            raise
        except Exception as error:  # noqa: BLE001 - the boundary: one record must not stop all others for ever
            item.outcome = Outcome(rejected=defect(error))
            return item
        finally:
            current_traceparent.reset(token)
        if isinstance(step, Outcome):
            item.outcome = step
        elif self.cached_inference is None:
            raise Fatal("the handler asks a model, but the service has none")
        else:
            self.cached_inference.prepare(item, step)
        return item

    @staticmethod
    def _parts(items: Sequence[WorkItem]) -> Iterator[list[WorkItem]]:
        """Split a batch into parts of at most BATCH_TOKENS, in order."""
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

    async def _hold(self, error: Retryable) -> None:
        """Keep what was decided, seek back to the first record that is not done, and wait before it is read again.

        Raises:
            Fatal: nothing succeeded for `give_up_s`.
        """
        now = self.context.clock()
        self._failing_since = self._failing_since or now
        if now - self._failing_since > self.context.give_up_s:
            raise Fatal(f"no success for {self.context.give_up_s:.0f} s; last failure: {error}") from None
        records = [*(item.record for item in self._decoded), *self._undecoded]
        self._held.keep(self._decoded)
        seek_back(self.context.consumer(), records)
        pause = self._backoff.next()
        signals.HELD.set(len(records))
        count_retry(error)
        log.warning("%s; %d records held, retrying in %.1f s", error, len(records), pause)
        await self.context.sleep(pause)
