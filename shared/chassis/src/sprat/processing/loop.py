"""What both loops share: their context, the decoding and counting of records, and the failure budget."""

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

from sprat.errors import Fatal, Rejected
from sprat.kafka.offsets import Consumer
from sprat.lifecycle import AdmissionControl, Failure
from sprat.processing.handler import RecordHandler
from sprat.processing.outbox import Outbox
from sprat.processing.records import WorkItem, receive
from sprat.telemetry.tracing import Tracing
from sprat_contracts import KafkaRecord

log = logging.getLogger(__name__)

Point = Literal["decoded", "inferred", "published", "committed"]
"""A point of a loop, in the loop's order."""

Checkpoint = Callable[[Point, int], None]
"""Observes a loop: called with the point and how many records the loop has newly begun to handle there."""


def no_checkpoint(point: Point, records: int) -> None:
    """Observe nothing; only tests of crashes observe."""


class FailureBudget:
    """Stops a service that fails by its own fault too often. Bad input never counts.

    After a bad deployment the backlog then stays in Kafka instead of becoming dead letters.
    """

    def __init__(self, consecutive: int = 20, ratio: float = 0.2, window: int = 500) -> None:
        self._consecutive = consecutive
        self._ratio = ratio
        self._recent: deque[bool] = deque(maxlen=window)
        self._run = 0

    def record(self, *, own_fault: bool) -> None:
        """Count one handled record.

        Raises:
            Fatal: the budget is spent; nothing of this batch may be committed.
        """
        self._run = self._run + 1 if own_fault else 0
        self._recent.append(own_fault)
        full = len(self._recent) == self._recent.maxlen
        if self._run >= self._consecutive or (full and sum(self._recent) > self._ratio * len(self._recent)):
            raise Fatal(
                f"this service fails by its own fault too often ({self._run} in a row, {sum(self._recent)} of the last "
                f"{len(self._recent)}): it stops, its backlog stays in Kafka; roll the model or the code back"
            )


@dataclass(frozen=True, slots=True)
class LoopContext:
    """What a loop needs of the service that runs it, and what both loops do in the same way."""

    outbox: Outbox
    consumer: Callable[[], Consumer]
    """Returns the running consumer: a loop is made before it."""
    tracing: Tracing
    admission: AdmissionControl
    failure: Failure
    counts: Counter[str]
    give_up_s: float = 300.0
    """How long nothing may succeed before the service exits."""
    checkpoint: Checkpoint = no_checkpoint
    budget: FailureBudget = field(default_factory=FailureBudget)
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    def decode(self, record: KafkaRecord, handler: RecordHandler) -> WorkItem:
        """Decode a record by itself, so that a bad one never stops those after it.

        Returns:
            A work item with `received` and a span; with the handler's outcome where the record cannot be decoded.
        """
        item = WorkItem(record)
        try:
            item.received = receive(record, handler.message_type(record.topic))
        except Rejected as rejected:
            item.outcome = handler.malformed(rejected)
        else:
            item.span = self.tracing.process(item.received.envelope, record.topic, record.partition, record.offset)
        return item

    def spend_budget(self, item: WorkItem) -> None:
        """Count a decided item towards the failure budget.

        Raises:
            Fatal: the budget is spent.
        """
        rejected = item.decided().rejected
        self.budget.record(own_fault=rejected is not None and rejected.own_fault)

    def finish(self, item: WorkItem) -> None:
        """Count and log what became of an acknowledged item, and end its span."""
        outcome = item.decided()
        self.counts["records"] += 1
        if outcome.skipped is not None:
            self.counts[f"skipped_{outcome.skipped}"] += 1
        if outcome.rejected is not None:
            self.counts["dead_letters"] += 1
            log.info("dead letter: %s", outcome.rejected.code, extra=item.log_fields())
        item.end_span()

    def stop(self, error: BaseException) -> None:
        """Commit nothing more, and end the process."""
        self.admission.close(permanently=True)
        self.failure.report(error)
