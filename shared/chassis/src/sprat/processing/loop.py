"""What both loops share: their context, the decoding and counting of records, and the failure budget."""

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Literal

from sprat.base.errors import Fatal, Rejected, Retryable
from sprat.base.lifecycle import AdmissionControl, Failure
from sprat.kafka.offsets import Consumer
from sprat.kafka.signatures import Signatures
from sprat.processing.handler import Outcome, Received, RecordHandler
from sprat.processing.measure import count_text, span_attributes
from sprat.processing.outbox import Outbox
from sprat.processing.records import WorkItem, receive, trace_context
from sprat.telemetry import signals
from sprat.telemetry.tracing import Tracing
from sprat_contracts import KafkaRecord, Message, TextSubmitted, Traceparent
from sprat_contracts.languages import DEFAULT_LANGUAGE

log = logging.getLogger(__name__)

Point = Literal["decoded", "inferred", "published", "committed"]
"""A point of a loop, in the loop's order."""

Checkpoint = Callable[[Point, int], None]
"""Observes a loop: called with the point and how many records the loop has newly begun to handle there."""


def no_checkpoint(point: Point, records: int) -> None:
    """Observe nothing; only tests of crashes observe."""


def count_retry(error: Exception) -> None:
    """Count a failed attempt that is made again, by the step that failed."""
    signals.RETRIES.add(1, reason=error.step if isinstance(error, Retryable) else Retryable.step)


class FailureBudget:
    """Stops a service that fails by its own fault too often. Bad input never counts.

    After a bad deployment the backlog then stays in Kafka instead of becoming dead letters.
    """

    def __init__(self, consecutive: int = 20, ratio: float = 0.2, window: int = 500) -> None:
        self._consecutive = consecutive
        self._ratio = ratio
        self._recent: deque[bool] = deque(maxlen=window)
        self._run = 0
        self._faults = 0
        """Of the recent ones: to count them for each record takes longer than to decide on it."""

    def record(self, *, own_fault: bool) -> None:
        """Count one handled record.

        Raises:
            Fatal: the budget is spent; nothing of this batch may be committed.
        """
        self._run = self._run + 1 if own_fault else 0
        if len(self._recent) == self._recent.maxlen:
            self._faults -= self._recent[0]
        self._recent.append(own_fault)
        self._faults += own_fault
        full = len(self._recent) == self._recent.maxlen
        if self._run >= self._consecutive or (full and self._faults > self._ratio * len(self._recent)):
            raise Fatal(
                f"this service fails by its own fault too often ({self._run} in a row, {self._faults} of the last "
                f"{len(self._recent)}): it stops, its backlog stays in Kafka; roll the model or the code back"
            )


