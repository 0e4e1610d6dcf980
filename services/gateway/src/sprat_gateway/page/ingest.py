"""Reads the topics into the store, each partition from where the store ends, without a group: no service notices."""

import asyncio
import logging
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Final

from sprat.base.errors import UserError
from sprat.base.exit_code import describe
from sprat.base.retry import OnceAMinute
from sprat.base.settings import KafkaSettings
from sprat.kafka.clients import AUTHORISATION_ERRORS, NO_ANSWER, client_arguments
from sprat.telemetry import signals
from sprat_contracts import KafkaRecord, Topics
from sprat_gateway.page.cost import CostMeter
from sprat_gateway.page.notes import STATE, State, note
from sprat_gateway.page.records import CountedText, RecordReader, Row, TextSample
from sprat_gateway.page.retention import MOST_PAIRS, clear, sweep
from sprat_gateway.page.reviews import review_readings
from sprat_gateway.page.store import PageStore, now_ms
from sprat_gateway.page.writing import Offsets, StoreWriter
from sprat_operations.topic_follower import Place, TopicFollower, Wanted
from sprat_operations.topics import kept_for

log = logging.getLogger(__name__)

Found = Mapping[Place, Sequence[KafkaRecord]]
"""Records by topic and partition."""
_MAX_RECORDS: Final = 1_000
_POLL_S: Final = 0.5
_SWEEP_S: Final = 30.0
_STATE_S: Final = 2.0
_LOOK_AGAIN_S: Final = 60.0
"""When topics are looked for again that do not exist."""
_PAUSE_S: Final = 2.0
_BAD_ROW: Final = (
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    sqlite3.IntegrityError,
    sqlite3.DataError,
    OverflowError,
    TypeError,
    ValueError,
)
"""What a row raises whose fields are not of the types that the contract names."""


def topics_read(topics: Topics, *, whole: bool) -> list[str]:
    """Return the topics that are read: without a page those alone that answers need."""
    answers = [*(topics.results(task) for task in topics.tasks), topics.dead_letters]
    if not whole:
        return answers
    steps = [topics.texts, *(topics.predictions(task) for task in topics.tasks)]
    rest = [topics.frontier_requests, topics.frontier_answers, *answers, topics.egress, topics.models]
    return [*steps, *rest, *review_readings(topics)]


