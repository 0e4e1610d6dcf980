"""A stream of results and dead letters as they arrive."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from sprat.base.errors import UserError
from sprat.base.settings import KafkaSettings
from sprat.kafka.clients import cancel_requests, client_arguments, close_in_time, make_consumer, missing_topics
from sprat_contracts import TASKS, DeadLetterReason, Envelope, Result, TextSubmitted, WireError, decode
from sprat_operations.dead_letters import DeadLetter, read_dead_letter
from sprat_operations.feedback import identity_of_text

Filter = Callable[[Mapping[str, str]], bool]
"""Returns whether a result is wanted; it gets the headers only, the value is not decoded yet."""

_MAX_RECORDS = 500


@dataclass(frozen=True, slots=True)
class StoredResult:
    """A result on its topic."""

    envelope: Envelope
    result: Result
    decided_at: int
    """When the broker appended it: epoch milliseconds."""

    @property
    def total_ms(self) -> int:
        """Return the time from the text's arrival to the result's, both by the broker's clock."""
        return max(0, self.decided_at - self.result.origin.appended_at)

    @property
    def trace_id(self) -> str:
        """Return the trace that this text has on every topic."""
        return self.envelope.traceparent.trace_id


@dataclass(frozen=True, slots=True)
class SeenDeadLetter:
    """A dead letter on its topic."""

    letter: DeadLetter
    """Without its value."""

    @property
    def reason(self) -> DeadLetterReason:
        """Return the reason, with the service that wrote the letter."""
        return self.letter.reason

    @property
    def trace_id(self) -> str | None:
        """Return the trace of the original."""
        return self.letter.trace_id


@dataclass(frozen=True, slots=True)
class UnreadableRecord:
    """A record that is not what its topic holds."""

    topic: str
    partition: int
    offset: int
    why: str


Seen = StoredResult | SeenDeadLetter | UnreadableRecord


_OF_NEW_TASK: Final = (
    "; router and frontier read the file of a task that was added when they start: restart them, or your `sprat up`, "
    "which makes the topics, too"
)


class MissingTopics(UserError):
    """Topics of the results do not exist on this Kafka."""


