"""Puts rows into the store: a batch of rows, the sums over them and the offsets after them in one transaction."""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from pydantic_core import to_json

from sprat_contracts import ids
from sprat_gateway.page.records import (
    CallRow,
    CountedText,
    LetterRow,
    ModelRow,
    ResultRow,
    Row,
    StepRow,
    TextRef,
    TextRow,
)
from sprat_gateway.page.reviews import ReviewRow
from sprat_gateway.page.sums import Sums
from sprat_operations.record_summary import RecordKind

Offsets = Mapping[tuple[str, int], int]
"""Topic and partition → the offset to read next."""
_KNOWN_TEXTS: Final = 20_000
_VERSIONS_KEPT: Final = 3
"""Of each model: the present one, the one before, and one that is about to serve."""

_TEXT = """INSERT OR IGNORE INTO texts (id, uuid, tenant, source, text_id, at, trace, key, tasks, digest)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_ASKED = """UPDATE texts SET at = ?, trace = coalesce(?, trace), key = ?, tasks = coalesce(tasks, ?),
digest = coalesce(digest, ?) WHERE id = ?"""
_SENT = """UPDATE texts SET open = open + ?, digest = coalesce(nullif(?, ''), digest),
sent_partition = coalesce(?, sent_partition), sent_offset = coalesce(?, sent_offset) WHERE id = ?"""
_ESCALATED = "UPDATE texts SET escalated = 1, trace = coalesce(trace, ?) WHERE id = ?"
_STEP = """INSERT OR IGNORE INTO records (text, topic, partition, offset, kind, task, at, expires, service, value)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_RESULT = """INSERT OR IGNORE INTO results (text, task, tenant, source, partition, offset, at, expires,
status, decision, reason, answered_by, tier, model, answer, declined,
confidence, level, goal, evidence, asked, cached, cost_eur, total_ms, language, masked, has_left)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_RESULT_OF = "SELECT partition, offset, status FROM results WHERE text = ? AND task = ?"
_ATTEMPT = """INSERT INTO calls (call_id, tenant, trace, task, provider, region, model, host, bytes_out, masked,
at, topic, partition, offset, expires) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (call_id, tenant) DO UPDATE SET trace = excluded.trace, task = excluded.task, provider = excluded.provider,
region = excluded.region, model = excluded.model, host = excluded.host, bytes_out = excluded.bytes_out,
masked = excluded.masked, at = excluded.at, topic = excluded.topic, partition = excluded.partition,
offset = excluded.offset, expires = excluded.expires"""
_OUTCOME = """INSERT INTO calls (call_id, tenant, expires, outcome, cost_eur, input_tokens, output_tokens,
ended, ended_partition, ended_offset) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (call_id, tenant) DO UPDATE SET outcome = excluded.outcome, cost_eur = excluded.cost_eur,
input_tokens = excluded.input_tokens, output_tokens = excluded.output_tokens, ended = excluded.ended,
ended_partition = excluded.ended_partition, ended_offset = excluded.ended_offset"""
_OWNED = """INSERT INTO calls (call_id, tenant, source) VALUES (?, ?, ?)
ON CONFLICT (call_id, tenant) DO UPDATE SET source = excluded.source"""
_OWNER_BY_TRACE = """UPDATE calls SET source = (
    SELECT CASE WHEN count(DISTINCT source) = 1 THEN min(source) END FROM texts
    WHERE texts.trace = calls.trace AND texts.tenant = calls.tenant AND texts.escalated
) WHERE source IS NULL AND call_id = ? AND tenant = ?"""
_LETTER = """INSERT OR IGNORE INTO letters (partition, offset, at, expires, text, tenant, source, code, detail, service,
topic, origin_topic, origin_partition, origin_offset, ends_text) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_MODEL = """INSERT INTO models (task, model, version, at, value) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (task, model, version) DO UPDATE SET at = excluded.at, value = excluded.value"""
_OLD_VERSIONS = """DELETE FROM models WHERE task = ? AND model = ? AND version NOT IN (
    SELECT version FROM models WHERE task = ? AND model = ? ORDER BY at DESC LIMIT ?)"""
