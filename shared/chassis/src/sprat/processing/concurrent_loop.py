"""The loop of a service whose records are slow and independent: many are in progress, and a slow one delays no other.

Each record by itself: decode → handle → publish, wait for all acknowledgements → dead letter, wait for it too. In each
partition the offset up to the lowest unfinished record is committed.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace

from aiokafka import TopicPartition

from sprat.base.errors import Retryable, SpratError, ends_task
from sprat.base.retry import retry_until
from sprat.kafka.offsets import OffsetTracker, commit
from sprat.processing.handler import ConcurrentHandler, Outcome
from sprat.processing.loop import LoopContext, count_retry
from sprat.processing.records import WorkItem, defect
from sprat.telemetry import signals
from sprat_contracts import KafkaRecord

log = logging.getLogger(__name__)


@dataclass(slots=True)
class ConcurrentLoop:
    """Handles the records of one consumer, at most `capacity` at a time; at capacity, consumption pauses."""

    context: LoopContext
    handler: ConcurrentHandler
    capacity: int = 256
    _tracker: OffsetTracker = field(default_factory=OffsetTracker)
    _uncommitted: dict[TopicPartition, int] = field(default_factory=dict)
    """Next offset of each partition in which finished records are not committed yet."""
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _task_ended: asyncio.Event = field(default_factory=asyncio.Event)
    _commit_lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def handle(self, records: Sequence[KafkaRecord]) -> None:
        """Admit a batch; return when its last record is in progress. Never raises, as in the batch loop."""
        try:
            await self._admit(records)
        except BaseException as error:  # the boundary: records that were not admitted must not be passed
            if ends_task(error):
                raise
            self.context.stop(error)

    async def _admit(self, records: Sequence[KafkaRecord]) -> None:
        polled_s = time.perf_counter()
        items = [self._decode(record, polled_s) for record in records]
        with self.context.traced(items, polled_s):
            for item in items:
                while len(self._tasks) >= self.capacity:
                    self._task_ended.clear()
                    await self._task_ended.wait()
                if not self.context.admission.enter():
                    return
                self._tracker.start(TopicPartition(item.record.topic, item.record.partition), item.record.offset)
                task = asyncio.create_task(self._process(item))
                self._tasks.add(task)
                task.add_done_callback(self._ended)
                signals.IN_PROGRESS.set(len(self._tasks))

    async def release(self) -> None:
        """Commit what is finished and cancel the rest, after a drain: the partitions' next owner reads it again."""
        try:
            await self._commit()
        except Retryable as error:
            log.warning("%s; finished records are read again", error)
        finally:
            for task in self._tasks:
                task.cancel()
            self._tracker.clear()
            self._uncommitted.clear()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        signals.IN_PROGRESS.set(len(self._tasks))
        self.context.admission.leave()
        self._task_ended.set()

    def _decode(self, record: KafkaRecord, polled_s: float) -> WorkItem:
        item = self.context.decode(record, self.handler, polled_s)
        if item.received is not None:
            reason = self.handler.skip_reason(item.received)
            item.outcome = None if reason is None else Outcome(skipped=reason)
        return item

    async def _process(self, item: WorkItem) -> None:
        context, record = self.context, item.record
        try:
            with nullcontext() if item.span is None else item.span.current():
                await self._decide(item)
                context.spend_budget(item)
                await self._retry(lambda: context.outbox.publish([item], self.handler.oversized))
            context.finish([item])
            context.checkpoint("published", 0)
            self._tracker.finish(TopicPartition(record.topic, record.partition), record.offset)
            await self._retry(self._commit)
            context.checkpoint("committed", 0)
        except BaseException as error:  # the boundary: whatever it is, nothing more may be committed
            if ends_task(error):
                raise
            context.stop(error)

    async def _decide(self, item: WorkItem) -> None:
        """Let the handler decide on a decoded record, for as long as it takes."""
        received = item.received
        if received is None or item.outcome is not None:
            return
        self.context.checkpoint("decoded", 1)

        async def decide() -> None:
            try:
                item.outcome = await self.handler.handle(received)
            except SpratError:
                raise
            except BaseException as error:  # the boundary: one record must not stop all others for ever
                if ends_task(error):
                    raise
                log.error("a defect in the handler: %s", type(error).__name__, extra=item.log_fields())  # noqa: TRY400
                item.outcome = replace(self.handler.failed(received), rejected=defect(error))

        await self._retry(decide)
        self.context.checkpoint("inferred", 0)

    async def _retry(self, step: Callable[[], Awaitable[None]]) -> None:
        """Retry a step until it succeeds.

        Raises:
            Fatal: it did not within `give_up_s`.
        """
        await retry_until(step, Retryable, self.context.give_up_s, on_retry=count_retry)

    async def _commit(self) -> None:
        """Commit the finished records. While one commit is in progress, the next waits and includes all others.

        Raises:
            Retryable: it failed; the next commit includes these offsets.
        """
        async with self._commit_lock:
            self._uncommitted |= self._tracker.committable()
            if self._uncommitted:
                await commit(self.context.consumer(), self._uncommitted)
                self._uncommitted.clear()
