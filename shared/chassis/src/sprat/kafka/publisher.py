"""Publishing with acknowledgement: a retry sends only what is not acknowledged.

Written by hand: a retry library would send a record again that the producer still holds, and so double it.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError

from sprat.base.errors import Fatal, Retryable, SpratError
from sprat.base.retry import Backoff, Deadline
from sprat.base.settings import KafkaSettings
from sprat.base.words import counted
from sprat.kafka.clients import AUTHORISATION_ERRORS
from sprat.telemetry import signals

log = logging.getLogger(__name__)

_TOO_LARGE: tuple[type[Exception], ...] = (MessageSizeTooLargeError, RecordListTooLargeError)
_LARGEST_RECORD = 3 * 1024 * 1024
_REQUEST_MS = 15_000
_STOP_S = 3.0


@dataclass(slots=True, eq=False)
class OutRecord:
    """An encoded record to publish, with the producer's future once it has accepted the record."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()
    sending: "asyncio.Future[Any] | None" = None
    producer: AIOKafkaProducer | None = None
    """The one that has accepted it."""
    acknowledged: "Acknowledged | None" = None

    @property
    def size(self) -> int:
        """Upper bound of the bytes that the record takes in its topic, with the header of a batch."""
        headers = sum(len(name) + len(value or b"") + 4 for name, value in self.headers)
        return len(self.key or b"") + len(self.value or b"") + headers + 96


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The place of an acknowledged record."""

    partition: int
    offset: int
    timestamp_ms: int
    """The broker's clock."""


class TooLarge(SpratError):
    """Records that are larger than their topic allows; all others are acknowledged.

    `places` are their indices in the records to publish.
    """

    def __init__(self, places: Sequence[int]) -> None:
        super().__init__(f"{counted(len(places), 'record')} above the size that the topic allows")
        self.places = tuple(places)


class NotAcknowledged(Retryable):
    """Records not acknowledged in time (`places`) or too large for their topic (`too_large`).

    Both are indices in the records to publish; all other records are acknowledged.
    """

    step = "publish"

    def __init__(self, places: tuple[int, ...], reason: str, too_large: tuple[int, ...] = ()) -> None:
        super().__init__(f"{counted(len(places), 'record')} not acknowledged: {reason}")
        self.places = places
        self.too_large = too_large


