"""The steps of the batch loop, each on the items in progress. Their order is the promise that nothing is lost.

begin: decode, and what the model's first stage answers → refresh: what the handler must know of other services, for the
records that need it → look up: what is cached → infer: the model, for the others → publish: wait for all
acknowledgements, then the dead letters, and wait for these too → commit: the offsets of these records → store: cache
the model's answers.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from sprat.base.errors import Fatal, Retryable, SpratError, ends_task
from sprat.base.retry import Backoff
from sprat.kafka.offsets import commit, next_offsets, seek_back
from sprat.processing.batch_choices import committable
from sprat.processing.cached_inference import CachedInference
from sprat.processing.handler import Handler, ModelHandler, Outcome, Received
from sprat.processing.loop import LoopContext, count_retry
from sprat.processing.records import RetryBuffer, WorkItem, defect
from sprat.telemetry import signals
from sprat.telemetry.spans import current_traceparent
from sprat_contracts import KafkaRecord

log = logging.getLogger(__name__)

MOST_RECORDS: Final = 1_000
"""No more records are polled while so many are not committed."""
COMMIT_EVERY_S: Final = 0.1
"""Records that are acknowledged within this time of a commit are committed together. A process that is killed answers
the records of this time again, under the same ids."""
STORE_EVERY_S: Final = 1.0
"""Answers of this time are cached together."""
MANY_ANSWERS: Final = 100
"""As many are cached at once, within the time-out of the cache."""


Need = Literal["none", "soon", "now"]
"""`soon`: nobody waits for what the record causes, so that one run for all such records before a commit is enough."""


@dataclass(frozen=True, slots=True)
class Refresh:
    """How a service without a model updates what its handler knows of others; one with a model has the first two alone.

    `run` is never called while it runs.
    """

    run: Callable[[], Awaitable[None]]
    is_due: Callable[[], bool] = lambda: True
    """Returns whether it runs before the next batch, whatever that holds."""
    precedes: Callable[[Received[Any]], Need] | None = None
    """Returns whether a record is decided on only after a run that began when the record was there; the others do not
    wait for that. None: no record waits. Where there is one, `is_due` is never true."""


@dataclass(slots=True)
class BatchSteps:
    """The items of one consumer that are in progress, and what each step does with them."""

    context: LoopContext
    handler: Handler | ModelHandler
    inference: CachedInference | None = None
    """None for a service without a model."""
    refresh: Refresh | None = None
    """None for a service whose handler knows nothing of others."""
    owns: Callable[[KafkaRecord], bool] | None = None
    """Which records are still this service's; others are neither handled nor committed. None: all are."""
    may_ask: Callable[[KafkaRecord], bool] | None = None
    """Which records may be for this service, by their bytes; others are skipped without being decoded. None: all may
    be."""
    undecoded: Sequence[KafkaRecord] = ()
    """Records that were polled and are not decoded yet."""
    items: list[WorkItem] = field(default_factory=list)
    """What is decoded and not committed yet, in the order in which it was polled."""
    held: RetryBuffer = field(default_factory=RetryBuffer)
    """What was decided in a failed attempt."""
    spans: Context = field(default_factory=Context)
    """The context of the batch that was begun last: the spans of its steps are children of its poll's."""
    _failing_since: float | None = None
    _backoff: Backoff = field(default_factory=Backoff)
    _committed_at: float = float("-inf")
    _stored_at: float = float("-inf")
    _refresh_now: bool = False
    """Whether a record needs a refresh that does not wait for the next commit."""

    def begins_at_once(self) -> bool:
        """Return whether `begin` waits for nothing but this process."""
        is_due = self.refresh is not None and self.refresh.is_due()
        return not is_due and (self.inference is None or self.inference.begins_at_once(len(self.undecoded)))

    async def begin(self) -> None:
        """Decode the polled records, and decide on those that need neither a refresh nor more than the first stage."""
        polled_s = time.perf_counter()
        self._show_progress()
        precedes = self.refresh.precedes if self.refresh is not None else None
        if self.refresh is not None and self.refresh.is_due():
            await self.refresh.run()
            precedes = None
        self.undecoded = self._owned(self.undecoded)
        items: list[WorkItem] = []
        try:
            for record in self.undecoded:
                items.append(self._decode(record, polled_s))  # noqa: PERF401 - those before one that raises are kept
            ready = items if precedes is None else [item for item in items if not self._waits(item, precedes)]
            for item in ready:
                self._decide(item)
            with self.context.traced(ready, polled_s):
                self.spans = copy_context()
                if self.inference is not None:
                    await self.inference.begin(ready)
            self._acknowledge_silent(ready)
        except SpratError:
            self.held.keep(items)
            raise
        self.items += items
        self.undecoded = ()
        self.context.checkpoint("decoded", len(items))

    def is_refresh_due(self) -> bool:
        """Return whether the records that need a refresh may not wait for those that come next."""
        return self._refresh_now or self.is_commit_due()

    async def decide_refreshed(self, refresh: Refresh, part: Sequence[WorkItem]) -> None:
        """Decide on records that need a refresh."""
        self._refresh_now = False
        await refresh.run()
        for item in part:
            self._decide(item)
        with self.context.traced(part, part[0].polled_s):
            self.spans = copy_context()
        self._acknowledge_silent(part)

    async def infer(self, inference: CachedInference, part: Sequence[WorkItem]) -> None:
        """Let the model answer items that were looked up and not found."""
        await inference.finish(part)
        self.context.checkpoint("inferred", 0)

    async def publish(self, part: Sequence[WorkItem]) -> None:
        """Publish what was decided on items, and wait until all of it is acknowledged."""
        for item in part:
            if item.pending is None:  # an item that is held from a failed attempt was counted then
                self.context.spend_budget(item)
        await self.context.outbox.publish(part, self.handler.oversized)
        self.context.checkpoint("published", 0)
        acknowledged_s = time.perf_counter()
        for item in part:
            item.acknowledged_s = acknowledged_s

    def is_commit_due(self) -> bool:
        """Return whether a commit may not wait for what is acknowledged next."""
        waited = self.context.clock() - self._committed_at >= COMMIT_EVERY_S
        return waited or len(self.items) >= MOST_RECORDS or not self.context.admission.is_open

    async def pause(self) -> None:
        """Wait for the next commit."""
        await self.context.sleep(max(0.0, self._committed_at + COMMIT_EVERY_S - self.context.clock()))

    async def commit(self) -> None:
        """Commit all that may be."""
        done = committable(self.items)
        if not done:
            return
        await commit(self.context.consumer(), next_offsets(item.record for item in done))
        self._committed_at = self.context.clock()
        self.context.checkpoint("committed", 0)
        committed = set(map(id, done))
        self.items = [item for item in self.items if id(item) not in committed]
        self._show_progress()
        self.context.finish(done)
        self._succeeded()

    def is_store_due(self, inference: CachedInference, *, is_idle: bool) -> bool:
        """Return whether to cache the model's answers now; few at a time cost ten times as much."""
        count = len(inference.unstored)
        waited = self.context.clock() - self._stored_at >= STORE_EVERY_S
        return count > 0 and (waited or is_idle or count >= MANY_ANSWERS)

    async def store(self, inference: CachedInference) -> None:
        """Cache the model's answers. Nobody waits for it."""
        await inference.store()
        self._stored_at = self.context.clock()

    def end(self) -> None:
        """End a failure, unless something of it is held: all was committed, or nothing was to be done."""
        if not self.held.items:
            self._succeeded()

    async def hold(self, error: Retryable) -> None:
        """Keep what was decided, seek back to the first record that is not done, and wait before it is read again.

        Raises:
            Fatal: nothing succeeded for `give_up_s`.
        """
        now = self.context.clock()
        self._failing_since = self._failing_since or now
        if now - self._failing_since > self.context.give_up_s:
            raise Fatal(f"no success for {self.context.give_up_s:.0f} s; last failure: {error}") from None
        records = [*(item.record for item in self.items), *self.undecoded]
        self.held.keep(self.items)
        seek_back(self.context.consumer(), records)
        pause = self._backoff.next()
        signals.HELD.set(len(records))
        count_retry(error)
        log.warning("%s; %d records held, retrying in %.1f s", error, len(records), pause)
        await self.context.sleep(pause)

    def forget_progress(self) -> None:
        """Forget all that is in progress: it is committed, held, or read again by the partitions' next owner."""
        self.undecoded = ()
        self.items.clear()
        self._refresh_now = False
        self._show_progress()

    def release(self) -> None:
        """Forget the work of a failed attempt: the partitions' next owner reads the records again."""
        self.held.clear()
        self._failing_since = None
        signals.HELD.set(0)

    def _show_progress(self) -> None:
        signals.IN_PROGRESS.set(len(self.items) + len(self.undecoded))

    def _succeeded(self) -> None:
        self._failing_since = None
        self._backoff.reset()
        signals.HELD.set(0)

    def _owned(self, records: Sequence[KafkaRecord]) -> Sequence[KafkaRecord]:
        """Return the records that are still this service's; forget held items of the others."""
        if self.owns is None:
            return records
        owned = []
        for record in records:
            if self.owns(record):
                owned.append(record)
            elif (item := self.held.take(record)) is not None:
                item.end_span()
        return owned

    def _decode(self, record: KafkaRecord, polled_s: float) -> WorkItem:
        """Decode a record.

        An item that is held from a failed attempt continues where it was, so that a retry never runs the model again.
        """
        held = self.held.take(record)
        if held is not None:
            return held
        if self.may_ask is not None and not self.may_ask(record):
            return WorkItem(record, polled_s=polled_s, outcome=Outcome(skipped="not_asked"))
        return self.context.decode(record, self.handler, polled_s)

    def _decide(self, item: WorkItem) -> None:
        """Decide on a decoded record where no model is needed, or record what the model is asked."""
        if item.received is None or item.outcome is not None:
            return
        token = current_traceparent.set(item.received.envelope.traceparent)
        try:
            step = self.handler.receive(item.received)
        except SpratError:
            raise
        except BaseException as error:  # the boundary: one record must not stop all others for ever
            if ends_task(error):
                raise
            item.outcome = Outcome(rejected=defect(error))
            return
        finally:
            current_traceparent.reset(token)
        if isinstance(step, Outcome):
            item.outcome = step
        elif self.inference is None:
            raise Fatal("the handler asks a model, but the service has none")
        else:
            self.inference.prepare(item, step)

    def _waits(self, item: WorkItem, precedes: Callable[[Received[Any]], Need]) -> bool:
        """Return whether a refresh precedes the decision on an item."""
        if item.outcome is not None or item.received is None:
            return False
        need = precedes(item.received)
        self._refresh_now = self._refresh_now or need == "now"
        return need != "none"

    def _acknowledge_silent(self, items: Sequence[WorkItem]) -> None:
        """Take what causes no record for published."""
        now_s = time.perf_counter()
        for item in items:
            outcome = item.outcome
            if outcome is not None and item.acknowledged_s is None and not outcome.events and outcome.rejected is None:
                self.context.spend_budget(item)
                item.acknowledged_s = now_s
