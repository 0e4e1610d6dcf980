"""Publishing with acknowledgement: all or a clear reason, and a retry resends only what is not acknowledged."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
)

from sprat.errors import Fatal, Retryable, SpratError
from sprat.retry import Backoff, Deadline
from sprat.settings import KafkaSettings

log = logging.getLogger(__name__)

AUTHORISATION_ERRORS = (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
)
_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)
_LARGEST_RECORD = 3 * 1024 * 1024
_REQUEST_MS = 15_000
_STOP_S = 3.0


@dataclass(slots=True, eq=False)
class OutRecord:
    """A record to publish, encoded; and the producer's promise, once it has taken it."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()
    under_way: "asyncio.Future[Any] | None" = None

    @property
    def size(self) -> int:
        """Bytes that the record takes in its topic, at the most: its own, and the head of a batch."""
        headers = sum(len(name) + len(value or b"") + 4 for name, value in self.headers)
        return len(self.key or b"") + len(self.value or b"") + headers + 96


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Where a record came to stand."""

    partition: int
    offset: int
    timestamp_ms: int
    """The broker's clock."""


class TooLarge(SpratError):
    """Records that their topic does not take, by their places in what was to be published.

    All others are acknowledged.
    """

    def __init__(self, places: Sequence[int]) -> None:
        super().__init__(f"{len(places)} records are larger than their topic allows")
        self.places = tuple(places)


class NotAcknowledged(Retryable):
    """Records not acknowledged in time, or `too_large`, at these places of what was to be published; the others are."""

    def __init__(self, places: tuple[int, ...], reason: str, too_large: tuple[int, ...] = ()) -> None:
        super().__init__(f"{len(places)} records not acknowledged: {reason}")
        self.places = places
        self.too_large = too_large


class Publisher:
    """An idempotent producer that waits for all replicas.

    aiokafka's idempotent producer keeps a record until it is acknowledged, however long the broker is away, and then
    delivers it once. So a record without an answer yet is waited for again, never sent again: that would double it.
    """

    def __init__(self, settings: KafkaSettings, client_id: str) -> None:
        self._settings = settings
        self._client_id = client_id
        self._producer: AIOKafkaProducer | None = None
        self._suspect = False
        self._renewing = asyncio.Lock()
        self._retired: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Connect.

        Raises:
            KafkaError: no broker answers.
        """
        self._producer = await self._connect()

    async def stop(self) -> None:
        """Send what is in hand, for a few seconds, and disconnect."""
        if self._producer is not None:
            self._retire(self._producer)
            self._producer = None
        if self._retired:
            _, late = await asyncio.wait(self._retired, timeout=_STOP_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def publish(self, records: Sequence[OutRecord], hold_s: float | None = None) -> list[Acknowledged]:
        """Publish all and wait for every acknowledgement, for `hold_s`.

        What failed is sent again; what has no answer yet is waited for, also by a later call with the same
        record.

        Raises:
            TooLarge: some are too large for their topic; all others are acknowledged.
            NotAcknowledged: some are not acknowledged after `hold_s` (of the settings, unless given).
            Fatal: Kafka does not let this service write.
        """
        done: dict[int, Acknowledged] = {}
        too_large: list[int] = []
        pending = list(range(len(records)))
        deadline, backoff = Deadline(self._settings.hold_s if hold_s is None else hold_s), Backoff()
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
            pending = list(failed)
            if pending:
                await self._hold(failed, too_large, deadline, backoff)
        if too_large:
            raise TooLarge(too_large)
        return [done[place] for place in range(len(records))]

    async def _hold(
        self, failed: dict[int, BaseException], too_large: Sequence[int], deadline: Deadline, backoff: Backoff
    ) -> None:
        """Wait before the next attempt, unless an error is final or the time is up.

        Raises:
            NotAcknowledged: the deadline has passed.
            Fatal: Kafka does not let this service write.
        """
        for error in failed.values():
            if isinstance(error, AUTHORISATION_ERRORS):
                raise Fatal(f"Kafka does not let this service write: {type(error).__name__}; mend its ACLs") from None
            if not isinstance(error, KafkaError | OSError | TimeoutError):
                raise error
        reasons = ", ".join(sorted({type(error).__name__ for error in failed.values()}))
        if deadline.passed:
            raise NotAcknowledged(tuple(failed), reasons, tuple(too_large))
        pause = min(backoff.next(), deadline.remaining())
        log.warning("%d records not acknowledged: %s; again in %.1f s", len(failed), reasons, pause)
        await asyncio.sleep(pause)

    async def _send(self, records: Sequence[OutRecord], deadline: Deadline) -> list[Acknowledged | BaseException]:
        """Send what is not under way yet, and wait for all until the deadline; TimeoutError for what has no answer."""
        try:
            async with asyncio.timeout(deadline.remaining()):
                await self._renew()
        except (KafkaError, OSError, TimeoutError) as error:
            return [error] * len(records)
        waiting = [await self._started(record, deadline) for record in records]
        futures = {future for future in waiting if isinstance(future, asyncio.Future)}
        if futures:
            await asyncio.wait(futures, timeout=deadline.remaining())
        return [self._result(record, future) for record, future in zip(records, waiting, strict=True)]

    async def _started(self, record: OutRecord, deadline: Deadline) -> "asyncio.Future[Any] | BaseException":
        """Give the future of a record that is under way, or hand the record to the producer."""
        if record.under_way is not None:
            return record.under_way
        if self._producer is None:
            raise Fatal("the publisher was not started")
        try:
            # Cancelled, or failing, `send` has not taken the record: sending it again cannot double it.
            async with asyncio.timeout(deadline.remaining()):
                record.under_way = await self._hand_over(self._producer, record)
        except (KafkaError, OSError, TimeoutError) as error:
            return error
        return record.under_way

    @staticmethod
    async def _hand_over(producer: AIOKafkaProducer, record: OutRecord) -> "asyncio.Future[Any]":
        if record.key is not None or record.value is not None:
            taken: asyncio.Future[Any] = await producer.send(
                record.topic, value=record.value, key=record.key, headers=list(record.headers)
            )
            return taken
        # A record of nothing but headers, which `send` refuses: the dead letter of one.
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
        record.under_way = None
        error = future.exception()
        if error is not None:
            # The broker refused it: its sequence number is missing now, and everything behind it would be refused too.
            self._suspect = True
            return error
        metadata = future.result()
        return Acknowledged(metadata.partition, metadata.offset, metadata.timestamp)

    async def _renew(self) -> None:
        """Where the producer is suspect, go on with a new one; the old one still delivers what it has taken."""
        async with self._renewing:
            if self._producer is not None and not self._suspect:
                return
            fresh = await self._connect()
            if self._producer is not None:
                self._retire(self._producer)
            self._producer = fresh
            self._suspect = False

    def _retire(self, producer: AIOKafkaProducer) -> None:
        task = asyncio.create_task(producer.stop())
        self._retired.add(task)
        task.add_done_callback(self._retired.discard)

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
