"""The loop of a service that handles batches. The order of its steps is the promise that nothing is lost.

begin: decode, and what the model's first stage answers → look up: what is cached → infer: the model, for the others →
publish: wait for all acknowledgements, then the dead letters, and wait for these too → commit: the offsets of these
records → store: cache the model's answers.

Each step is a task of its own, once at a time, so that what is answered is published while others are with the model.
A record may be published before one that was polled earlier, unless both have the same key; of each partition only what
precedes the first unpublished record is committed. When a step fails, none begins after it: what is in progress ends,
and all that is not committed is read again.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from typing import Final, Literal

from sprat.base.errors import Fatal, Retryable, SpratError, ends_task
from sprat.base.model import Answer
from sprat.base.retry import Backoff
from sprat.kafka.offsets import commit, next_offsets, seek_back
from sprat.processing.batch_choices import committable, to_answer, to_infer, to_look_up, to_publish
from sprat.processing.cached_inference import CachedInference
from sprat.processing.handler import Handler, ModelHandler, Outcome
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

Step = Literal["begin", "look up", "infer", "publish", "pause", "commit", "store"]
"""`pause` waits for the next commit."""
Poll = Callable[[], Awaitable[Sequence[KafkaRecord]]]
"""Waits for records and returns them; cancelling it loses none."""


async def _no_more() -> Sequence[KafkaRecord]:
    return ()


@dataclass(slots=True)
class BatchLoop:
    """Handles the batches of one consumer."""

    context: LoopContext
    handler: Handler | ModelHandler
    cached_inference: CachedInference | None = None
    """None for a service without a model."""
    refresh: Callable[[], Awaitable[None]] | None = None
    """Updates what the handler knows of other services, before each batch."""
    owns: Callable[[KafkaRecord], bool] | None = None
    """Which records are still this service's; others are neither handled nor committed. None: all are."""
    may_ask: Callable[[KafkaRecord], bool] | None = None
    """Which records may be for this service, by their bytes; others are skipped without being decoded. None: all may
    be."""
    poll: Poll = _no_more
    """Returns the records to handle while those before are in progress."""
    _held: RetryBuffer = field(default_factory=RetryBuffer)
    _failing_since: float | None = None
    _backoff: Backoff = field(default_factory=Backoff)
    _undecoded: Sequence[KafkaRecord] = ()
    """Records that were polled and are not decoded yet."""
    _items: list[WorkItem] = field(default_factory=list)
    """What is decoded and not committed yet, in the order in which it was polled."""
    _answers: dict[str, Answer] = field(default_factory=dict)
    """The model's answers that are not cached yet, by their keys."""
    _steps: dict[Step, "asyncio.Task[None]"] = field(default_factory=dict)
    """The steps in progress."""
    _polling: "asyncio.Task[Sequence[KafkaRecord]] | None" = None
    _polls: bool = True
    """Whether the loop polls by itself: until a poll fails or finds nothing."""
    _committed_at: float = float("-inf")
    _batch: Context = field(default_factory=Context)
    """The context of the batch that was begun last: the spans of its steps are children of its poll's."""

    async def handle(self, records: Sequence[KafkaRecord]) -> None:
        """Handle a batch, and those that come before all of it is committed.

        Never raises but where its task is cancelled: FastStream would swallow the error, and the position has already
        moved on. After a retryable error the loop seeks back and the records are read again; any other error stops the
        service.
        """
        if not self.context.admission.enter():
            return
        try:
            await self._handle(records)
        except BaseException as error:  # the boundary: whatever it is, nothing more may be committed
            if ends_task(error):
                raise
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
        self._start("begin", self._begin())
        try:
            while self._steps:
                await self._wait()
                self._start_steps()
                if not self._steps and await self._end_poll():
                    self._start("begin", self._begin())
            if not self._held.items:  # also where nothing was to be done because all records were skipped
                self._succeeded()
        except Retryable as error:
            await self._end_steps()
            await self._hold(error)

    def _start(self, step: Step, work: Coroutine[object, object, None]) -> None:
        context = None if step == "begin" else self._batch.copy()  # a poll is no child of the one before
        self._steps[step] = asyncio.create_task(work, context=context)

    def _start_steps(self) -> None:
        """Start each step that has work and is not in progress."""
        is_open = self.context.admission.is_open
        if self.cached_inference is not None:
            self._start_inference(self.cached_inference, is_open=is_open)
        if "publish" not in self._steps and (part := to_publish(self._items, is_open=is_open)):
            self._start("publish", self._publish(part))
        if "commit" not in self._steps and committable(self._items):
            if self._is_commit_due():
                self._end_pause()
                self._start("commit", self._commit())
            elif "pause" not in self._steps:
                self._start("pause", self._pause())
        if "store" not in self._steps and self._answers:
            self._start("store", self._store())

    def _start_inference(self, inference: CachedInference, *, is_open: bool) -> None:
        """Start the steps of the undecided items; one part is looked up while another is with the model."""
        if {"look up", "infer"} <= self._steps.keys():
            return
        undecided = to_answer(self._items, is_open=is_open)
        if "look up" not in self._steps and (part := to_look_up(undecided)):
            self._start("look up", inference.look_up(part))
        if "infer" not in self._steps and (part := to_infer(undecided)):
            self._start("infer", self._infer(inference, part))

    async def _wait(self) -> None:
        """Wait until a step ends or records come, and take up what there is.

        Raises:
            Retryable: a step failed.
            Fatal: a step failed for good.
        """
        if self._may_poll():
            self._polling = asyncio.create_task(self._poll())
        polling = set() if self._polling is None else {self._polling}
        await asyncio.wait({*self._steps.values(), *polling}, return_when=asyncio.FIRST_COMPLETED)
        self.context.admission.advance()
        for step in [step for step, task in self._steps.items() if task.done()]:
            await self._steps.pop(step)
        if self._polling is not None and self._polling.done() and await self._end_poll():
            self._start("begin", self._begin())

    def _may_poll(self) -> bool:
        """Return whether to wait for the next records now."""
        return (
            self._polls
            and self._polling is None
            and "begin" not in self._steps
            and not self._is_batch_growing()
            and len(self._items) < MOST_RECORDS
            and self.context.admission.is_open
        )

    def _is_batch_growing(self) -> bool:
        """Return whether records that come now are better polled later, together: no model would begin on them now.

        A batch costs milliseconds whatever its size: here, in the broker and in whoever reads the answers. On a busy
        machine that is time which the model lacks.
        """
        is_model_free = self.cached_inference is not None and not {"look up", "infer"} & self._steps.keys()
        return "publish" in self._steps and not is_model_free

    async def _poll(self) -> Sequence[KafkaRecord]:
        return await self.poll()

    async def _end_poll(self) -> bool:
        """End the poll, keep the records that it has found, and return whether there are any to handle."""
        polling, self._polling = self._polling, None
        if polling is None:
            return False
        polling.cancel()  # without effect where it is done
        await asyncio.wait({polling})
        if polling.cancelled():
            return False
        self._undecoded = () if polling.exception() else polling.result()  # whoever polls has reported the error
        self._polls = bool(self._undecoded)
        return self._polls and self.context.admission.is_open

    async def _begin(self) -> None:
        """Decode the polled records, and decide on those that need no model, or its first stage alone."""
        polled_s = time.perf_counter()
        signals.IN_PROGRESS.set(len(self._items) + len(self._undecoded))
        if self.refresh is not None:
            await self.refresh()
        self._undecoded = self._owned(self._undecoded)
        items: list[WorkItem] = []
        try:
            for record in self._undecoded:
                items.append(self._decode(record, polled_s))  # noqa: PERF401 - those before one that raises are kept
            with self.context.traced(items, polled_s):
                self._batch = copy_context()
                if self.cached_inference is not None:
                    await self.cached_inference.begin(items)
        except SpratError:
            self._held.keep(items)
            raise
        self._items += items
        self._undecoded = ()
        self.context.checkpoint("decoded", len(items))

    async def _infer(self, inference: CachedInference, part: Sequence[WorkItem]) -> None:
        self._answers |= await inference.finish(part)
        self.context.checkpoint("inferred", 0)

    async def _publish(self, part: Sequence[WorkItem]) -> None:
        for item in part:
            if item.pending is None:  # an item that is held from a failed attempt was counted then
                self.context.spend_budget(item)
        await self.context.outbox.publish(part, self.handler.oversized)
        self.context.checkpoint("published", 0)
        acknowledged_s = time.perf_counter()
        for item in part:
            item.acknowledged_s = acknowledged_s

    def _is_commit_due(self) -> bool:
        """Return whether a commit may not wait for what is acknowledged next."""
        waited = self.context.clock() - self._committed_at >= COMMIT_EVERY_S
        return waited or len(self._items) >= MOST_RECORDS or not self.context.admission.is_open

    async def _pause(self) -> None:
        await self.context.sleep(max(0.0, self._committed_at + COMMIT_EVERY_S - self.context.clock()))

    def _end_pause(self) -> None:
        if (pause := self._steps.pop("pause", None)) is not None:
            pause.cancel()

    async def _commit(self) -> None:
        """Commit all that may be."""
        done = committable(self._items)
        if not done:
            return
        await commit(self.context.consumer(), next_offsets(item.record for item in done))
        self._committed_at = self.context.clock()
        self.context.checkpoint("committed", 0)
        committed = set(map(id, done))
        self._items = [item for item in self._items if id(item) not in committed]
        signals.IN_PROGRESS.set(len(self._items) + len(self._undecoded))
        self.context.finish(done)
        self._succeeded()

    async def _store(self) -> None:
        """Cache the model's answers. Nobody waits for it."""
        answers, self._answers = self._answers, {}
        if self.cached_inference is not None:
            await self.cached_inference.store(answers)

    async def _end_steps(self) -> None:
        """After a failure, let what is in progress end, and commit what precedes the failure.

        Another retryable failure changes nothing: its records are read again, too.

        Raises:
            Fatal: another step failed for good.
        """
        if self._polling is not None:  # it began when nothing was undecoded
            await self._end_poll()
        self._end_pause()
        steps = list(self._steps.values())
        self._steps.clear()
        for outcome in await asyncio.gather(*steps, return_exceptions=True):
            if isinstance(outcome, BaseException) and not isinstance(outcome, Retryable):
                raise outcome
        with suppress(Retryable):
            await self._commit()

    async def _forget_progress(self) -> None:
        """Forget all that is in progress: it is committed, held, or read again by the partitions' next owner."""
        tasks = [*self._steps.values(), *([self._polling] if self._polling is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._steps.clear()
        self._polling, self._polls = None, True
        self._undecoded = ()
        self._items.clear()
        self._answers.clear()
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
        if self.may_ask is not None and not self.may_ask(record):
            return WorkItem(record, polled_s=polled_s, outcome=Outcome(skipped="not_asked"))
        item = self.context.decode(record, self.handler, polled_s)
        if item.received is None:
            return item
        token = current_traceparent.set(item.received.envelope.traceparent)
        try:
            step = self.handler.receive(item.received)
        except SpratError:
            raise
        except BaseException as error:  # the boundary: one record must not stop all others for ever
            if ends_task(error):
                raise
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

    async def _hold(self, error: Retryable) -> None:
        """Keep what was decided, seek back to the first record that is not done, and wait before it is read again.

        Raises:
            Fatal: nothing succeeded for `give_up_s`.
        """
        now = self.context.clock()
        self._failing_since = self._failing_since or now
        if now - self._failing_since > self.context.give_up_s:
            raise Fatal(f"no success for {self.context.give_up_s:.0f} s; last failure: {error}") from None
        records = [*(item.record for item in self._items), *self._undecoded]
        self._held.keep(self._items)
        seek_back(self.context.consumer(), records)
        pause = self._backoff.next()
        signals.HELD.set(len(records))
        count_retry(error)
        log.warning("%s; %d records held, retrying in %.1f s", error, len(records), pause)
        await self.context.sleep(pause)