class ResultStream:
    """A consumer of result topics, and of the dead letters where wanted, without a group."""

    def __init__(
        self,
        kafka: KafkaSettings,
        tasks: Collection[str],
        *,
        dead_letters: bool,
        wanted: Filter | None = None,
        wanted_letters: Filter | None = None,
        without_new: bool = False,
    ) -> None:
        """Make a consumer that is not connected.

        Args:
            kafka: with the names of the topics.
            tasks: whose results are read.
            dead_letters: whether they are read as well.
            wanted: which results; None: all.
            wanted_letters: which dead letters; None: all.
            without_new: whether tasks that were added are left out where their topics are not made yet; see `left_out`.
        """
        self._dead_letters = kafka.topics.dead_letters
        self._topics = [kafka.topics.results(task) for task in tasks] + [self._dead_letters] * dead_letters
        self._added = {kafka.topics.results(task) for task in tasks if task not in TASKS}
        self._wanted = wanted
        self._wanted_letters = wanted_letters
        self._without_new = without_new
        self.left_out: tuple[str, ...] = ()
        """Topics that do not exist, of tasks that were added."""
        self._client = client_arguments(kafka)
        self._consumer: Any = None

    async def start(self, since_ms: int | None = None) -> None:
        """Connect and start at the present ends, or at the first records appended at `since_ms` (epoch) or later.

        Raises:
            UserError: a topic does not exist.
        """
        partitions = await self._partitions()
        consumer = make_consumer(self._client, group_id=None, auto_offset_reset="latest")
        self._consumer = consumer
        consumer.assign(partitions)
        await consumer.start()
        places: dict[TopicPartition, int] = dict(await consumer.end_offsets(partitions))
        if since_ms is not None:
            found = await consumer.offsets_for_times(dict.fromkeys(partitions, since_ms))
            places |= {partition: place.offset for partition, place in found.items() if place is not None}
        for partition, offset in places.items():
            consumer.seek(partition, offset)

    async def _partitions(self) -> list[TopicPartition]:
        """Return all partitions of the topics. A consumer would wait for a missing topic until it times out."""
        admin = AIOKafkaAdminClient(**self._client)
        try:
            await admin.start()
            described = await admin.describe_topics(self._topics)
        finally:
            await close_in_time(admin.close)
        missing = missing_topics(described)
        if self._without_new and self._added.issuperset(missing) and len(missing) < len(described):
            self.left_out = tuple(missing)
            described = [each for each in described if each["topic"] not in missing]
        elif missing:
            after = _OF_NEW_TASK if self._added.intersection(missing) else ""
            raise MissingTopics(f"there is no topic {', '.join(missing)}: run `sprat topics create`{after}")
        return [TopicPartition(each["topic"], part["partition"]) for each in described for part in each["partitions"]]

    async def read(self, timeout_s: float) -> list[Seen]:
        """Return the records that have arrived; wait at most `timeout_s` for the first."""
        found = await self._consumer.getmany(timeout_ms=int(timeout_s * 1000), max_records=_MAX_RECORDS)
        records = sorted((record for batch in found.values() for record in batch), key=lambda record: record.timestamp)
        return [seen for record in records if (seen := self._seen(record)) is not None]

    async def caught_up(self) -> bool:
        """Return whether all that stands on the topics now was read."""
        ends = await self._consumer.end_offsets(list(self._consumer.assignment()))
        positions = [await self._consumer.position(partition) for partition in ends]
        return all(position >= end for position, end in zip(positions, ends.values(), strict=True))

    async def stop(self) -> None:
        """Disconnect."""
        if self._consumer is not None:
            await close_in_time(self._consumer.stop)

    async def answers(self, timeout_s: float) -> bool:
        """Return whether Kafka answers in time. `read` cannot: it returns nothing in both cases."""
        requests = cancel_requests()
        try:
            async with asyncio.timeout(timeout_s):
                await self._consumer.end_offsets(list(self._consumer.assignment()))
        except (KafkaError, OSError, TimeoutError):
            return False
        except asyncio.CancelledError:
            if cancel_requests() > requests:
                raise
            return False
        return True

    def _seen(self, record: ConsumerRecord) -> Seen | None:
        try:
            is_letter = record.topic == self._dead_letters
            wanted = self._wanted_letters if is_letter else self._wanted
            if wanted is not None:
                headers = {name: (value or b"").decode("utf-8", "replace") for name, value in record.headers}
                if not wanted(headers):
                    return None
            if is_letter:
                return SeenDeadLetter(read_dead_letter(record).without_value())
            event = decode(record, Result)
        except (WireError, ValueError) as error:
            return UnreadableRecord(record.topic, record.partition, record.offset, str(error))
        return StoredResult(event.envelope, event.message, record.timestamp)


_WAIT_MS: Final = 5_000


class TextLookup:
    """A consumer of the topic of texts, without a group, that reads one record at a time."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self.topic = kafka.topics.texts
        self._client = client_arguments(kafka)
        self._consumer: Any = None

    async def start(self) -> None:
        """Connect."""
        self._consumer = make_consumer(self._client, group_id=None, auto_offset_reset="earliest")
        await self._consumer.start()

    async def stop(self) -> None:
        """Disconnect."""
        if self._consumer is not None:
            await close_in_time(self._consumer.stop)

    async def text_of(self, result: Result) -> str | None:
        """Return the text of a result; None where it is no longer there, as texts expire and are erased.

        Raises:
            TopicAuthorizationFailedError: this user may not read the texts.
        """
        place, offset = TopicPartition(self.topic, result.origin.partition), result.origin.offset
        self._consumer.assign([place])
        first = (await self._consumer.beginning_offsets([place]))[place]
        end = (await self._consumer.end_offsets([place]))[place]
        if not first <= offset < end:
            return None
        self._consumer.seek(place, offset)
        found = await self._consumer.getmany(place, timeout_ms=_WAIT_MS, max_records=1)
        for record in found.get(place, ()):
            # Another record may stand there, where the topic was made anew or the text was erased.
            if record.offset == offset and identity_of_text(record) == (result.text_source, result.text_id):
                return _text_in(record)
        return None


def _text_in(record: Any) -> str | None:
    try:
        return decode(record, TextSubmitted).message.text
    except WireError:
        return None