@dataclass(frozen=True, slots=True)
class LoopContext:
    """What a loop needs of the service that runs it, and what both loops do in the same way."""

    outbox: Outbox
    consumer: Callable[[], Consumer]
    """Returns the running consumer: a loop is made before it."""
    tracing: Tracing
    signatures: Signatures
    admission: AdmissionControl
    failure: Failure
    give_up_s: float = 300.0
    """How long nothing may succeed before the service exits."""
    default_language: str = DEFAULT_LANGUAGE
    """Of texts that name none."""
    checkpoint: Checkpoint = no_checkpoint
    budget: FailureBudget = field(default_factory=FailureBudget)
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    def decode(self, record: KafkaRecord, handler: RecordHandler, polled_s: float) -> WorkItem:
        """Decode a record by itself, so that a bad one never stops those after it.

        Args:
            record: as it was polled.
            handler: knows the types of the messages.
            polled_s: when it was polled, seconds of the performance counter.

        Returns:
            A work item with `received`; with the handler's outcome where the record cannot be decoded. One that should
            be signed by this installation and is not is skipped, before anything of it is read: as a dead letter, it
            would let whoever wrote it fill their topic. A text that names no language is one in the default language
            from here on, for whatever the service does with it.
        """
        item = WorkItem(record, polled_s=polled_s)
        message_type = handler.message_type(record.topic)
        if message_type.signed and not self.signatures.accepts(record):
            self.signatures.refused(record)
            item.outcome = Outcome(skipped="signature")
            return item
        try:
            item.received = self._authentic(record, self._with_language(receive(record, message_type)))
        except Rejected as rejected:
            item.outcome = handler.malformed(rejected, record.topic)
        return item

    def _authentic(self, record: KafkaRecord, received: Received[Message]) -> Received[Message]:
        """Return the record for everybody, unless it is a replay for one service that this installation has signed."""
        if received.envelope.replay_for is None or self.signatures.accepts_replay(record):
            return received
        self.signatures.refused(record, "replay")
        return replace(received, envelope=replace(received.envelope, replay_for=None))

    def _with_language(self, received: Received[Message]) -> Received[Message]:
        """Return the record; where it is a text that names no language, in the default one."""
        text = received.message
        if not isinstance(text, TextSubmitted) or (read := text.read_in(self.default_language)) is text:
            return received
        return replace(received, message=read)

    @contextmanager
    def traced(self, items: Sequence[WorkItem], polled_s: float) -> Iterator[None]:
        """Begin the spans of decoded records: of their batch, and of each that is not skipped.

        An item that is held from a failed attempt keeps its span. Where nothing is exported, a span only passes the
        record's trace context on.
        """
        handled = [item for item in items if not item.skipped]
        if not self.tracing.exporting:
            for item in handled:
                if item.span is None:
                    item.span = self.tracing.process(trace_context(item.record, item.received)[0], item.place, None, 0)
            yield
            return
        contexts = [self._context_of(item) for item in items]
        links = [context for item, context in zip(items, contexts, strict=True) if not item.skipped]
        polled_ns = time.time_ns() - int((time.perf_counter() - polled_s) * 1e9)
        with self.tracing.poll(links, len(items), polled_ns) as poll:
            for item, link in zip(handled, links, strict=True):
                if item.span is None:
                    id = None if item.received is None else item.received.envelope.id
                    item.span = self.tracing.process(link, item.place, id, polled_ns, poll.link)
            yield

    def spend_budget(self, item: WorkItem) -> None:
        """Count a decided item towards the failure budget.

        Raises:
            Fatal: the budget is spent.
        """
        rejected = item.decided().rejected
        self.budget.record(own_fault=rejected is not None and rejected.own_fault)

    def finish(self, items: Sequence[WorkItem]) -> None:
        """Count and log what became of acknowledged items, and end their spans."""
        finished_s = time.perf_counter()
        skipped: Counter[str] = Counter()
        for item in items:
            outcome = item.decided()
            if outcome.skipped is not None:
                skipped[outcome.skipped] += 1
            if outcome.judged and item.received is not None and isinstance(item.received.message, TextSubmitted):
                tasks = self.outbox.topics.tasks
                count_text(item.received.message, tasks)
                if item.span is not None:
                    item.span.set(**span_attributes(item.received.message, tasks))
            if outcome.rejected is not None:
                signals.DEAD_LETTERS.add(1, reason=outcome.rejected.code)
                log.info("dead letter: %s", outcome.rejected.code, extra=item.log_fields())
            if not item.skipped:
                labels = {} if item.error is None else {"error": item.error}
                done_s = finished_s if item.acknowledged_s is None else item.acknowledged_s
                signals.PROCESS_SECONDS.record(
                    done_s - item.polled_s,
                    None if item.span is None else item.span.link,
                    operation="process",
                    destination=item.record.topic,
                    group=self.tracing.group,
                    **labels,
                )
            item.end_span()
        for reason, count in skipped.items():
            signals.SKIPPED.add(count, reason=reason)

    def _context_of(self, item: WorkItem) -> Traceparent:
        """Return the trace context that a record continues; export the root of a derived one if this service judges."""
        context, derived = trace_context(item.record, item.received)
        if not derived:
            return context
        context = self.tracing.as_sampled(context)
        received = item.received
        judged = not item.skipped if received is None else item.outcome is not None and item.outcome.judged
        if judged and not item.traced:
            attributes = {} if received is None else span_attributes(received.message, self.outbox.topics.tasks)
            id = None if received is None else received.envelope.id
            self.tracing.accept(context, item.record.topic, id, item.record.timestamp, attributes, item.error)
            item.traced = True
        return context

    def stop(self, error: BaseException) -> None:
        """Commit nothing more, and end the process."""
        self.admission.close(permanently=True)
        self.failure.report(error)
