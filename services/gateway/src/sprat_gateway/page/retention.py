"""What goes, and when: parts whose topic lets them go, texts beyond the newest pairs, and what is erased."""

import math
import sqlite3
from typing import Final

from sprat_gateway.page.sums import WIDTHS
from sprat_gateway.page.writing import StoreWriter

MOST_PAIRS: Final = 100_000
"""Of texts and tasks that are kept."""
MOST_BYTES: Final = 1024**3
"""Of the file: texts may be long."""
_MOST_LETTERS: Final = 10_000
_MOST_CALLS: Final = 50_000
"""Their sum is read in one query."""
_MOST_REVIEWS: Final = 100_000
"""Of draws, of their ends and of answers, each."""
_BY_TIME: Final = ("sums", "latencies", "denials")
_REVIEWS: Final = ("draws", "closed", "given")
_PARTS: Final = (
    "DELETE FROM records WHERE expires <= ?",
    "DELETE FROM results WHERE expires <= ?",
    "DELETE FROM letters WHERE expires <= ?",
    "DELETE FROM calls WHERE expires <= ?",
    "DELETE FROM draws WHERE expires <= ?",
    "DELETE FROM closed WHERE expires <= ?",
    "DELETE FROM given WHERE expires <= ?",
)
_BARE: Final = """DELETE FROM texts WHERE id IN (
    SELECT id FROM texts WHERE at <= ? AND id NOT IN (SELECT text FROM records)
    AND id NOT IN (SELECT text FROM letters WHERE text IS NOT NULL))"""
_BEYOND: Final = """DELETE FROM texts WHERE id <= (SELECT text FROM results ORDER BY seq DESC LIMIT 1 OFFSET ?)"""
_OLDEST: Final = "DELETE FROM texts WHERE id IN (SELECT id FROM texts ORDER BY id LIMIT ?)"
_CALLS_BEYOND: Final = "DELETE FROM calls WHERE rowid <= (SELECT rowid FROM calls ORDER BY rowid DESC LIMIT 1 OFFSET ?)"
_AT_BEYOND: Final = "DELETE FROM {0} WHERE at < (SELECT at FROM {0} ORDER BY at DESC LIMIT 1 OFFSET ?)"


def sweep(
    writer: StoreWriter, now: int, kept_ms: int, most_pairs: int = MOST_PAIRS, most_bytes: int = MOST_BYTES
) -> None:
    """Delete what has expired at a time, and the oldest texts beyond the newest pairs or the size.

    Args:
        writer: of the store.
        now: epoch milliseconds.
        kept_ms: how long the topic of the texts keeps one: what identifies a text goes with it.
        most_pairs: how many pairs of a text and a task stay.
        most_bytes: how large the file may get.
    """
    with writer.transaction() as connection:
        for statement in _PARTS:
            connection.execute(statement, (now,))
        connection.execute("UPDATE texts SET key = NULL WHERE at <= ? AND key IS NOT NULL", (now - kept_ms,))
        connection.execute(_BARE, (now - kept_ms,))
        connection.execute(_BEYOND, (most_pairs,))
        _shrink(connection, most_bytes)
        connection.execute(_CALLS_BEYOND, (_MOST_CALLS,))
        for table, most in {"letters": _MOST_LETTERS, **dict.fromkeys(_REVIEWS, _MOST_REVIEWS)}.items():
            connection.execute(_AT_BEYOND.format(table), (most,))
        for width, stays in WIDTHS.items():
            for table in _BY_TIME:
                old = f"DELETE FROM {table} WHERE width = ? AND at < ?"  # noqa: S608 - of the names above
                connection.execute(old, (width, now - stays))
        writer.forget()
    overwrite(writer.connection)


def _shrink(connection: sqlite3.Connection, most_bytes: int) -> None:
    """Delete the oldest texts where the file is too large: as large a share of them as it is too large."""
    pages, free, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    used = (pages - free) * size
    if used > most_bytes:
        texts = connection.execute("SELECT count(*) FROM texts").fetchone()[0]
        connection.execute(_OLDEST, (math.ceil(texts * (1 - most_bytes / used)),))


def clear(writer: StoreWriter) -> None:
    """Delete everything but what the door itself has to remember of its sources: it is read again."""
    with writer.transaction() as connection:
        for table in ("texts", "calls", "letters", "models", "withdrawn", *_REVIEWS, "alarms", *_BY_TIME, "offsets"):
            connection.execute(f"DELETE FROM {table}")  # noqa: S608 - of the names above
        writer.forget()
        writer.counted.clear()
    overwrite(writer.connection)


def overwrite(connection: sqlite3.Connection) -> bool:
    """Put the log into the file, and empty it: what was deleted stands in neither any more.

    Returns False where somebody has read for so long that the log could not be emptied.
    """
    (busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not busy