_OFFSET = """INSERT INTO offsets (topic, partition, next) VALUES (?, ?, ?)
ON CONFLICT (topic, partition) DO UPDATE SET next = excluded.next"""


class Remembered(NamedTuple):
    """A text that the door has published."""

    text: TextRef
    at: int
    tasks: tuple[str, ...]
    """Those that it asks for."""
    ending: int
    """How many of them are to end in a Result."""
    digest: str
    place: tuple[int, int] | None = None
    """Partition and offset that Kafka has acknowledged; None where they are not known."""


_UNANSWERED: Final = "unanswered"


class _PendingRows:
    """What is written at the end of a batch."""

    def __init__(self) -> None:
        self.records: list[tuple[Any, ...]] = []
        self.results: list[tuple[ResultRow, tuple[Any, ...]]] = []
        self.open: defaultdict[int, int] = defaultdict(int)
        """Text → how many more pairs of it have no Result; most texts end in the batch in which they come."""
        self.sums = Sums()
        self.counted: dict[int, None] = {}
        """What is in the sums, by hash."""
        self.calls: list[tuple[str, str]] = []


class StoreWriter:
    """Writes over one connection, in one thread."""

    def __init__(self, connection: sqlite3.Connection, *, whole: bool) -> None:
        """Write everything, or what answers alone need.

        Args:
            connection: that may write.
            whole: whether there is a page; else sums are left out.
        """
        self.connection = connection
        self._whole = whole
        self._texts: dict[TextRef, int] = {}
        """Those that were seen last, with their numbers."""
        self._next = 0
        """The number of the next new text."""
        self._topics: dict[str, int] = {}
        self._own: set[tuple[str, str]] = set()
        """Tenant and source of what the door has sent: who sent it may ask for each Result."""
        self._data_version = -1
        self.counted: dict[int, None] = {}
        """What was counted last and may stand in no row, by hash, the oldest first: it counts once."""

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Commit what is done in the block, or nothing of it."""
        connection = self.connection
        connection.execute("BEGIN IMMEDIATE")
        # Where another process has changed the store, `sprat erase` may have deleted texts that are known here.
        version = connection.execute("PRAGMA data_version").fetchone()[0]
        if version != self._data_version or len(self._texts) > _KNOWN_TEXTS:
            self._data_version = version
            self.forget()
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:  # whatever ends the block, a lock that stays would stop every later batch
            self._data_version = -1
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def forget(self) -> None:
        """Look up again what is known by number: it may have been deleted, or never been committed."""
        self._texts.clear()
        self._topics.clear()
        last = self.connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'texts'").fetchone()
        self._next = 1 + (0 if last is None else last[0])
        self._own = {tuple(each) for each in self.connection.execute("SELECT tenant, source FROM own")}

    def write(self, rows: Iterable[Row], offsets: Offsets) -> None:
        """Write a batch, and where to go on reading after it."""
        batch = _PendingRows()
        with self.transaction() as connection:
            for row in rows:
                match row:
                    case ResultRow():
                        self._result(row, batch)
                    case StepRow():
                        self._step(row, batch)
                    case TextRow():
                        self._text(row, batch)
                    case CountedText():
                        self._count(row, batch)
                    case CallRow():
                        batch.calls.append(self._call(row))
                    case LetterRow():
                        self._letter(row, batch)
                    case ModelRow():
                        self._model(row)
                    case ReviewRow():
                        row.put(connection)
            self._flush(batch)
            connection.executemany(_OFFSET, [(topic, partition, each) for (topic, partition), each in offsets.items()])
        self._remember_counted(batch)

    def _count(self, row: CountedText, batch: "_PendingRows") -> None:
        if self._is_new(row.text, None, batch):
            batch.sums.add_text(row.text, row.at)

    def _is_new(self, text: TextRef, task: str | None, batch: "_PendingRows") -> bool:
        """Return whether a text, or its Result of a task, was not counted lately; from now on it was."""
        what = hash((text, task))  # the pair itself would be hashed four times on its way
        if what in self.counted or what in batch.counted:
            return False
        batch.counted[what] = None
        return True

    def _remember_counted(self, batch: "_PendingRows") -> None:
        self.counted |= batch.counted
        while len(self.counted) > _KNOWN_TEXTS:
            del self.counted[next(iter(self.counted))]

    def _flush(self, batch: "_PendingRows") -> None:
        connection = self.connection
        connection.executemany(_STEP, batch.records)
        known = connection.total_changes
        connection.executemany(_RESULT, [values for _, values in batch.results])
        if connection.total_changes - known < len(batch.results):
            new = self._better(batch.results)
        else:
            new = [row for row, _ in batch.results]
        for row in new:
            batch.sums.add_result(row)
            batch.open[self._texts[row.step.text]] -= 1
        opened = [(change, number) for number, change in batch.open.items() if change]
        connection.executemany("UPDATE texts SET open = open + ? WHERE id = ?", opened)
        # Where its text has not been read yet, the answer says whose call it is.
        connection.executemany(_OWNER_BY_TRACE, batch.calls)
        if self._whole:
            batch.sums.write(connection)

    def remember(self, text: Remembered) -> None:
        """Write down a text of the door; in a transaction."""
        ref = text.text
        if (ref.tenant, ref.source) not in self._own:
            self._own.add((ref.tenant, ref.source))
            self.connection.execute("INSERT OR IGNORE INTO own (tenant, source) VALUES (?, ?)", ref[:2])
        number, asks = self._add(ref, text.at, None, (ref.id.encode(), json.dumps(text.tasks), text.digest))
        place = text.place or (None, None)
        self.connection.execute(_SENT, (text.ending if asks else 0, text.digest, *place, number))

    def _number(self, text: TextRef, at: int, trace: str | None = None) -> int:
        """Return the number of a text in the store; it is new where no record of it was seen yet."""
        found = self._texts.get(text)
        return self._add(text, at, trace, (None, None, None))[0] if found is None else found

    def _add(self, text: TextRef, at: int, trace: str | None, asked: tuple[object, ...]) -> tuple[int, bool]:
        """Return the number of a text, and whether it is now known for the first time what it asks for."""
        connection, uuid = self.connection, ids.derive(ids.TEXT, text.source, text.id).bytes
        if connection.execute(_TEXT, (self._next, uuid, text.tenant, text.source, text.id, at, trace, *asked)).rowcount:
            number, asks = self._next, asked[1] is not None
            self._next += 1
        else:
            key, tasks, digest = asked
            found = connection.execute("SELECT id, tasks FROM texts WHERE uuid = ? AND tenant = ?", (uuid, text.tenant))
            number, known = found.fetchone()
            asks = known is None and tasks is not None
            if tasks is not None:
                connection.execute(_ASKED, (at, trace, key, tasks, digest, number))
        self._texts[text] = number
        return number, asks

    def _text(self, row: TextRow, batch: "_PendingRows") -> None:
        step = row.step
        asked = (row.key, json.dumps(row.tasks), None)
        number, asks = self._add(step.text, step.place.at, step.trace, asked)
        if asks:
            batch.open[number] += len(row.tasks)
        self._record(number, step, batch)

    def _step(self, row: StepRow, batch: "_PendingRows") -> None:
        number = self._number(row.text, row.place.at, row.trace)
        self._record(number, row, batch)
        if row.kind == RecordKind.request:
            self.connection.execute(_ESCALATED, (row.trace, number))
        if row.calls:
            owned = [(call, row.text.tenant, row.text.source) for call in row.calls]
            self.connection.executemany(_OWNED, owned)

    def _record(self, number: int, row: StepRow, batch: "_PendingRows") -> None:
        place = row.place
        topic = self._topics.get(place.topic) or self._topic(place.topic)
        where = (place.partition, place.offset)
        batch.records.append(
            (number, topic, *where, row.kind, row.task, place.at, place.expires, row.service, row.value)
        )

    def _topic(self, name: str) -> int:
        self.connection.execute("INSERT OR IGNORE INTO topics (name) VALUES (?)", (name,))
        found = self.connection.execute("SELECT number FROM topics WHERE name = ?", (name,))
        number = self._topics[name] = int(found.fetchone()[0])
        return number

    def _result(self, row: ResultRow, batch: "_PendingRows") -> None:
        step, text, place = row.step, row.step.text, row.step.place
        if not row.whole and (text.tenant, text.source) not in self._own:
            if self._is_new(text, step.task, batch):
                batch.sums.add_result(row)
            return
        number = self._number(text, row.arrived)
        self._record(number, step, batch)
        where = (place.partition, place.offset, place.at, place.expires)
        said = row[3:11]
        sure = (row.confidence, row.level, row.goal, row.evidence, row.asked_model)
        took = (row.cached, row.cost_eur, row.total_ms, row.language)
        masked = json.dumps(row.masked) if row.masked else "{}"
        batch.results.append(
            (row, (number, step.task, text.tenant, text.source, *where, *said, *sure, *took, masked, row.left))
        )

    def _better(self, results: Iterable[tuple[ResultRow, tuple[Any, ...]]]) -> list[ResultRow]:
        """Put in what has an output where what came first has none; return those that are the first of their pair.

        That is so after a redelivery alone.
        """
        new = []
        for row, values in results:
            pair, place = values[:2], row.step.place
            partition, offset, status = self.connection.execute(_RESULT_OF, pair).fetchone()
            if (partition, offset) == (place.partition, place.offset):
                new.append(row)
            elif status == _UNANSWERED != row.status:
                self.connection.execute("DELETE FROM results WHERE text = ? AND task = ?", pair)
                self.connection.execute(_RESULT, values)
        return new

    def _call(self, row: CallRow) -> tuple[str, str]:
        """Write a phase of a call; return the call's id and tenant."""
        value, place = row.value, row.place
        name = (value["call_id"], value["tenant"])
        if row.is_attempt:
            route = (value["task"], value["provider"], value["region"], value["model"], value.get("host"))
            size = (value["bytes_out"], json.dumps(value.get("masked") or {}))
            where = (place.at, place.topic, place.partition, place.offset, place.expires)
            self.connection.execute(_ATTEMPT, (*name, row.trace, *route, *size, *where))
            return name
        usage = value.get("usage") or {}
        tokens = (usage.get("input_tokens"), usage.get("output_tokens"))
        ended = (place.at, place.partition, place.offset)
        cost = value.get("cost_eur") or 0.0
        self.connection.execute(_OUTCOME, (*name, place.expires, value.get("outcome"), cost, *tokens, *ended))
        return name

    def _letter(self, row: LetterRow, batch: "_PendingRows") -> None:
        place, reason, text = row.place, row.reason, row.text
        number = None if text is None else self._number(text, reason.timestamp_ms)
        owner = (number, None, None) if text is None else (number, text.tenant, text.source)
        origin = (place.topic, reason.topic, reason.partition, reason.offset)
        where = (place.partition, place.offset, place.at, place.expires)
        said = (reason.code, reason.detail, reason.service)
        self.connection.execute(_LETTER, (*where, *owner, *said, *origin, row.ends_text))
        if number is not None:
            batch.open[number] -= len(row.tasks)

    def _model(self, row: ModelRow) -> None:
        name = (row.task, row.model)
        if row.value is None:
            self.connection.execute("INSERT OR IGNORE INTO withdrawn (task, model) VALUES (?, ?)", name)
            return
        self.connection.execute("DELETE FROM withdrawn WHERE task = ? AND model = ?", name)
        self.connection.execute(_MODEL, (*name, row.value["version"], row.at, to_json(row.value)))
        self.connection.execute(_OLD_VERSIONS, (*name, *name, _VERSIONS_KEPT))
