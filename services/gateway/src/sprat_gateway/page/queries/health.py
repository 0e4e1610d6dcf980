"""Screen 8: which services lag, how many run, what they could not handle, and how far this page has read."""

import shlex
import sqlite3
from dataclasses import dataclass
from typing import Final

from sprat_gateway.page.notes import GROUPS, noted, state_of
from sprat_gateway.page.queries.viewer import Viewer
from sprat_operations.dead_letters import cause_of


@dataclass(frozen=True, slots=True)
class GroupRow:
    """The consumer group of a service."""

    name: str
    members: int
    lag: int
    oldest_s: float | None
    """How long the oldest record has waited; None: not known."""
    keeps_up: bool
    measured_ms: int


@dataclass(frozen=True, slots=True)
class LetterSum:
    """Dead letters of one reason from one service."""

    code: str
    service: str
    count: int
    last_ms: int
    detail: str
    """Of the last one: field and reason, never the text."""
    cause: str
    """What has to change before a replay can succeed: record, settings or fault."""
    command: str
    """That replays them."""


@dataclass(frozen=True, slots=True)
class StoreState:
    """How far this instance has read."""

    waiting: int
    """Records that were appended and not read yet."""
    behind_s: float | None
    """How long ago the newest record was appended that was read, where others wait; else 0. None: none was read."""
    pairs: int
    since_ms: int | None
    """The oldest text that is still there."""
    one_in: int
    """One text in so many is read whole."""
    bytes: int


@dataclass(frozen=True, slots=True)
class Health:
    """The screen."""

    groups: tuple[GroupRow, ...]
    measured_ms: int | None
    """When the groups were measured last, if that is so long ago that nobody knows how they are; else None."""
    letters: tuple[LetterSum, ...]
    unattributed: dict[str, int]
    """Code → dead letters whose tenant nobody can read; counts alone."""
    store: StoreState


_OLD_MS: Final = 60_000
"""Groups are measured four times as often as long as Kafka answers."""
_LETTERS: Final = """SELECT code, service, count(*) AS letters, max(at) AS last, detail FROM letters
WHERE tenant = ? AND source = ? AND expires > ? GROUP BY code, service ORDER BY last DESC"""
_UNATTRIBUTED: Final = "SELECT code, count(*) FROM letters WHERE tenant IS NULL AND expires > ? GROUP BY code"
_PAIRS: Final = "SELECT count(*) FROM results WHERE tenant = ? AND source = ?"
_FIRST: Final = "SELECT at FROM results WHERE tenant = ? AND source = ? ORDER BY seq LIMIT 1"


def health(connection: sqlite3.Connection, viewer: Viewer, now_ms: int) -> Health:
    """Return the screen. Groups are those of all; dead letters are the viewer's own."""
    owner = (viewer.tenant, viewer.source)
    groups = tuple(GroupRow(**each) for each in noted(connection, GROUPS) or ())
    measured = max((each.measured_ms for each in groups), default=now_ms)
    return Health(
        groups=groups,
        measured_ms=measured if now_ms - measured > _OLD_MS else None,
        letters=tuple(
            # SQLite takes the other columns from the row of the maximum.
            LetterSum(
                code=row["code"],
                service=row["service"],
                count=row["letters"],
                last_ms=row["last"],
                detail=row["detail"],
                cause=cause_of(row["code"]),
                command=replay_command(row["code"], row["service"]),
            )
            for row in connection.execute(_LETTERS, (*owner, now_ms))
        ),
        unattributed=dict(connection.execute(_UNATTRIBUTED, (now_ms,)).fetchall()),
        store=_store(connection, owner, now_ms),
    )


def replay_command(code: str, service: str) -> str:
    """Return the command that replays dead letters; what is in a header of Kafka may be anything, so it is quoted."""
    return shlex.join(["sprat", "dlq", "replay", "--reason", code, "--service", service])


def _store(connection: sqlite3.Connection, owner: tuple[str, str], now_ms: int) -> StoreState:
    state, first = state_of(connection), connection.execute(_FIRST, owner).fetchone()
    behind = None if state.read_ms is None else max(0, now_ms - state.read_ms) / 1000 if state.waiting else 0.0
    pages, size = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
    return StoreState(
        waiting=state.waiting,
        behind_s=behind,
        pairs=connection.execute(_PAIRS, owner).fetchone()[0],
        since_ms=None if first is None else first[0],
        one_in=state.one_in,
        bytes=pages * size,
    )
