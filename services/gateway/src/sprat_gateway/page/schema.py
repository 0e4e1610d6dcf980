"""The tables of the store, and how a connection to it is opened. One file, which its owner alone may read."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

FILE: Final = "page.sqlite3"
VERSION: Final = 5
"""A store of another version is made anew from the topics."""
_BUSY_S: Final = 10.0
"""How long a writer waits for another one: `sprat erase` is one."""

_SCHEMA: Final = """
CREATE TABLE offsets (
    topic TEXT NOT NULL, partition INTEGER NOT NULL, next INTEGER NOT NULL, PRIMARY KEY (topic, partition)
) WITHOUT ROWID;

CREATE TABLE texts (
    id INTEGER PRIMARY KEY AUTOINCREMENT, uuid BLOB NOT NULL,
    tenant TEXT NOT NULL, source TEXT NOT NULL, text_id TEXT NOT NULL,
    at INTEGER NOT NULL, trace TEXT, escalated INTEGER NOT NULL DEFAULT 0, key BLOB, tasks TEXT,
    open INTEGER NOT NULL DEFAULT 0, digest TEXT, sent_partition INTEGER, sent_offset INTEGER, UNIQUE (uuid, tenant)
);
CREATE INDEX texts_by_trace ON texts (trace) WHERE escalated;
CREATE INDEX texts_waiting ON texts (tenant, source, at) WHERE open > 0;