class Ingestion:
    """Keeps the store up to date."""

    def __init__(self, kafka: KafkaSettings, store: PageStore, *, whole: bool, most_pairs: int = MOST_PAIRS) -> None:
        """Name what is read.

        Args:
            kafka: with the names of the topics.
            store: that is open.
            whole: whether there is a page; see `topics_read`.
            most_pairs: how many pairs of a text and a task the store keeps.
        """
        self._kafka = kafka
        self._store = store
        self._whole = whole
        self._most_pairs = most_pairs
        self._sample = TextSample()
        self._cost = CostMeter()
        self._denied: set[str] = set()
        self._read_ms: int | None = None
        """When the newest record was appended that was read."""
        self._failed = OnceAMinute()
        self.caught_up = asyncio.Event()
        """Set when it has read to the ends that the topics had when it began."""

    async def run(self) -> None:
        """Read until cancelled; begin again after a failure, from where the store ends."""
        while True:
            topics = self._kafka.topics
            names = [name for name in topics_read(topics, whole=self._whole) if name not in self._denied]
            results = frozenset(topics.results(task) for task in topics.tasks)
            wanted = Wanted(
                names,
                counted=results,
                whole=frozenset({topics.models, *review_readings(topics)}),
                most=self._most_pairs,
            )
            try:
                async with TopicFollower(self._kafka, wanted) as follower:
                    await self._read(follower, await self._kept_ms(names))
            except AUTHORISATION_ERRORS as error:
                self._denied |= _named(error)
                log.warning("the page does not show all: Kafka denies %s", ", ".join(sorted(_named(error))))
                await asyncio.sleep(_PAUSE_S)
            except Exception as error:  # noqa: BLE001 - the page must not stop the door
                if self._failed.due():
                    expected = isinstance(error, (*NO_ANSWER, UserError, sqlite3.Error))
                    what = type(error).__name__ if expected else describe(error)
                    log.warning("the page's store is not kept up to date: %s; it is tried again", what)
                await asyncio.sleep(_PAUSE_S)

    async def _read(self, follower: TopicFollower, kept_ms: Mapping[str, int]) -> None:
        if not await follower.start(await self._store.read(_stored_offsets)):
            await self._store.write(_begin_anew, await follower.next_offsets())
        reader = RecordReader(self._kafka.topics, kept_ms, self._sample)
        texts_kept_ms = reader.kept_ms(self._kafka.topics.texts)
        began = time.monotonic()
        swept = looked = 0.0
        while not follower.missing or time.monotonic() - began < _LOOK_AGAIN_S:
            if time.monotonic() - swept >= _SWEEP_S:
                await self._store.write(sweep, now_ms(), texts_kept_ms, self._most_pairs)
                swept = time.monotonic()
            found = await follower.read(_POLL_S, _MAX_RECORDS)
            if found:
                await self._take(reader, found)
            if time.monotonic() - looked >= _STATE_S:
                looked = time.monotonic()
                if await self._waiting(follower) > self._most_pairs:
                    return  # more waits than the store keeps: it begins anew behind that
            if not self.caught_up.is_set() and await follower.has_caught_up():
                self.caught_up.set()

    async def _take(self, reader: RecordReader, found: Found) -> None:
        await self._store.write(_write, reader, found, self._cost)
        self._read_ms = max(records[-1].timestamp for records in found.values())
        self._sample.one_in = self._cost.one_in()

    async def _waiting(self, follower: TopicFollower) -> int:
        """Return how many Results wait to be read; write down how many records of all kinds do."""
        waiting, results = await follower.waiting()
        state = State(waiting, self._read_ms, self._sample.one_in, now_ms())
        await self._store.write(note, STATE, state.as_json())
        signals.STORE_WAITING.set(waiting)
        signals.STORE_SAMPLE.set(state.one_in)
        return results

    async def _kept_ms(self, names: Iterable[str]) -> dict[str, int]:
        """Return how long topics keep a record, as far as that may be asked."""
        with suppress(*NO_ANSWER, UserError):
            kept = await kept_for(client_arguments(self._kafka), names)
            return {name: each[0] for name, each in kept.items() if each is not None}
        return {}


def _stored_offsets(connection: sqlite3.Connection) -> dict[tuple[str, int], int]:
    return {(topic, partition): next for topic, partition, next in connection.execute("SELECT * FROM offsets")}


def _begin_anew(writer: StoreWriter, offsets: Offsets) -> None:
    clear(writer)
    writer.write([], offsets)


def _write(writer: StoreWriter, reader: RecordReader, found: Found, cost: CostMeter) -> None:
    began = time.thread_time()
    left_out = reader.left_out
    rows = [row for records in found.values() for record in records for row in reader.read(record)]
    if reader.left_out > left_out:
        log.warning("the page leaves out %d records that do not fit their topics", reader.left_out - left_out)
    offsets = {place: records[-1].offset + 1 for place, records in found.items()}
    try:
        writer.write(rows, offsets)
    except _BAD_ROW:
        _write_each(writer, rows, offsets)
    texts = sum(isinstance(row, CountedText) for row in rows)
    cost.add(texts, sum(map(len, found.values())), time.thread_time() - began)


def _write_each(writer: StoreWriter, rows: Iterable[Row], offsets: Offsets) -> None:
    left_out = 0
    for row in rows:
        try:
            writer.write([row], {})
        except _BAD_ROW:
            left_out += 1
    writer.write([], offsets)
    log.warning("the page leaves out %d records that do not fit their topics", left_out)


def _named(error: Exception) -> set[str]:
    """Return what Kafka refuses: aiokafka passes topics as the error's argument."""
    named = error.args[0] if error.args else ()
    return {named} if isinstance(named, str) else set(named)
