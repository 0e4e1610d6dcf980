"""The loop of a service that handles batches. The order of its steps is the promise that nothing is lost.

decode → cache → model → publish, wait for all acknowledgements → dead letters, wait for these too → commit exactly the
offsets of these records.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field

from sprat.errors import Fatal, Retryable, SpratError
from sprat.kafka.offsets import commit, next_offsets, seek_back
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


@dataclass(slots=True)
class BatchLoop:
    """Handles the batches of one consumer, one at a time."""

    context: LoopContext
    handler: Handler | ModelHandler
    cached_inference: CachedInference | None = None
    """None for a service without a model."""
    refresh: Callable[[], Awaitable[None]] | None = None
    """Updates what the handler knows of other services, before each batch."""
    owns: Callable[[KafkaRecord], bool] | None = None
    """Which records are still this service's; others are neither handled nor committed. None: all are."""
    _held: RetryBuffer = field(default_factory=RetryBuffer)
    _failing_since: float | None = None
    _backoff: Backoff = field(default_factory=Backoff)

    async def handle(self, records: Sequence[KafkaRecord]) -> None:
        """Handle a batch.

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
            self.context.admission.leave()

    async def release(self) -> None:
        """Forget the work of a failed attempt, after a drain: the partitions' next owner reads the records again."""
        self._held.clear()
        self._failing_since = None
        signals.HELD.set(0)

    async def _handle(self, records: Sequence[KafkaRecord]) -> None:
        items: list[WorkItem] = []
        done = 0
        polled_s = time.perf_counter()
        signals.IN_PROGRESS.set(len(records))
        try:
            if self.refresh is not None:
                await self.refresh()
            records = self._owned(records)
            items.extend(self._decode(record, polled_s) for record in records)
            self.context.checkpoint("decoded", len(items))
            with self.context.traced(items, polled_s):
                for part in self._parts(items):
                    if not self.context.admission.is_open:
                        return
                    await self._run(part)
                    done += len(part)
                    self._succeeded()
            if not self._held.items:  # also where nothing was to be done because all records were skipped
                self._succeeded()
        except Retryable as error:
            await self._hold(error, items[done:], records[done:])
        finally:
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

    async def _run(self, items: Sequence[WorkItem]) -> None:
        context = self.context
        if self.cached_inference is not None:
            await self.cached_inference.answer(items)
        context.checkpoint("inferred", 0)
        for item in items:
            if item.pending is None:  # an item that is held from a failed attempt was counted then
                context.spend_budget(item)
        await context.outbox.publish(items, self.handler.oversized)
        context.checkpoint("published", 0)
        await commit(context.consumer(), next_offsets(item.record for item in items))
        context.checkpoint("committed", 0)
        context.finish(items)

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

    async def _hold(self, error: Retryable, items: list[WorkItem], records: Sequence[KafkaRecord]) -> None:
        """Keep what was decided, seek back to the first record that is not done, and wait before it is read again.

        Raises:
            Fatal: nothing succeeded for `give_up_s`.
        """
        now = self.context.clock()
        self._failing_since = self._failing_since or now
        if now - self._failing_since > self.context.give_up_s:
            raise Fatal(f"no success for {self.context.give_up_s:.0f} s; last failure: {error}") from None
        self._held.keep(items)
        seek_back(self.context.consumer(), records)
        pause = self._backoff.next()
        signals.HELD.set(len(records))
        count_retry(error)
        log.warning("%s; %d records held, retrying in %.1f s", error, len(records), pause)
        await self.context.sleep(pause)