CREATE TABLE topics (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE records (
    text INTEGER NOT NULL, topic INTEGER NOT NULL, partition INTEGER NOT NULL, offset INTEGER NOT NULL,
    kind TEXT NOT NULL, task TEXT, at INTEGER NOT NULL, expires INTEGER NOT NULL, service TEXT NOT NULL,
    value BLOB NOT NULL, PRIMARY KEY (text, topic, partition, offset)
) WITHOUT ROWID;
CREATE INDEX records_by_expiry ON records (expires);

CREATE TABLE results (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, text INTEGER NOT NULL, task TEXT NOT NULL,
    tenant TEXT NOT NULL, source TEXT NOT NULL, partition INTEGER NOT NULL, offset INTEGER NOT NULL,
    at INTEGER NOT NULL, expires INTEGER NOT NULL,
    status TEXT NOT NULL, decision TEXT NOT NULL, reason TEXT NOT NULL, answered_by TEXT NOT NULL, tier TEXT,
    model TEXT, answer TEXT NOT NULL, declined TEXT, confidence REAL, level REAL, goal REAL, evidence TEXT,
    asked TEXT NOT NULL, cached INTEGER NOT NULL,
    cost_eur REAL NOT NULL, total_ms INTEGER NOT NULL, language TEXT NOT NULL, masked TEXT NOT NULL,
    has_left INTEGER NOT NULL, UNIQUE (text, task)
);
CREATE INDEX results_by_owner ON results (tenant, source, seq);

CREATE TABLE calls (
    call_id TEXT NOT NULL, tenant TEXT NOT NULL, source TEXT, trace TEXT, task TEXT, provider TEXT, region TEXT,
    model TEXT, host TEXT, bytes_out INTEGER NOT NULL DEFAULT 0, masked TEXT NOT NULL DEFAULT '{}',
    at INTEGER, topic TEXT, partition INTEGER, offset INTEGER, expires INTEGER,
    outcome TEXT, cost_eur REAL NOT NULL DEFAULT 0, input_tokens INTEGER, output_tokens INTEGER,
    ended INTEGER, ended_partition INTEGER, ended_offset INTEGER, UNIQUE (call_id, tenant)
);
CREATE INDEX calls_by_trace ON calls (trace) WHERE trace IS NOT NULL;
CREATE INDEX calls_by_owner ON calls (tenant, source, at);

CREATE TABLE letters (
    partition INTEGER NOT NULL, offset INTEGER NOT NULL, at INTEGER NOT NULL, expires INTEGER NOT NULL,
    text INTEGER, tenant TEXT, source TEXT, code TEXT NOT NULL, detail TEXT NOT NULL, service TEXT NOT NULL,
    topic TEXT NOT NULL, origin_topic TEXT NOT NULL, origin_partition INTEGER NOT NULL, origin_offset INTEGER NOT NULL,
    ends_text INTEGER NOT NULL, PRIMARY KEY (partition, offset)
) WITHOUT ROWID;
CREATE INDEX letters_by_text ON letters (text) WHERE text IS NOT NULL;

CREATE TABLE models (
    task TEXT NOT NULL, model TEXT NOT NULL, version TEXT NOT NULL, at INTEGER NOT NULL, value BLOB NOT NULL,
    PRIMARY KEY (task, model, version)
) WITHOUT ROWID;
CREATE TABLE withdrawn (task TEXT NOT NULL, model TEXT NOT NULL, PRIMARY KEY (task, model)) WITHOUT ROWID;

CREATE TABLE sums (
    width INTEGER NOT NULL, tenant TEXT NOT NULL, source TEXT NOT NULL, at INTEGER NOT NULL, task TEXT NOT NULL,
    texts INTEGER NOT NULL, kept INTEGER NOT NULL, escalated INTEGER NOT NULL, degraded INTEGER NOT NULL,
    unanswered INTEGER NOT NULL, spent_eur REAL NOT NULL, has_left INTEGER NOT NULL,
    PRIMARY KEY (width, tenant, source, at, task)
) WITHOUT ROWID;
CREATE TABLE latencies (
    width INTEGER NOT NULL, tenant TEXT NOT NULL, source TEXT NOT NULL, at INTEGER NOT NULL, bucket INTEGER NOT NULL,
    results INTEGER NOT NULL, PRIMARY KEY (width, tenant, source, at, bucket)
) WITHOUT ROWID;

CREATE TABLE denials (
    width INTEGER NOT NULL, tenant TEXT NOT NULL, source TEXT NOT NULL, at INTEGER NOT NULL, code TEXT NOT NULL,
    pairs INTEGER NOT NULL, PRIMARY KEY (width, tenant, source, at, code)
) WITHOUT ROWID;

CREATE TABLE draws (
    name BLOB PRIMARY KEY, tenant TEXT NOT NULL, source TEXT NOT NULL, text_id TEXT NOT NULL, task TEXT NOT NULL,
    uuid BLOB NOT NULL, key BLOB,
    offset INTEGER NOT NULL, at INTEGER NOT NULL, expires INTEGER NOT NULL, by TEXT NOT NULL,
    token TEXT NOT NULL, value TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX draws_by_owner ON draws (tenant, source, offset);
CREATE TABLE closed (
    name BLOB PRIMARY KEY, tenant TEXT, source TEXT NOT NULL, text_id TEXT NOT NULL, task TEXT NOT NULL,
    asked TEXT NOT NULL, version TEXT, cell_tenant TEXT, language TEXT, says TEXT NOT NULL, confidence REAL NOT NULL,
    goal REAL, evidence TEXT, hash REAL NOT NULL, least REAL NOT NULL, full INTEGER NOT NULL,
    at INTEGER NOT NULL, ended INTEGER NOT NULL, expires INTEGER NOT NULL, verdict TEXT NOT NULL,
    disputed INTEGER NOT NULL, tier TEXT
) WITHOUT ROWID;
CREATE INDEX closed_by_owner ON closed (tenant, source, ended);
CREATE TABLE given (
    name BLOB NOT NULL, token TEXT NOT NULL, source TEXT NOT NULL, text_id TEXT NOT NULL,
    at INTEGER NOT NULL, expires INTEGER NOT NULL, PRIMARY KEY (name, token)
) WITHOUT ROWID;
CREATE TABLE alarms (
    key BLOB PRIMARY KEY, number INTEGER NOT NULL, task TEXT NOT NULL, tenant TEXT, value TEXT
) WITHOUT ROWID;

CREATE TABLE own (tenant TEXT NOT NULL, source TEXT NOT NULL, PRIMARY KEY (tenant, source)) WITHOUT ROWID;
CREATE TABLE notes (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TRIGGER parts_of_text AFTER DELETE ON texts BEGIN
    DELETE FROM records WHERE text = old.id;
    DELETE FROM results WHERE text = old.id;
    DELETE FROM letters WHERE text = old.id;
END;
"""


def open_writer(folder: Path) -> sqlite3.Connection:
    """Return the connection that writes; make the file where there is none, or one that cannot be used.

    Raises:
        OSError: the folder cannot be made or written.
        sqlite3.Error: the disk refuses.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / FILE
    try:
        connection = _connected(path)
        if connection.execute("PRAGMA user_version").fetchone()[0] == VERSION:
            return connection
        connection.close()
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError) and "lock" in str(error):
            raise
    _remove(path)
    connection = _connected(path)
    connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")
    return connection


@contextmanager
def open_existing(folder: Path) -> Iterator[sqlite3.Connection | None]:
    """Yield a connection that may write, beside the instance's own; None where the folder has no store.

    Raises:
        sqlite3.Error: the file cannot be used, or is of another version.
    """
    path = folder / FILE
    if not path.is_file():
        yield None
        return
    with closing(_connected(path)) as connection:
        found = connection.execute("PRAGMA user_version").fetchone()[0]
        if found != VERSION:
            raise sqlite3.DatabaseError(f"it is of version {found}, and not {VERSION}")
        yield connection


def open_reader(folder: Path, wait_s: float = _BUSY_S) -> sqlite3.Connection:
    """Return a connection that cannot write, and waits for the lock of another so long."""
    path = (folder / FILE).resolve()
    connection = sqlite3.connect(
        f"{path.as_uri()}?mode=ro", wait_s, uri=True, isolation_level=None, check_same_thread=False
    )
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA query_only = ON")
    return connection


def _connected(path: Path) -> sqlite3.Connection:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # its log and index get the same rights
    path.chmod(0o600)
    connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    for pragma in (
        "wal_autocheckpoint = 4000",
        "cache_size = -8000",
        "secure_delete = ON",
        "journal_mode = WAL",
        "synchronous = NORMAL",  # what a crash of the machine loses is read again from the topics
        "recursive_triggers = ON",
    ):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    return connection


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
