"""Writes egress records to Kafka, each signed, and checkpoints elsewhere: for the service, and for `sprat evaluate`."""

import asyncio
import logging
import time
from contextlib import AsyncExitStack
from typing import Self

from sprat.audit.chain import Chain
from sprat.audit.places import CheckpointPlace, NotWritten, open_place
from sprat.audit.settings import AuditSettings
from sprat.base.errors import Retryable, UserError
from sprat.base.retry import retry_until
from sprat.kafka.publisher import OutRecord, Publisher
from sprat.telemetry import signals
from sprat.telemetry.spans import child_span, current_traceparent
from sprat_contracts import EgressRecord, Envelope, Topics, Traceparent
from sprat_contracts.ids import derive

log = logging.getLogger(__name__)


class KafkaEgressAudit:
    """The audit topic. A call returns when Kafka has acknowledged the record. `open` makes one.

    Args:
        publisher: a started one.
        topics: names of the topics.
        service: name of the service or command, for the events' source and the writer's name.
        give_up_s: how long Kafka may be unavailable.
        settings: the key; where checkpoints go, and how often.
        place: the second place, for checkpoints; None: there are none.

    Raises:
        UserError: there is no key.
    """

    def __init__(
        self,
        publisher: Publisher,
        topics: Topics,
        service: str,
        give_up_s: float,
        settings: AuditSettings,
        place: CheckpointPlace | None = None,
    ) -> None:
        self._publisher = publisher
        self._topic = topics.egress
        self._source = f"/{topics.prefix}/{service}"
        self._give_up_s = give_up_s
        self._chain = Chain(settings.signing_key(), service)
        self._place = place
        self._every_s = settings.checkpoint_every_s
        self._writing: set[asyncio.Task[None]] = set()
        self._checkpointing = asyncio.Lock()
        self._noted: tuple[int, int] | None = None
        self._waiting_since_s: float | None = None
        """When the first record was signed that waits for a checkpoint; None: none waits."""

    @classmethod
    async def open(
        cls,
        publisher: Publisher,
        topics: Topics,
        service: str,
        give_up_s: float,
        settings: AuditSettings,
        stack: AsyncExitStack,
    ) -> Self:
        """Return the audit with its second place, where the first checkpoint stands; the stack closes both.

        Raises:
            UserError: there is no key, or the second place takes no checkpoint.
        """
        place = await open_place(settings, stack)
        audit = cls(publisher, topics, service, give_up_s, settings, place)
        if place is None:
            log.warning("no checkpoints of the audit: set SPRAT_AUDIT__CHECKPOINTS or SPRAT_AUDIT__KAFKA__BOOTSTRAP")
        try:
            await audit.checkpoint()
        except NotWritten as error:
            raise UserError(f"the checkpoints of the audit cannot be written: {error}") from None
        if place is not None:
            stack.callback(signals.CHECKPOINT_OVERDUE.watch(lambda: [(audit.overdue_s, {})]))
        ticking = asyncio.create_task(audit.keep_checkpoints(), name="audit-checkpoints")
        stack.push_async_callback(audit.close, ticking)
        return audit

    @property
    def overdue_s(self) -> float:
        """Seconds by which the checkpoint for the last records is overdue; 0 while it is not."""
        if self._waiting_since_s is None:
            return 0.0
        return max(0.0, time.monotonic() - self._waiting_since_s - self._every_s)

    async def __call__(self, record: EgressRecord) -> None:
        """Write a record. A write that has begun ends, also when the caller is cancelled: its number is taken.

        Raises:
            Fatal: Kafka was unavailable for `give_up_s`.
        """
        writing = asyncio.create_task(self._write(record), name="egress-record")
        self._writing.add(writing)
        writing.add_done_callback(self._forget)
        await asyncio.shield(writing)

    async def checkpoint(self, *, closing: bool = False) -> None:
        """Write a checkpoint, if there is something new.

        Raises:
            NotWritten: the second place did not take it.
        """
        if self._place is None:
            return
        async with self._checkpointing:
            state = self._chain.state
            if state == self._noted and not closing:
                return
            signed_s = time.monotonic()
            await self._place.write(self._chain.checkpoint(closing=closing))
            self._chain.checkpoint_written()
            self._noted = state
            self._waiting_since_s = None if self._chain.state == state else signed_s

    async def keep_checkpoints(self) -> None:
        """Write a checkpoint in each interval, until cancelled."""
        while True:
            await asyncio.sleep(self._every_s)
            await self._try_checkpoint()

    async def close(self, ticking: "asyncio.Task[None] | None" = None) -> None:
        """Wait for the records that are being written, and write the last checkpoint."""
        if ticking is not None:
            ticking.cancel()
            await asyncio.gather(ticking, return_exceptions=True)
        if self._writing:
            await asyncio.wait(self._writing)
        await self._try_checkpoint(closing=True)

    async def _try_checkpoint(self, *, closing: bool = False) -> None:
        try:
            await self.checkpoint(closing=closing)
        except NotWritten as error:
            log.error("a checkpoint of the audit could not be written: %s", error)  # noqa: TRY400 - the cause is in it

    def _forget(self, writing: "asyncio.Task[None]") -> None:
        self._writing.discard(writing)
        if not writing.cancelled():
            writing.exception()  # the caller has it, unless it was cancelled

    async def _write(self, record: EgressRecord) -> None:
        event_id = str(derive(f"egress-{record.phase}", self._source, record.call_id, record.task))
        with child_span(
            signals.SEND,
            self._topic,
            operation="send",
            operation_type="send",
            destination=self._topic,
            message_id=event_id,
            phase=record.phase,
        ) as span:
            traceparent = current_traceparent.get() or Traceparent.root(self._source, event_id)
            envelope = Envelope(
                id=event_id, source=self._source, traceparent=traceparent, extensions={"tenant": record.tenant}
            )
            signed = self._chain.add(record, envelope)
            if self._waiting_since_s is None:
                self._waiting_since_s = time.monotonic()
            # One record for all tries: a second one would report an attempt that was never made.
            out = OutRecord(self._topic, record.text_hash.encode(), signed.value, signed.headers)

            async def publish() -> None:
                (place,) = await self._publisher.publish([out])
                span.set(partition=str(place.partition), offset=place.offset)

            await retry_until(publish, Retryable, self._give_up_s)
        self._chain.acknowledge(signed.sequence)
        if signed.sequence == 1:
            await self._try_checkpoint()
