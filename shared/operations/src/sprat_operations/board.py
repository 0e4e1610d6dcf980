"""The rows of a board of an installation: one for each of its groups, services or servers."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal

from sprat_operations.lag import Pace
from sprat_operations.traffic import GroupPace

Health = Literal["good", "starting", "limited", "bad", "off"]


@dataclass(frozen=True, slots=True)
class BoardRow:
    """State and measurements of one row; a field that does not apply keeps its default."""

    name: str
    state: str = ""
    health: Health = "good"
    members: int | None = None
    """Number of members of the group."""
    lag: int | None = None
    pace: Pace | None = None
    p95_ms: float | None = None
    """Milliseconds from a text to its Result, 95th percentile."""
    kept: float | None = None
    """Share of the Results that keep the small model's answer, 0–1."""
    port: int = 0
    restarts: int = 0
    model: str = ""
    last_exit: str = ""


def group_rows(groups: Iterable[GroupPace], required: Collection[str] = ()) -> list[BoardRow]:
    """Return a row for each group, and for each required one that does not exist."""
    rows = [
        BoardRow(
            group.name,
            health="good" if group.measured.group.members else "bad",
            members=len(group.measured.group.members),
            lag=group.measured.lag,
            pace=group.pace,
        )
        for group in groups
    ]
    absent = sorted(set(required) - {row.name for row in rows})
    return rows + [BoardRow(name, health="bad", members=0) for name in absent]
