"""Screen 2: the Results as they come, at most so many a second."""

import json
import sqlite3
from dataclasses import astuple, dataclass
from typing import Any, Final
from uuid import UUID

from sprat_gateway.page.queries.viewer import HiddenText, Viewer
from sprat_operations.record_summary import RecordKind

ROWS_A_SECOND: Final = 20
_SNIPPET: Final = 200
_LOOKED_AT: Final = 20_000
"""So many of the newest rows are looked through for those that fit a filter."""


@dataclass(frozen=True, slots=True)
class LiveFilter:
    """Which rows are wanted: all that is given must hold. Stands in the address of the page."""

    task: str | None = None
    status: str | None = None
    """answered, degraded or unanswered."""
    decision: str | None = None
    """kept or escalated."""
    reason: str | None = None
    model: str | None = None
    """Name of the model that answered."""


@dataclass(frozen=True, slots=True)
class LiveRow:
    """A pair of a text and a task with its Result."""

    seq: int
    """Ascending in the order in which the store read them."""
    uuid: str
    """Of the text: its screen is at this address."""
    id: str
    at_ms: int
    """When the broker appended the Result."""
    task: str
    status: str
    decision: str
    reason: str
    source: str
    """small, frontier or none."""
    tier: str | None
    model: str | None
    answer: str
    """In a few words, never of the text: a label, "2 names", "a text in de"; empty where unanswered."""
    confidence: float | None
    level: float | None
    goal: float | None
    cached: bool
    cost_eur: float
    total_ms: int
    hidden: HiddenText | None
    """None where the text itself was not read (`Overview.one_in`), or has expired."""
    text: str | None
    """The beginning of the text, at most 200 characters; None without the role `read-texts`."""


@dataclass(frozen=True, slots=True)
class LiveRows:
    """What came after a place."""

    rows: tuple[LiveRow, ...]
    """The newest first, at most `ROWS_A_SECOND`."""
    matching: int
    """How many came that fit the filter: "N of M"."""
    last: int
    """The place to ask after next."""


_FITS: Final = """results.tenant = :tenant AND results.source = :source AND results.seq > :after
AND results.expires > :now AND (:task IS NULL OR results.task = :task)
AND (:status IS NULL OR results.status = :status) AND (:decision IS NULL OR results.decision = :decision)
AND (:reason IS NULL OR results.reason = :reason) AND (:model IS NULL OR results.model = :model)"""
_ROWS: Final = f"""SELECT results.*, texts.uuid, texts.text_id FROM results JOIN texts ON texts.id = results.text
WHERE {_FITS} ORDER BY results.seq DESC LIMIT :most"""  # noqa: S608 - of the conditions above
_COUNT: Final = f"SELECT count(*) FROM results WHERE {_FITS}"  # noqa: S608 - as above
_LAST: Final = "SELECT seq FROM results WHERE tenant = ? AND source = ? ORDER BY seq DESC LIMIT 1"
_TEXT: Final = "SELECT value FROM records WHERE text = ? AND kind = ? AND expires > ? ORDER BY at DESC LIMIT 1"


def live(
    connection: sqlite3.Connection, viewer: Viewer, wanted: LiveFilter, after: int | None, now_ms: int
) -> LiveRows:
    """Return the rows after a place; None: the newest ones."""
    found = connection.execute(_LAST, (viewer.tenant, viewer.source)).fetchone()
    last = 0 if found is None else found[0]
    task, status, decision, reason, model = astuple(wanted)
    given: dict[str, Any] = {"tenant": viewer.tenant, "source": viewer.source, "now": now_ms, "most": ROWS_A_SECOND}
    given |= {"task": task, "status": status, "decision": decision, "reason": reason, "model": model}
    given["after"] = max(last - _LOOKED_AT, -1 if after is None else after)
    rows = [_row(connection, viewer, row, now_ms) for row in connection.execute(_ROWS, given).fetchall()]
    matching = len(rows) if after is None else connection.execute(_COUNT, given).fetchone()[0]
    return LiveRows(tuple(rows), matching, max(last, after or 0))


def _row(connection: sqlite3.Connection, viewer: Viewer, row: sqlite3.Row, now_ms: int) -> LiveRow:
    text = text_of(connection, row["text"], now_ms)
    return LiveRow(
        seq=row["seq"],
        uuid=str(UUID(bytes=row["uuid"])),
        id=row["text_id"],
        at_ms=row["at"],
        task=row["task"],
        status=row["status"],
        decision=row["decision"],
        reason=row["reason"],
        source=row["answered_by"],
        tier=row["tier"],
        model=row["model"],
        answer=row["answer"],
        confidence=row["confidence"],
        level=row["level"],
        goal=row["goal"],
        cached=bool(row["cached"]),
        cost_eur=row["cost_eur"],
        total_ms=row["total_ms"],
        hidden=None if text is None else HiddenText(len(text), row["language"], json.loads(row["masked"])),
        text=text[:_SNIPPET] if text is not None and viewer.texts else None,
    )


def text_of(connection: sqlite3.Connection, number: int, now_ms: int) -> str | None:
    """Return what a text says, by its number in the store; None where that is not known any more."""
    found = connection.execute(_TEXT, (number, RecordKind.text, now_ms)).fetchone()
    text = None if found is None else json.loads(found[0]).get("text")
    return text if isinstance(text, str) else None
