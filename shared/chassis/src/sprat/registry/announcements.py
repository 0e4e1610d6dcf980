"""Announcing a model, and following what others announce, on the compacted `models` topic."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError

from sprat.errors import Fatal, Retryable
from sprat.kafka.clients import make_consumer
from sprat.kafka.publisher import Acknowledged, OutRecord, Publisher
from sprat.registry.model_table import model_key
from sprat.registry.retirement import Ends, Retirement, owned_until, owned_until_header
from sprat.settings import KafkaSettings
from sprat_contracts import Envelope, ModelAnnounced, Traceparent, WireError, decode, encode
from sprat_contracts.ids import derive

log = logging.getLogger(__name__)

_CATCH_UP_S = 10.0
_STALE_MS = 60_000
"""A first announcement that no second one followed within this time belongs to a start that failed."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """A record of the models topic: None in `announced` is a tombstone."""

    key: bytes | None
    announced: ModelAnnounced | None
    appended_at: int
    owned_until: Ends | None = None
    """What the record itself says of it, see `sprat.registry.retirement`."""
    retirement: Retirement = field(default_factory=Retirement)
    """What all the records under this key add up to, with this one."""


@dataclass(frozen=True, slots=True)
class Ownership:
    """Which texts are a model's."""

    owns_from: int
    """Epoch milliseconds: those appended from then on."""
    left: Ends = field(default_factory=dict)
    """And those before these offsets, which were its own when it was last withdrawn: who has not answered them yet does
    so now."""


class ModelsReader:
    """Reads the models topic from its beginning, each time up to the end that it has at that moment.

    Between the times its partitions are paused: a broker answers the requests of a connection in order, and the
    question for the end would wait behind a fetch that waits for records.
    """

    def __init__(self, settings: KafkaSettings, apply: Callable[[Announcement], object]) -> None:
        self._topic = settings.topics.models
        self._apply = apply
        self._consumer = make_consumer(
            settings.client(),
            self._topic,
            group_id=None,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=100,
            # A topic that does not exist is asked for as long as this before it is told.
            request_timeout_ms=5_000,
        )
        self._partitions: list[TopicPartition] = []
        self._retirements: dict[bytes | None, Retirement] = {}

    async def start(self) -> None:
        """Connect and read to the end.

        Raises:
            Fatal: the topic does not exist.
        """
        try:
            await self._consumer.start()
        except UnknownTopicOrPartitionError:
            raise Fatal(f"topic {self._topic} does not exist: run `sprat topics create`") from None
        self._partitions = list(self._consumer.assignment())
        await self.catch_up()

    async def catch_up(self, within_s: float = _CATCH_UP_S) -> None:
        """Read to the present end of the topic.

        Raises:
            Retryable: Kafka does not answer.
        """
        try:
            async with asyncio.timeout(within_s):
                await self._read_to_the_end()
        except (KafkaError, TimeoutError) as error:
            raise Retryable(f"the models topic cannot be read: {type(error).__name__}") from None

    async def _read_to_the_end(self) -> None:
        ends = await self._consumer.end_offsets(self._partitions)
        for partition, end in ends.items():
            if await self._consumer.position(partition) > end:  # the topic was made anew
                self._consumer.seek(partition, 0)
                self._retirements.clear()
            while await self._consumer.position(partition) < end:
                self._consumer.resume(partition)
                for records in (await self._consumer.getmany(partition, timeout_ms=200)).values():
                    for record in records:
                        self._take(record)
            self._consumer.pause(partition)

    async def stop(self) -> None:
        """Disconnect."""
        await self._consumer.stop()

    def _take(self, record: ConsumerRecord) -> None:
        before = self._retirements.get(record.key, Retirement())
        said = owned_until(record.headers)
        if record.value is None:
            announced, after = None, before.after_tombstone(said)
        else:
            try:
                announced = decode(record, ModelAnnounced).message
            except WireError as error:
                log.warning("an announcement is not valid: %s", error.code, extra={"offset": record.offset})
                return
            after = before.after_announcement(said)
        self._retirements[record.key] = after
        self._apply(Announcement(record.key, announced, record.timestamp, said, after))


async def announce(settings: KafkaSettings, publisher: Publisher, model: ModelAnnounced, service: str) -> Ownership:
    """Announce a model and give what it owns.

    Its `owns_from` is that of an earlier announcement, else the broker's timestamp of a first one that carries null,
    which a second one at once carries.

    Replicas that start together agree: they take the earliest first announcement that is not stale. What it left
    behind when it was withdrawn is said again in each announcement, for these supersede the tombstone that says it.
    """
    key = model_key(model.task, model.model)
    history: list[Announcement] = []
    reader = ModelsReader(settings, lambda seen: history.append(seen) if seen.key == key else None)
    await reader.start()
    try:
        owns_from = _agreed(history, None)
        if owns_from is None:
            unowned = model.model_copy(update={"owns_from": None})
            first = await _publish(settings, publisher, unowned, service, _left(history))
            await reader.catch_up()
            owns_from = _agreed(history, first.timestamp_ms)
        if owns_from is None:
            raise Fatal("the announcement was not found on the models topic")
        ours = model.model_copy(update={"owns_from": owns_from})
        left = _left(history)
        last = history[-1]
        same = last.announced is not None and last.announced.model_dump() == ours.model_dump()
        if not same or last.owned_until != left:
            await _publish(settings, publisher, ours, service, left)
    finally:
        await reader.stop()
    return Ownership(owns_from, left or {})


def _left(history: list[Announcement]) -> Ends | None:
    return history[-1].retirement.left if history else None


def _agreed(history: list[Announcement], first_at: int | None) -> int | None:
    """Give the `owns_from` that stands since the last tombstone.

    Without one, and with a first announcement of our own made at `first_at`, the moment of the earliest that is
    not stale.
    """
    since: list[Announcement] = []
    for seen in history:
        since = [] if seen.announced is None else [*since, seen]
    for seen in reversed(since):
        if seen.announced is not None and seen.announced.owns_from is not None:
            return seen.announced.owns_from
    if first_at is None:
        return None
    return min((seen.appended_at for seen in since if first_at - seen.appended_at < _STALE_MS), default=None)


async def _publish(
    settings: KafkaSettings, publisher: Publisher, model: ModelAnnounced, service: str, left: Ends | None
) -> Acknowledged:
    source = f"/{settings.prefix}/{service}"
    id = str(derive("announcement", source, f"{model.task}/{model.model}", model.version))
    value, headers = encode(model, Envelope(id=id, source=source, traceparent=Traceparent.root(source, id)))
    carried = [] if left is None else [owned_until_header(left)]
    record = OutRecord(settings.topics.models, model_key(model.task, model.model), value, [*headers, *carried])
    return (await publisher.publish([record]))[0]
