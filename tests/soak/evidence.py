"""What a soak run left, in one SQLite file: a million pairs need no memory, and each check is one query."""

import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from tests.soak import contract
from tests.soak.contract import place_of
from tests.soak.topic_records import TopicRecord

_SCHEMA: Final = """
-- What the broker acknowledged, as the driver wrote it down.
CREATE TABLE acks (place INTEGER, source TEXT, id TEXT, tasks TEXT, tenant TEXT, kind TEXT);
-- The topic of texts, with what was aborted.
CREATE TABLE texts (place INTEGER PRIMARY KEY, at_ms INTEGER, source TEXT, id TEXT, tasks TEXT, tenant TEXT,
    may_leave INTEGER, text BLOB, content BLOB, committed INTEGER DEFAULT 0);
-- What is to end in a Result: `pair` is the id that its Results must have.
CREATE TABLE pairs (pair BLOB, text INTEGER, kind TEXT);
-- What services wrote about pairs.
CREATE TABLE written (stage TEXT, task TEXT, record TEXT, pair BLOB, origin INTEGER, tenant TEXT, requested TEXT,
    status TEXT, call_id TEXT, has_left INTEGER);
CREATE TABLE letters (record TEXT, topic TEXT, origin INTEGER, service TEXT, code TEXT, content BLOB);
-- What the provider received: the size of each request, and the SHA-256 of each string.
CREATE TABLE requests (bytes INTEGER);
CREATE TABLE sent (text BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE egress (record TEXT, writer TEXT, sequence INTEGER, previous TEXT, acknowledged INTEGER, digest TEXT,
    call_id TEXT, phase TEXT, bytes INTEGER, outcome TEXT, tenant TEXT);
-- What one record, or one line of the run's files, shows to be wrong.
CREATE TABLE flaws (kind TEXT, place TEXT);
"""
_INDEXES: Final = """
CREATE INDEX acks_by_place ON acks (place);
CREATE INDEX pairs_by_pair ON pairs (pair, text);
CREATE INDEX pairs_by_text ON pairs (text);
CREATE INDEX written_by_pair ON written (stage, pair);
CREATE INDEX letters_by_origin ON letters (origin);
CREATE INDEX texts_by_text ON texts (text);
CREATE INDEX egress_by_place ON egress (writer, sequence);
CREATE INDEX egress_by_call ON egress (call_id, phase);
CREATE INDEX egress_by_size ON egress (bytes, phase);
ANALYZE;
"""
_CHUNK: Final = 5_000
_STATUS: Final = {(True, False): "answered", (True, True): "degraded", (False, True): "unanswered"}
"""Whether a Result has an output, and whether it says why there is no better one → its status."""
_CHAIN: Final = ("writer", "sequence", "previous", "acknowledged")
_LETTER_NUMBERS: Final = ("sprat_origin_partition", "sprat_origin_offset")


