"""Reads the topics into the store, each partition from where the store ends, without a group: no service notices."""

import asyncio
import logging
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import TopicAuthorizationFailedError

from sprat.base.errors import UserError
from sprat.base.retry import OnceAMinute
from sprat.base.settings import KafkaSettings
from sprat.kafka.clients import NO_ANSWER, client_arguments, close_in_time, make_consumer
from sprat_contracts import Topics
from sprat_gateway.page.cost import CostMeter
from sprat_gateway.page.notes import State, note
from sprat_gateway.page.records import Counted, RecordReader, Row, Sample
from sprat_gateway.page.retention import MOST_PAIRS, clear, sweep
from sprat_gateway.page.starts import Start, find_start
from sprat_gateway.page.store import PageStore, now_ms
from sprat_gateway.page.writing import Offsets, Writer
from sprat_operations.topics import kept_for

log = logging.getLogger(__name__)

_MAX_RECORDS: Final = 500
_POLL_MS: Final = 500
_GATHER_S: Final = 0.2
"""Pause after a batch that was not full: one transaction for many records costs less than one for each."""
_SWEEP_S: Final = 30.0
_STATE_S: Final = 2.0
_LOOK_AGAIN_S: Final = 60.0
"""When topics are looked for again that do not exist."""
_PAUSE_S: Final = 2.0
_FETCH_BYTES: Final = 2 * 1024 * 1024
_PARTITION_BYTES: Final = 256 * 1024
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
    return [*steps, topics.frontier_requests, topics.frontier_answers, *answers, topics.egress, topics.models]


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
        self._sample = Sample()
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
            consumer: Any = None
            try:
                consumer = make_consumer(
                    client_arguments(self._kafka),
                    group_id=None,
                    auto_offset_reset="earliest",  # where records expired before they were read
                    fetch_max_bytes=_FETCH_BYTES,
                    max_partition_fetch_bytes=_PARTITION_BYTES,
                )
                await consumer.start()
                await self._read(consumer)
            except TopicAuthorizationFailedError as error:
                self._denied |= _named(error)
                log.warning("the page does not show all: %s may not be read", ", ".join(sorted(self._denied)))
            except (*NO_ANSWER, UserError, sqlite3.Error) as error:
                if self._failed.due():
                    log.warning("the store is not kept up to date: %s; it is tried again", type(error).__name__)
                await asyncio.sleep(_PAUSE_S)
            finally:
                if consumer is not None:
                    await close_in_time(consumer.stop)

    async def _read(self, consumer: Any) -> None:
        names = [name for name in topics_read(self._kafka.topics, whole=self._whole) if name not in self._denied]
        start = await find_start(consumer, self._kafka, names, await self._offsets(), self._most_pairs)
        if start.anew:
            await self._store.write(clear)
        kept_ms = await self._kept_ms(names)
        reader = RecordReader(self._kafka.topics, kept_ms, self._sample)
        consumer.assign(list(start.offsets))
        for partition, offset in start.offsets.items():
            consumer.seek(partition, offset)
        texts_kept_ms = reader.kept_ms(self._kafka.topics.texts)
        missing = set(names) - {partition.topic for partition in start.offsets}
        began = swept = looked = 0.0
        while not missing or time.monotonic() - began < _LOOK_AGAIN_S:
            began = began or time.monotonic()
            if time.monotonic() - swept >= _SWEEP_S:
                await self._store.write(sweep, now_ms(), texts_kept_ms, self._most_pairs)
                swept = time.monotonic()
            found = await consumer.getmany(timeout_ms=_POLL_MS, max_records=_MAX_RECORDS)
            count = sum(map(len, found.values()))
            if count:
                await self._take(reader, found)
            if not self.caught_up.is_set() and await start.reached(consumer):
                self.caught_up.set()
            if time.monotonic() - looked >= _STATE_S:
                looked = time.monotonic()
                if await self._waiting(consumer, start) > self._most_pairs:
                    return  # what waits is more than the store keeps: it begins anew behind that
            if 0 < count < _MAX_RECORDS:
                await asyncio.sleep(_GATHER_S)

    async def _take(self, reader: RecordReader, found: Mapping[TopicPartition, Sequence[ConsumerRecord]]) -> None:
        offsets = {(tp.topic, tp.partition): records[-1].offset + 1 for tp, records in found.items() if records}
        await self._store.write(_write, reader, found, offsets, self._cost)
        self._read_ms = max(records[-1].timestamp for records in found.values() if records)
        self._sample.one_in = self._cost.one_in()

    async def _waiting(self, consumer: Any, start: Start) -> int:
        """Return how many Results wait to be read; write down how many records of all kinds do."""
        waits = {
            tp: max(0, (consumer.highwater(tp) or start.ends[tp]) - await consumer.position(tp)) for tp in start.offsets
        }
        state = State(sum(waits.values()), self._read_ms, self._sample.one_in, now_ms())
        await self._store.write(note, "state", state.as_json())
        results = {self._kafka.topics.results(task) for task in self._kafka.topics.tasks}
        return sum(count for tp, count in waits.items() if tp.topic in results)

    async def _offsets(self) -> dict[tuple[str, int], int]:
        return await self._store.read(_stored_offsets)

    async def _kept_ms(self, names: Iterable[str]) -> dict[str, int]:
        """Return how long topics keep a record, as far as that may be asked."""
        with suppress(*NO_ANSWER, UserError):
            kept = await kept_for(client_arguments(self._kafka), names)
            return {name: each[0] for name, each in kept.items() if each is not None}
        return {}


def _stored_offsets(connection: sqlite3.Connection) -> dict[tuple[str, int], int]:
    return {(topic, partition): next for topic, partition, next in connection.execute("SELECT * FROM offsets")}


def _write(
    writer: Writer,
    reader: RecordReader,
    found: Mapping[TopicPartition, Sequence[ConsumerRecord]],
    offsets: Offsets,
    cost: CostMeter,
) -> None:
    began = time.thread_time()
    rows = [row for records in found.values() for record in records for row in reader.read(record)]
    try:
        writer.write(rows, offsets)
    except _BAD_ROW:
        _write_each(writer, rows, offsets)
    texts = sum(isinstance(row, Counted) for row in rows)
    cost.add(texts, sum(map(len, found.values())), time.thread_time() - began)


def _write_each(writer: Writer, rows: Iterable[Row], offsets: Offsets) -> None:
    left_out = 0
    for row in rows:
        try:
            writer.write([row], {})
        except _BAD_ROW:
            left_out += 1
    writer.write([], offsets)
    log.warning("the page leaves out %d records that do not fit their topics", left_out)


def _named(error: TopicAuthorizationFailedError) -> set[str]:
    """Return the topics that Kafka refuses: aiokafka passes them as the error's argument."""
    named = error.args[0] if error.args else ()
    return {named} if isinstance(named, str) else set(named)
