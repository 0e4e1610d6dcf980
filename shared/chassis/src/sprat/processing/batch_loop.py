"""The loop of a service that handles batches: it starts each step that has work, and polls meanwhile.

Each step of `batch_steps.py` is a task of its own, once at a time, so that what is answered is published while others
are with the model. A record may be published before one that was polled earlier, unless both have the same key; of each
partition only what precedes the first unpublished record is committed. When a step fails, none begins after it: what is
in progress ends, and all that is not committed is read again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

from sprat.base.errors import Retryable, ends_task
from sprat.processing.batch_choices import committable, to_answer, to_infer, to_look_up, to_publish, to_refresh
from sprat.processing.batch_steps import MOST_RECORDS, BatchSteps, Refresh
from sprat.processing.cached_inference import CachedInference
from sprat_contracts import KafkaRecord

Step = Literal["begin", "refresh", "look up", "infer", "publish", "pause", "commit", "store"]
"""`pause` waits for the next commit."""
Poll = Callable[[], Awaitable[Sequence[KafkaRecord]]]
"""Waits for records and returns them; cancelling it loses none."""


async def _no_more() -> Sequence[KafkaRecord]:
    return ()


@dataclass(slots=True)
class BatchLoop:
    """Handles the batches of one consumer."""

    steps: BatchSteps
    poll: Poll = _no_more
    """Returns the records to handle while those before are in progress."""
    _tasks: dict[Step, "asyncio.Task[None]"] = field(default_factory=dict)
    """The steps in progress."""
    _polling: "asyncio.Task[Sequence[KafkaRecord]] | None" = None
    _polls: bool = True
    """Whether the loop polls by itself: until a poll fails or finds nothing."""

    async def handle(self, records: Sequence[KafkaRecord]) -> None:
        """Handle a batch, and those that come before all of it is committed.

        Never raises but where its task is cancelled: FastStream would swallow the error, and the position has already
        moved on. After a retryable error the loop seeks back and the records are read again; any other error stops the
        service.
        """
        context = self.steps.context
        if not context.admission.enter():
            return
        try:
            await self._handle(records)
        except BaseException as error:  # the boundary: whatever it is, nothing more may be committed
            if ends_task(error):
                raise
            context.stop(error)
        finally:
            await self._forget_progress()
            context.admission.leave()

    async def release(self) -> None:
        """Forget the work of a failed attempt, after a drain: the partitions' next owner reads the records again."""
        self.steps.release()

    async def _handle(self, records: Sequence[KafkaRecord]) -> None:
        self.steps.undecoded = records
        try:
            await self._begin()
            while True:
                self._start_steps()
                if self._tasks:
                    await self._wait()
                elif await self._end_poll():
                    await self._begin()
                else:
                    break
            self.steps.end()
        except Retryable as error:
            await self._end_steps()
            await self.steps.hold(error)
            error.__traceback__ = None  # its frames hold all records until the cycle with the failed task is collected

    async def _begin(self) -> None:
        """Begin what was polled: at once where that waits for nothing, since a task costs CPU; else beside the rest."""
        if self.steps.begins_at_once():
            await self.steps.begin()
        else:
            self._start("begin", self.steps.begin())

    def _start_steps(self) -> None:
        """Start each step that has work and is not in progress."""
        steps, busy, is_open = self.steps, self._tasks.keys(), self.steps.context.admission.is_open
        inference, refresh = steps.inference, steps.refresh
        if refresh is not None and refresh.precedes is not None and "refresh" not in busy:
            self._start_refresh(refresh, is_open=is_open)
        if inference is not None and not {"look up", "infer"} <= busy:
            self._start_inference(inference, is_open=is_open)
        if "publish" not in busy and (part := to_publish(steps.items, is_open=is_open)):
            self._start("publish", steps.publish(part))
        is_due = steps.is_commit_due()
        if "commit" not in busy and (is_due or "pause" not in busy) and committable(steps.items):
            if is_due:
                self._end_pause()
                self._start("commit", steps.commit())
            else:
                self._start("pause", steps.pause())
        if "store" not in busy and inference is not None and steps.is_store_due(inference, is_idle=not busy):
            self._start("store", steps.store(inference))

    def _start_refresh(self, refresh: Refresh, *, is_open: bool) -> None:
        part = to_refresh(self.steps.items, is_open=is_open)
        if part and self.steps.is_refresh_due():
            self._start("refresh", self.steps.decide_refreshed(refresh, part))
        elif part and "pause" not in self._tasks:
            self._start("pause", self.steps.pause())

    def _start_inference(self, inference: CachedInference, *, is_open: bool) -> None:
        """Start the steps of the undecided items; one part is looked up while another is with the model."""
        undecided = to_answer(self.steps.items, is_open=is_open)
        if "look up" not in self._tasks and (part := to_look_up(undecided)):
            self._start("look up", inference.look_up(part))
        if "infer" not in self._tasks and (part := to_infer(undecided)):
            self._start("infer", self.steps.infer(inference, part))

    def _start(self, step: Step, work: Coroutine[object, object, None]) -> None:
        context = None if step == "begin" else self.steps.spans.copy()  # a poll is no child of the one before
        self._tasks[step] = asyncio.create_task(work, context=context)

    async def _wait(self) -> None:
        """Wait until a step ends or records come, and take up what there is.

        Raises:
            Retryable: a step failed.
            Fatal: a step failed for good.
        """
        if self._may_poll():
            self._polling = asyncio.create_task(self._poll())
        polling = set() if self._polling is None else {self._polling}
        await asyncio.wait({*self._tasks.values(), *polling}, return_when=asyncio.FIRST_COMPLETED)
        self.steps.context.admission.advance()
        for step in [step for step, task in self._tasks.items() if task.done()]:
            await self._tasks.pop(step)
        if self._polling is not None and self._polling.done() and await self._end_poll():
            await self._begin()

    def _may_poll(self) -> bool:
        """Return whether to wait for the next records now."""
        return (
            self._polls
            and self._polling is None
            and "begin" not in self._tasks
            and not self._is_batch_growing()
            and len(self.steps.items) < MOST_RECORDS
            and self.steps.context.admission.is_open
        )

    def _is_batch_growing(self) -> bool:
        """Return whether records that come now are better polled later, together: no model would begin on them now.

        A batch costs milliseconds whatever its size: here, in the broker and in whoever reads the answers. On a busy
        machine that is time which the model lacks.
        """
        is_model_free = self.steps.inference is not None and not {"look up", "infer"} & self._tasks.keys()
        return "publish" in self._tasks and not is_model_free

    async def _poll(self) -> Sequence[KafkaRecord]:
        return await self.poll()

    async def _end_poll(self) -> bool:
        """End the poll, keep the records that it has found, and return whether there are any to handle."""
        polling, self._polling = self._polling, None
        if polling is None:
            return False
        if not polling.done():
            polling.cancel()
            await asyncio.wait({polling})
        if polling.cancelled():
            return False
        found = () if polling.exception() else polling.result()  # whoever polls has reported the error
        self.steps.undecoded, self._polls = found, bool(found)
        return self._polls and self.steps.context.admission.is_open

    async def _end_steps(self) -> None:
        """After a failure, let what is in progress end, and commit what precedes the failure.

        Another retryable failure changes nothing: its records are read again, too.

        Raises:
            Fatal: another step failed for good.
        """
        if self._polling is not None:  # it began when nothing was undecoded
            await self._end_poll()
        self._end_pause()
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, BaseException) and not isinstance(outcome, Retryable):
                raise outcome
        with suppress(Retryable):
            await self.steps.commit()

    def _end_pause(self) -> None:
        if (pause := self._tasks.pop("pause", None)) is not None:
            pause.cancel()

    async def _forget_progress(self) -> None:
        """End all that is in progress, and forget it."""
        tasks = [*self._tasks.values(), *([self._polling] if self._polling is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.clear()
        self._polling, self._polls = None, True
        self.steps.forget_progress()
