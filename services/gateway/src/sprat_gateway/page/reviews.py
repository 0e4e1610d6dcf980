"""What of reviews and alarms stands in the store: draws, how they ended, answers that came, and standing alarms.

Signatures are not verified: the door has no secret. It decides nothing by them; the guardian and the router do.
"""

import sqlite3
from abc import ABC, abstractmethod
from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from sprat_contracts import (
    AlarmRaised,
    FeedbackGiven,
    KafkaRecord,
    ReviewAsked,
    ReviewClosed,
    Topics,
    ids,
)
from sprat_contracts.results import OF_REVIEW
from sprat_contracts.reviews import BY_TIER, CLEARED, PEOPLE

_DRAWN: Final = """INSERT OR IGNORE INTO draws (name, tenant, source, text_id, task, uuid, key, offset, at, expires, by,
token, value) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_CLOSED: Final = """INSERT OR IGNORE INTO closed (name, tenant, source, text_id, task, asked, version, cell_tenant,
language, says, confidence, goal, evidence, hash, least, full, at, ended, expires, verdict, disputed,
tier) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?)"""
_WHOSE: Final = """UPDATE closed SET tenant = coalesce(closed.tenant, draws.tenant),
tier = coalesce(tier, nullif(draws.by, ?)) FROM draws WHERE closed.name = ? AND draws.name = closed.name"""
_GIVEN: Final = "INSERT OR IGNORE INTO given (name, token, source, text_id, at, expires) VALUES (?, ?, ?, ?, ?, ?)"
_ALARM: Final = """INSERT INTO alarms (key, number, task, tenant, value) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET number = excluded.number, value = excluded.value
WHERE excluded.number > alarms.number"""
_SCALE: Final = 2.0**64
OTHERS: Final = "default"
"""The tenant of a cell of all whom the policy does not name."""


def draw_name(source: str, text_id: str, task: str) -> bytes:
    """Return what names the draw of a text and a task: the bytes of the id of its `ReviewAsked`."""
    return ids.derive(ids.REVIEW, source, text_id, task).bytes


class ReviewRow(ABC):
    """A row that a record of these topics makes."""

    @abstractmethod
    def put(self, connection: sqlite3.Connection) -> None:
        """Write it; in a transaction. The first record of a draw counts."""


@dataclass(frozen=True, slots=True)
class DrawnRow(ReviewRow):
    """A kept answer that was drawn."""

    asked: ReviewAsked
    offset: int
    """Draws are in this order."""
    at: int
    expires: int

    def put(self, connection: sqlite3.Connection) -> None:
        """Write it, and whose a review is that was closed before it was read."""
        prediction, key = self.asked.prediction, self.asked.prediction.origin.key
        name = draw_name(prediction.text_source, prediction.text_id, prediction.task)
        of = (prediction.submitted.tenant, prediction.text_source, prediction.text_id, prediction.task)
        uuid = ids.derive(ids.TEXT, prediction.text_source, prediction.text_id).bytes
        when = (uuid, None if key is None else b64decode(key), self.offset, self.at, self.expires)
        value = self.asked.model_dump_json()
        connection.execute(_DRAWN, (name, *of, *when, self.asked.by, self.asked.token, value))
        connection.execute(_WHOSE, (PEOPLE, name))


@dataclass(frozen=True, slots=True)
class ClosedRow(ReviewRow):
    """How a draw ended."""

    closed: ReviewClosed
    ended: int
    expires: int

    def put(self, connection: sqlite3.Connection) -> None:
        """Write it; a second record says that another answer came later."""
        each = self.closed
        name = draw_name(each.text_source, each.text_id, each.task)
        if each.disputed:
            connection.execute("UPDATE closed SET disputed = 1 WHERE name = ?", (name,))
        # A cell's tenant is the text's, but where the policy does not name that; then its draw does.
        tenant = None if each.cell.tenant == OTHERS else each.cell.tenant
        of = (tenant, each.text_source, each.text_id, each.task, each.asked_model, each.model and each.model.version)
        cell = (each.cell.tenant, each.cell.language, each.says, each.confidence, each.goal, each.evidence)
        drawn = (int(each.hash, 16) / _SCALE, each.least_share, each.full, each.drawn_at)
        tier = (each.by or "").removeprefix(BY_TIER) if (each.by or "").startswith(BY_TIER) else None
        connection.execute(_CLOSED, (name, *of, *cell, *drawn, self.ended, self.expires, each.verdict, tier))
        connection.execute(_WHOSE, (PEOPLE, name))


@dataclass(frozen=True, slots=True)
class AnswerRow(ReviewRow):
    """An answer to a review, or a correction, whose token is empty."""

    given: FeedbackGiven
    at: int
    expires: int

    def put(self, connection: sqlite3.Connection) -> None:
        """Write that it came; what it says is not needed."""
        each = self.given
        name = draw_name(each.text_source, each.text_id, each.task)
        token = (each.token or "") if each.of == OF_REVIEW else ""
        connection.execute(_GIVEN, (name, token, each.text_source, each.text_id, self.at, self.expires))


@dataclass(frozen=True, slots=True)
class AlarmRow(ReviewRow):
    """The last record of a place."""

    key: bytes
    raised: AlarmRaised | None
    """None: it was deleted."""

    def put(self, connection: sqlite3.Connection) -> None:
        """Write it, unless it is out of date."""
        each = self.raised
        if each is None:
            connection.execute("DELETE FROM alarms WHERE key = ?", (self.key,))
            return
        value = None if each.state == CLEARED else each.model_dump_json()
        connection.execute(_ALARM, (self.key, each.number, each.task, each.cell.tenant, value))


def review_readings(topics: Topics) -> Mapping[str, Callable[[KafkaRecord, int], Iterable[ReviewRow]]]:
    """Return by topic what reads its records, and until when they stand.

    Raises:
        ValueError: by what it returns, for a record that does not fit its topic.
    """
    return {
        topics.reviews: lambda record, expires: (
            DrawnRow(ReviewAsked.model_validate_json(record.value or b""), record.offset, record.timestamp, expires),
        ),
        topics.reviews_closed: lambda record, expires: (
            ClosedRow(ReviewClosed.model_validate_json(record.value or b""), record.timestamp, expires),
        ),
        topics.feedback: lambda record, expires: (
            AnswerRow(FeedbackGiven.model_validate_json(record.value or b""), record.timestamp, expires),
        ),
        topics.alarms: lambda record, _: (_alarm(record),),
    }


def _alarm(record: KafkaRecord) -> AlarmRow:
    raised = None if not record.value else AlarmRaised.model_validate_json(record.value)
    key = record.key or b""
    if raised is not None and raised.key != key:
        raise ValueError("its key is not that of its place")
    return AlarmRow(key, raised)
