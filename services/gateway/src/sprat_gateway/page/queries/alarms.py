"""What reviews found, and the alarms that stand: of the viewer's tenant, of all others together, and of whole tasks."""

import shlex
import sqlite3
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from typing import Final
from uuid import UUID

from pydantic import ValidationError

from sprat_contracts import AlarmRaised, ids
from sprat_contracts.reviews import RIGHT, WRONG
from sprat_gateway.page.queries.viewer import Viewer
from sprat_gateway.page.reviews import OTHERS


@dataclass(frozen=True, slots=True)
class ReviewCounts:
    """Reviews that ended."""

    right: int = 0
    wrong: int = 0
    undecided: int = 0
    """Nobody answered, nobody could tell, or two answers differ."""
    agreed: int = 0
    """Of those that a tier has answered: that is no accuracy."""
    disagreed: int = 0

    @property
    def decided(self) -> int:
        """How many say whether the answer was right."""
        return self.right + self.wrong

    @property
    def any(self) -> bool:
        """Whether one ended."""
        return any(astuple(self))

    def __add__(self, other: "ReviewCounts") -> "ReviewCounts":
        """Return both together."""
        return ReviewCounts(*(one + another for one, another in zip(astuple(self), astuple(other), strict=True)))


@dataclass(frozen=True, slots=True)
class StandingAlarm:
    """An alarm that nobody has cleared."""

    alarm: AlarmRaised
    name: str
    """As a shell gives it to `sprat alarms`."""
    texts: tuple[tuple[str, str], ...]
    """Uuid and id of those with a wrong answer that are the viewer's own."""


_ENDED: Final = """SELECT task, verdict, disputed, tier IS NOT NULL, count(*) FROM closed
WHERE tenant = ? AND source = ? AND ended >= ? AND ended < ? AND expires > ? GROUP BY 1, 2, 3, 4"""
_STANDING: Final = """SELECT value FROM alarms
WHERE value IS NOT NULL AND (tenant IS NULL OR tenant IN (?, ?)) ORDER BY key"""
_OWN: Final = "SELECT 1 FROM texts WHERE uuid = ? AND tenant = ? AND source = ?"


def reviews_by_task(
    connection: sqlite3.Connection, viewer: Viewer, begin_ms: int, end_ms: int
) -> Mapping[str, ReviewCounts]:
    """Return by task what the reviews found that ended in a span of time."""
    found: defaultdict[str, ReviewCounts] = defaultdict(ReviewCounts)
    span = (begin_ms, end_ms, begin_ms)
    for task, verdict, disputed, by_tier, count in connection.execute(_ENDED, (viewer.tenant, viewer.source, *span)):
        if disputed or verdict not in {RIGHT, WRONG}:
            found[task] += ReviewCounts(undecided=count)
        elif by_tier:
            found[task] += ReviewCounts(agreed=count * (verdict == RIGHT), disagreed=count * (verdict == WRONG))
        else:
            found[task] += ReviewCounts(count * (verdict == RIGHT), count * (verdict == WRONG))
    return found


def standing_alarms(connection: sqlite3.Connection, viewer: Viewer) -> tuple[StandingAlarm, ...]:
    """Return the alarms that stand."""
    found = []
    for (value,) in connection.execute(_STANDING, (viewer.tenant, OTHERS)).fetchall():
        try:
            alarm = AlarmRaised.model_validate_json(value)
        except ValidationError:  # of another version of the contract
            continue
        named = ((ids.derive(ids.TEXT, each.text_source, each.text_id), each.text_id) for each in alarm.texts)
        own = [
            (str(UUID(bytes=uuid.bytes)), id)
            for uuid, id in named
            if connection.execute(_OWN, (uuid.bytes, viewer.tenant, viewer.source)).fetchone()
        ]
        name = shlex.quote(alarm.key.decode().removesuffix("/*").removesuffix("/*"))
        found.append(StandingAlarm(alarm, name, tuple(own)))
    return tuple(found)