class Publisher:
    """An idempotent producer that waits for all replicas.

    aiokafka's idempotent producer keeps a record until it is acknowledged, however long the broker is unreachable, and
    delivers it once. So a record without an answer yet is waited for again, never sent again: that would duplicate it.
    """

    def __init__(self, settings: KafkaSettings, client_id: str) -> None:
        self._settings = settings
        self._client_id = client_id
        self._producer: AIOKafkaProducer | None = None
        self._broken = False
        self._renewing = asyncio.Lock()
        self._stopping: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Connect.

        Raises:
            KafkaError: no broker answers.
        """
        self._producer = await self._connect()

    async def stop(self) -> None:
        """Deliver what the producer holds, for at most a few seconds, and disconnect."""
        if self._producer is not None:
            self._stop_later(self._producer)
            self._producer = None
        if self._stopping:
            _, late = await asyncio.wait(self._stopping, timeout=_STOP_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def publish(self, records: Sequence[OutRecord], hold_s: float | None = None) -> list[Acknowledged]:
        """Publish all records and wait up to `hold_s` for every acknowledgement.

        A failed record is sent again. A record without an answer is waited for, also by a later call with the same
        `OutRecord`.

        Returns:
            Where each record is, in the order of `records`.

        Raises:
            TooLarge: some are too large for their topic; all others are acknowledged.
            NotAcknowledged: some are not acknowledged after `hold_s`; the default is the setting.
            Fatal: Kafka does not let this service write.
        """
        if not records:
            return []
        deadline = Deadline(self._settings.hold_s if hold_s is None else hold_s)
        with signals.CLIENT_SECONDS.timed(operation="send", operation_type="send"):
            done, too_large = await self._publish(records, deadline)
        if too_large:
            raise TooLarge(too_large)
        return [done[place] for place in range(len(records))]

    async def _publish(
        self, records: Sequence[OutRecord], deadline: Deadline
    ) -> tuple[dict[int, Acknowledged], list[int]]:
        """Return what is acknowledged and what is too large, by the index in `records`."""
        done: dict[int, Acknowledged] = {}
        too_large: list[int] = []
        pending = list(range(len(records)))
        backoff = Backoff()
        while pending:
            failed: dict[int, BaseException] = {}
            results = await self._send([records[place] for place in pending], deadline)
            for place, result in zip(pending, results, strict=True):
                if isinstance(result, Acknowledged):
                    done[place] = result
                elif isinstance(result, _TOO_LARGE):
                    too_large.append(place)
                else:
                    failed[place] = result
            _count_acknowledged(records[place] for place in pending if place in done)
            pending = list(failed)
            if pending:
                await self._wait_before_retry(failed, too_large, deadline, backoff)
        return done, too_large

    async def _wait_before_retry(
        self, failed: dict[int, BaseException], too_large: Sequence[int], deadline: Deadline, backoff: Backoff
    ) -> None:
        """Wait before the next attempt, unless an error is final or the deadline has passed.

        Raises:
            NotAcknowledged: the deadline has passed.
            Fatal: Kafka does not let this service write.
        """
        for error in failed.values():
            if isinstance(error, AUTHORISATION_ERRORS):
                raise Fatal(f"Kafka does not let this service write: {type(error).__name__}; check the ACLs") from None
            if not isinstance(error, KafkaError | OSError | TimeoutError):
                raise error
        reasons = ", ".join(sorted({type(error).__name__ for error in failed.values()}))
        if deadline.passed:
            raise NotAcknowledged(tuple(failed), reasons, tuple(too_large))
        pause = min(backoff.next(), deadline.remaining())
        signals.RETRIES.add(1, reason="publish")
        log.warning("%d records not acknowledged: %s; retrying in %.1f s", len(failed), reasons, pause)
        await asyncio.sleep(pause)

    async def _send(self, records: Sequence[OutRecord], deadline: Deadline) -> list[Acknowledged | BaseException]:
        """Send what is not being sent yet, and wait for all until the deadline; TimeoutError where no answer came.

        Behind a record that the producer does not take, none is sent: it would overtake that record.
        """
        waiting: list[asyncio.Future[Any] | BaseException] = []
        try:
            async with asyncio.timeout(deadline.remaining()):  # one for all: a timer for each record costs CPU
                producer = await self._renewed()
                for record in records:
                    waiting.append(await self._started(record, producer))  # noqa: PERF401 - those before a time-out count
        except (KafkaError, OSError, TimeoutError) as error:
            waiting += [error] * (len(records) - len(waiting))
        futures = {future for future in waiting if isinstance(future, asyncio.Future)}
        if futures:
            await asyncio.wait(futures, timeout=deadline.remaining())
        return [self._result(record, future) for record, future in zip(records, waiting, strict=True)]

    async def _started(self, record: OutRecord, producer: AIOKafkaProducer) -> "asyncio.Future[Any] | BaseException":
        """Return the future of a record that is being sent; hand any other record to the producer.

        A record that a former producer holds is waited for: one behind it, sent by the new one, would overtake it.
        """
        if record.sending is not None and record.producer is not producer:
            await asyncio.wait([record.sending])
            if record.sending.exception() is not None:
                record.sending = None
        if record.sending is not None:
            return record.sending
        try:
            # If `send` fails or is cancelled, it has not accepted the record: a second attempt cannot duplicate it.
            record.sending = await self._hand_over(producer, record)
        except _TOO_LARGE as error:
            return error
        record.producer = producer
        return record.sending

    @staticmethod
    async def _hand_over(producer: AIOKafkaProducer, record: OutRecord) -> "asyncio.Future[Any]":
        if record.key is not None or record.value is not None:
            accepted: asyncio.Future[Any] = await producer.send(
                record.topic, value=record.value, key=record.key, headers=list(record.headers)
            )
            return accepted
        # The dead letter of a record that has only headers; `send` refuses it.
        batch = producer.create_batch()
        batch.append(key=None, value=None, timestamp=None, headers=list(record.headers))
        partition = min(await producer.partitions_for(record.topic))
        sent: asyncio.Future[Any] = await producer.send_batch(batch, record.topic, partition=partition)
        return sent

    def _result(self, record: OutRecord, future: "asyncio.Future[Any] | BaseException") -> Acknowledged | BaseException:
        if isinstance(future, BaseException):
            return future
        if not future.done():
            return TimeoutError()
        error = future.exception()
        if error is not None:
            # The broker refused it, so a sequence number is missing: it would refuse all later records as well.
            self._broken = True
            return error
        record.sending, metadata = None, future.result()
        record.acknowledged = Acknowledged(metadata.partition, metadata.offset, metadata.timestamp)
        return record.acknowledged

    async def _renewed(self) -> AIOKafkaProducer:
        """Return the producer, a new one instead of a broken one; that still delivers what it has accepted."""
        async with self._renewing:
            if self._producer is not None and not self._broken:
                return self._producer
            producer = await self._connect()
            if self._producer is not None:
                self._stop_later(self._producer)
            self._producer = producer
            self._broken = False
            return producer

    def _stop_later(self, producer: AIOKafkaProducer) -> None:
        task = asyncio.create_task(producer.stop())
        self._stopping.add(task)
        task.add_done_callback(self._stopping.discard)

    async def _connect(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            **self._settings.client(),
            client_id=self._client_id,
            acks="all",
            enable_idempotence=True,
            max_request_size=_LARGEST_RECORD + 64 * 1024,
            request_timeout_ms=_REQUEST_MS,
            linger_ms=0,
        )
        try:
            await producer.start()
        except BaseException:
            await producer.stop()
            raise
        return producer


def _count_acknowledged(records: Iterable[OutRecord]) -> None:
    for topic, count in Counter(record.topic for record in records).items():
        signals.SENT.add(count, operation="send", destination=topic)