class SoakEvidence:
    """The tables of a run. `take` records and files, `close_books`, then query."""

    def __init__(self, file: Path, topics: Collection[str], prefix: str, may_leave: Collection[str]) -> None:
        """Begin with empty tables; `may_leave` are the tenants of which the policy lets anything leave."""
        self.texts = f"{prefix}.texts.v1"
        self.letters, self.egress = f"{prefix}.dead-letters.v1", f"{prefix}.audit.egress.v1"
        results = f"{prefix}.results."
        self.tasks = frozenset(name[len(results) :].removesuffix(".v1") for name in topics if name.startswith(results))
        """The tasks of the installation: those with a topic of results."""
        self._stages = {
            f"{prefix}.frontier.requests.v1": ("frontier-request", None),
            f"{prefix}.frontier.answers.v1": ("frontier-answer", None),
            f"{prefix}.reviews.v1": ("review", None),
            **{f"{prefix}.predictions.{task}.v1": ("prediction", task) for task in self.tasks},
            **{f"{prefix}.results.{task}.v1": ("result", task) for task in self.tasks},
        }
        self.written_topics = frozenset(topics) & {*self._stages, self.letters, self.egress}
        """Topics of services whose records are looked at."""
        self._may_leave = frozenset(may_leave)
        self._rows: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
        file.unlink(missing_ok=True)
        self._db = sqlite3.connect(file)
        self._db.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -131072;")
        self._db.executescript(_SCHEMA)
        self._db.create_function("shown", 1, lambda place: None if place is None else contract.shown(place))
        self._db.create_function("pair", 3, lambda *of: contract.derived("result", *of), deterministic=True)

    def query(self, sql: str, **values: str) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a query; `:texts` is the name of the topic of texts."""
        return self._db.execute(sql, {"texts": self.texts, **values})

    def number(self, sql: str) -> int:
        """Return the one number that a query gives."""
        (found,) = self._db.execute(sql).fetchone()
        return int(found or 0)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    # Files of the driver.

    def take_acknowledgements(self, lines: Iterable[str]) -> None:
        """Take the driver's log; see `checker.py` for its form."""
        for number, ack in self._objects(lines, "acks.jsonl"):
            offset = ack.get("offset")
            place = place_of(ack["partition"], offset) if isinstance(offset, int) and offset >= 0 else None
            if ack["kind"] not in {"text", "committed", "aborted", "broken"}:
                self._flaw("acknowledgement of an unknown kind", f"acks.jsonl:{number}")
            tasks = ",".join(sorted(ack.get("tasks") or ()))
            self._add("acks", place, ack.get("source"), ack.get("id"), tasks, ack.get("tenant"), ack["kind"])

    def take_provider(self, lines: Iterable[str]) -> None:
        """Take what the provider received."""
        for _, line in self._objects(lines, "provider.jsonl"):
            self._add("requests", line["bytes"])
            for each in line["texts"]:
                self._add("sent", bytes.fromhex(each))

    # Topics.

    def take_text(self, record: TopicRecord) -> None:
        """Take a record of the topic of texts, read uncommitted."""
        source, id, text = contract.text_in(record)
        tenant = (text or {}).get("tenant") or "default"
        may_leave = tenant in self._may_leave and (text or {}).get("frontier") in {None, "allow", "redact"}
        said = (text or {}).get("text")
        hashed = contract.hash_of(said) if isinstance(said, str) else None
        tasks = contract.asked_tasks(text, self.tasks)
        place = place_of(record.partition, record.offset)
        at_ms, content = record.timestamp_ms, contract.content_of(record)
        self._add("texts", place, at_ms, source, id, tasks, str(tenant), may_leave, hashed, content, 0)

    def take_committed(self, record: TopicRecord) -> None:
        """Take a record of the topic of texts, read committed: this one counts."""
        rows = self._rows["committed"]
        rows.append((place_of(record.partition, record.offset),))
        if len(rows) >= _CHUNK:
            self._flush()

    def take_written(self, record: TopicRecord) -> None:
        """Take a record that a service wrote."""
        if record.topic == self.letters:
            self._take_letter(record)
        elif record.topic == self.egress:
            self._take_egress(record)
        else:
            self._take_about_pair(record)

    def _take_about_pair(self, record: TopicRecord) -> None:
        stage, task = self._stages[record.topic]
        here, body = _name(record), contract.object_of(record.value) or {}
        try:
            about = body if stage in {"prediction", "result"} else (body.get("request") or body)["prediction"]
            source, id, named = about["text_source"], about["text_id"], about["task"]
            origin = place_of(about["origin"]["partition"], about["origin"]["offset"])
            tenant = (body if stage == "result" else about["submitted"]).get("tenant", "default")
            requested = ",".join(sorted(body["requested"])) if stage == "result" else None
            headers = contract.headers_of(record)
            pair = made = contract.derived(stage, source, id, named)
            if stage != "result":
                pair = contract.derived("result", source, id, named)
            if UUID(headers["ce_id"]).bytes != made:
                self._flaw("record with another id than its text and task have", here)
            if task not in {None, named}:
                self._flaw("record on the topic of another task", here)
            if stage == "result":
                self._judge_result(body, headers, here)
        except (KeyError, TypeError, ValueError, AttributeError):
            self._flaw("record that cannot be read", here)
            return
        egress = body.get("egress") or {}
        has_left = egress.get("left", body.get("sent") is not None)
        status, call_id = body.get("status"), egress.get("call_id")
        self._add("written", stage, named, here, pair, origin, tenant, requested, status, call_id, has_left)

    def _judge_result(self, result: dict[str, Any], headers: dict[str, str], here: str) -> None:
        status = result["status"]
        if _STATUS.get((result["output"] is not None, result.get("declined") is not None)) != status:
            self._flaw("Result whose status, output and reason contradict each other", here)
        if (headers["ce_status"], headers["ce_tenant"]) != (status, result["tenant"]):
            self._flaw("Result whose headers and value contradict each other", here)

    def _take_letter(self, record: TopicRecord) -> None:
        headers, here = contract.headers_of(record), _name(record)
        try:
            partition, offset = (int(headers[name]) for name in _LETTER_NUMBERS)
            topic, service, code = (headers[f"sprat_{name}"] for name in ("origin_topic", "service", "error_code"))
        except (KeyError, ValueError):
            self._flaw("record that cannot be read", here)
            return
        kept = record.value is not None or code != "too_large"
        content = contract.content_of(record) if kept else None
        self._add("letters", here, topic, place_of(partition, offset), service, code, content)

    def _take_egress(self, record: TopicRecord) -> None:
        said, here = contract.object_of(record.value) or {}, _name(record)
        try:
            chain = said.get("chain") or dict.fromkeys(_CHAIN)
            place = tuple(chain[name] for name in _CHAIN)
            call = (said["call_id"], said["phase"], said["bytes_out"], said.get("outcome"), said["tenant"])
        except (KeyError, TypeError):
            self._flaw("record that cannot be read", here)
            return
        self._add("egress", here, *place, sha256(record.value or b"").hexdigest(), *call)

    # The end.

    def close_books(self) -> None:
        """Compute what has to be there, once everything is taken."""
        self._flush()
        by_id = "SELECT place FROM texts WHERE texts.source = acks.source AND texts.id = acks.id AND committed"
        if self.number("SELECT count(*) FROM acks WHERE place IS NULL"):
            self._db.execute("CREATE INDEX texts_by_id ON texts (source, id)")
            self._db.execute(f"UPDATE acks SET place = ({by_id}) WHERE place IS NULL")
        self._db.execute("CREATE INDEX acks_first ON acks (place)")
        standing = self._db.execute(
            """SELECT t.place, t.source, t.id, coalesce(a.tasks, t.tasks), coalesce(a.kind, 'unacknowledged')
            FROM texts t LEFT JOIN acks a ON a.place = t.place WHERE t.committed"""
        )
        while rows := standing.fetchmany(_CHUNK):
            for place, source, id, tasks, kind in rows:
                for task in filter(None, tasks.split(",")):
                    self._add("pairs", contract.derived("result", source, id, task), place, kind)
        self._flush()
        self._db.executescript(_INDEXES)

    def _add(self, table: str, *row: Any) -> None:
        rows = self._rows[table]
        rows.append(row)
        if len(rows) >= _CHUNK:
            self._flush()

    def _flush(self) -> None:
        committed = self._rows.pop("committed", ())
        for table, rows in self._rows.items():
            if rows:
                marks = ",".join("?" * len(rows[0]))
                self._db.executemany(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", rows)
                rows.clear()
        self._db.executemany("UPDATE texts SET committed = 1 WHERE place = ?", committed)

    def _flaw(self, kind: str, place: str) -> None:
        self._add("flaws", kind, place)

    def _objects(self, lines: Iterable[str], file: str) -> Iterator[tuple[int, dict[str, Any]]]:
        for number, line in enumerate(lines, 1):
            found = contract.object_of(line)
            if found is None:
                self._flaw("line that is torn", f"{file}:{number}")
            else:
                yield number, found


def _name(record: TopicRecord) -> str:
    return f"{record.topic} {record.partition}@{record.offset}"
