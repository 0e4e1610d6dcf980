"""Publishing with acknowledgement: all or a clear reason, and a retry resends only what is not acknowledged."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
)

from sprat.deadline import Deadline
from sprat.delivery.backoff import Backoff
from sprat.errors import Fatal, Retryable, SpratError
from sprat.settings import KafkaSettings

log = logging.getLogger(__name__)

AUTHORISATION_ERRORS = (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
)
_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)
_LARGEST_RECORD = 3 * 1024 * 1024
_ATTEMPT_MS = 15_000


@dataclass(frozen=True, slots=True)
class OutRecord:
    """A record to publish, encoded."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()

    @property
    def size(self) -> int:
        """Bytes that the record takes in its topic, give or take the varints."""
        headers = sum(len(name) + len(value or b"") + 4 for name, value in self.headers)
        return len(self.key or b"") + len(self.value or b"") + headers + 32


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Where a record came to stand."""

    partition: int
    offset: int
    timestamp_ms: int
    """The broker's clock."""


class TooLarge(SpratError):
    """Records that their topic does not take, at these places of what was to be published; the others are
    acknowledged."""

    def __init__(self, places: Sequence[int]) -> None:
        super().__init__(f"{len(places)} records are larger than their topic allows")
        self.places = tuple(places)


class NotAcknowledged(Retryable):
    """Records not acknowledged in time, at these places of what was to be published; the others are."""

    def __init__(self, places: tuple[int, ...], reason: str) -> None:
        super().__init__(f"{len(places)} records not acknowledged: {reason}")
        self.places = places


class Publisher:
    """An idempotent producer that waits for all replicas."""

    def __init__(self, settings: KafkaSettings, client_id: str) -> None:
        self._settings = settings
        self._client_id = client_id
        self._producer: AIOKafkaProducer | None = None
        self._suspect = False

    async def start(self) -> None:
        """Connect.

        Raises:
            KafkaError: no broker answers.
        """
        self._producer = await self._connect()

    async def stop(self) -> None:
        """Send what is in hand and disconnect."""
        if self._producer is not None:
            await self._producer.stop()
            self._producer = None

    async def publish(self, records: Sequence[OutRecord], hold_s: float | None = None) -> list[Acknowledged]:
        """Publish all and wait for every acknowledgement; what is not acknowledged is sent again, for `hold_s`.

        Raises:
            TooLarge: some are too large for their topic; all others are acknowledged.
            NotAcknowledged: some are not acknowledged after `hold_s` (of the settings, unless given).
            Fatal: Kafka does not let this service write.
        """
        done: list[Acknowledged | None] = [None] * len(records)
        too_large: list[int] = []
        pending = list(range(len(records)))
        deadline, backoff = Deadline(self._settings.hold_s if hold_s is None else hold_s), Backoff()
        while pending:
            failed: dict[int, BaseException] = {}
            for place, result in zip(pending, await self._send([records[i] for i in pending]), strict=True):
                if isinstance(result, Acknowledged):
                    done[place] = result
                elif isinstance(result, _TOO_LARGE):
                    too_large.append(place)
                else:
                    failed[place] = result
            pending = list(failed)
            if pending:
                await self._hold(failed, deadline, backoff)
        if too_large:
            raise TooLarge(too_large)
        return [acknowledged for acknowledged in done if acknowledged is not None]

    async def _hold(self, failed: dict[int, BaseException], deadline: Deadline, backoff: Backoff) -> None:
        self._suspect = True
        for error in failed.values():
            if isinstance(error, AUTHORISATION_ERRORS):
                raise Fatal(f"Kafka does not let this service write: {type(error).__name__}; mend its ACLs") from None
            if not isinstance(error, KafkaError | OSError | TimeoutError):
                raise error
        if deadline.passed:
            raise NotAcknowledged(tuple(failed), type(error).__name__)
        pause = min(backoff.next(), deadline.remaining())
        log.warning("%d records not acknowledged: %s; again in %.1f s", len(failed), type(error).__name__, pause)
        await asyncio.sleep(pause)

    async def _send(self, records: Sequence[OutRecord]) -> list[Acknowledged | BaseException]:
        """Try once. After a failure the producer is made anew: an idempotent one whose batch expired goes on with a
        gap in its sequence numbers, which the broker refuses."""
        if self._suspect or self._producer is None:
            try:
                await self._renew()
            except (KafkaError, OSError) as error:
                return [error] * len(records)
        producer = self._producer
        assert producer is not None  # noqa: S101 - _renew made it
        waiting: list[asyncio.Future[Acknowledged]] = []
        for record in records:
            try:
                sent = await producer.send(
                    record.topic, value=record.value, key=record.key, headers=list(record.headers)
                )
            except (KafkaError, OSError) as error:
                sent = asyncio.get_running_loop().create_future()
                sent.set_exception(error)
            waiting.append(sent)
        results = await asyncio.gather(*waiting, return_exceptions=True)
        return [
            result if isinstance(result, BaseException) else Acknowledged(result.partition, result.offset, result.timestamp)
            for result in results
        ]

    async def _renew(self) -> None:
        old, self._producer = self._producer, None
        if old is not None:
            try:
                async with asyncio.timeout(1):
                    await old.stop()
            except (KafkaError, OSError, TimeoutError) as error:
                log.debug("the old producer did not stop cleanly: %s", type(error).__name__)
        self._producer = await self._connect()
        self._suspect = False

    async def _connect(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            **self._settings.client(),
            client_id=self._client_id,
            acks="all",
            enable_idempotence=True,
            max_request_size=_LARGEST_RECORD + 64 * 1024,
            request_timeout_ms=_ATTEMPT_MS,
            linger_ms=0,
        )
        try:
            await producer.start()
        except BaseException:
            await producer.stop()
            raise
        return producer
