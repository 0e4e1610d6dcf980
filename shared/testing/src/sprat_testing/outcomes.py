"""What comes out of an installation: Results and dead letters, followed from the first record on, and waited for."""

import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from sprat.base.settings import KafkaSettings
from sprat.kafka.clients import close_in_time, make_consumer
from sprat_contracts import Event, KafkaRecord, Result, decode
from sprat_operations.dead_letters import DeadLetter, read_dead_letter

T = TypeVar("T")


class RecordPlace(NamedTuple):
    """Where a record is in Kafka."""

    topic: str
    partition: int
    offset: int


Of = str | RecordPlace | Mapping[str, str]
"""What names a text: its id, its place, or a part of its reference."""


class Outcomes:
    """All Results and dead letters so far. Any thread may ask; one follows Kafka."""

    def __init__(self) -> None:
        self._results: list[Event[Result]] = []
        self._letters: list[DeadLetter] = []
        self._changed = threading.Condition()
        self._consumer: Any = None

    async def follow(self, kafka: KafkaSettings, following: Callable[[], object]) -> None:
        """Read the topics of results and of dead letters from their beginning, until cancelled.

        `following` is called when the consumer is connected.
        """
        topics = kafka.topics
        consumer = make_consumer(
            kafka.client(),
            *map(topics.results, topics.tasks),
            topics.dead_letters,
            group_id=None,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=100,
        )
        await consumer.start()
        self._consumer = consumer
        following()
        try:
            async for record in consumer:
                self.add(record, is_letter=record.topic == topics.dead_letters)
        finally:
            await close_in_time(consumer.stop)

    async def is_complete(self) -> bool:
        """Return whether everything that Kafka has now is here."""
        ends = await self._consumer.end_offsets(list(self._consumer.assignment()))
        return all([await self._consumer.position(partition) >= end for partition, end in ends.items()])

    def add(self, record: KafkaRecord, *, is_letter: bool) -> None:
        """Add a record. What is neither, because a test wrote it there, is left out."""
        with self._changed, contextlib.suppress(ValueError):
            if is_letter:
                self._letters.append(read_dead_letter(record))
            else:
                self._results.append(decode(record, Result))
            self._changed.notify_all()

    def results(self, of: Of | None = None, task: str | None = None) -> list[Event[Result]]:
        """Return the Results so far: all, or those of a text."""
        with self._changed:
            return [
                event
                for event in self._results
                if (of is None or _is_result_of(event.message, of)) and task in (None, event.message.task)
            ]

    def letters(self, of: str | RecordPlace | None = None) -> list[DeadLetter]:
        """Return the dead letters so far: all, or those of a record by its id or place."""
        with self._changed:
            return [letter for letter in self._letters if of is None or _is_letter_of(letter, of)]

    def wait(self, found: Callable[[], list[T]], timeout: float) -> list[T]:
        """Return what `found` returns as soon as there is something; after `timeout` seconds, an empty list."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while not (now := found()) and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)
            return now


def _is_result_of(result: Result, of: Of) -> bool:
    if isinstance(of, Mapping):
        return of.items() <= (result.reference or {}).items()
    if isinstance(of, RecordPlace):
        return (result.origin.partition, result.origin.offset) == (of.partition, of.offset)
    return result.text_id == of


def _is_letter_of(letter: DeadLetter, of: str | RecordPlace) -> bool:
    if isinstance(of, RecordPlace):
        return (letter.reason.topic, letter.reason.partition, letter.reason.offset) == of
    return letter.identity is not None and letter.identity[1] == of
