"""The tests of a task's reviews: which are open, what each has counted, and when one raises its alarm.

Everything follows from the `ReviewClosed` of the draws, in their order: counted again, they give the same tests in the
same order, with the same alarms.

A year's false alarms are bounded for each task. In a calendar year (UTC), half of δ is for the tests of the whole task
and half for those of its cells. Each half is shared in the order in which the tests open: the k-th has 6/(π²k²) of it,
and these shares add up to 1. The test of a cell opens after its 50th review: else whoever may write texts could use up
the shares with languages that nobody speaks. It bets from then on, because its share may depend on what came before.
"""

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from sprat.base.words import printable
from sprat_contracts import ReviewCell, ReviewClosed, TextName
from sprat_contracts.reviews import BY_TIER, RIGHT, WRONG
from sprat_guardian.evidence import Evidence
from sprat_policy.tiers import MAX_TIERS

DELTA: Final = 0.05
"""The chance of a false alarm that a task may have in a calendar year."""
LEAST_REVIEWS: Final = 50
"""A cell with fewer raises no alarm of its own: its reviews count for the whole task."""
ALL_CELLS: Final = ReviewCell()
"""The place of the tests of a whole task."""
_TEXTS: Final = 5
"""An alarm names so many texts with a wrong answer, the latest ones."""


@dataclass(frozen=True, slots=True)
class ProcessKey:
    """What distinguishes one test from another: a change in any of it opens a new one, its return continues the old."""

    task: str
    cell: ReviewCell
    """`ALL_CELLS` for a test of the whole task."""
    model: tuple[str, str] | None
    """Name and version of the model that answered."""
    goal: float
    clears: int
    """How many alarms of this place were cleared before."""
    year: int
    """The calendar year (UTC) in which its draws were drawn."""

    @property
    def is_pooled(self) -> bool:
        """Return whether it is a test of the whole task."""
        return self.cell == ALL_CELLS


@dataclass(slots=True)
class Process:
    """A test and what it has counted so far."""

    key: ProcessKey
    place: int | None = None
    """It is the k-th that was opened of its task, year and half; None: it has too few reviews to be open."""
    reviews: int = 0
    errors: int = 0
    promises: int = 0
    """Of how many statements these reviews are, each at the goal."""
    since_ms: int | None = None
    """When the first of its draws was drawn."""
    wrong: deque[TextName] = field(default_factory=lambda: deque(maxlen=_TEXTS))
    """The latest texts with a wrong answer."""
    tiers: set[str] = field(default_factory=set)
    """Those that gave some of the answers."""
    is_raised: bool = False
    """An alarm is raised once."""
    _evidence: Evidence = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._evidence = Evidence(1 - self.key.goal)

    @property
    def needed(self) -> float | None:
        """The evidence from which on the alarm is raised: 1/δ_k; None while it is not open."""
        return None if self.place is None else 1 / share_of_delta(self.place)

    @property
    def allowed(self) -> float:
        """The share of the reviewed answers that may be wrong, 0 to 1."""
        return min(1.0, (1 - self.key.goal) * self.promises / self.reviews) if self.reviews else 1 - self.key.goal

    @property
    def evidence(self) -> float:
        """The evidence against its goal so far."""
        return self._evidence.value

    def count(self, closed: ReviewClosed) -> None:
        """Count one more answered draw."""
        self.since_ms = closed.drawn_at if self.since_ms is None else self.since_ms
        self.reviews += 1
        self.promises += closed.promises
        if closed.by is not None and closed.by.startswith(BY_TIER) and len(self.tiers) < MAX_TIERS:
            self.tiers.add(printable(closed.by.removeprefix(BY_TIER), 64))
        if self.place is not None:
            self._evidence.add(closed.verdict == WRONG, closed.promises)
        if closed.verdict == WRONG:
            self.errors += 1
            self.wrong.append(TextName(text_source=closed.text_source, text_id=closed.text_id))

    def raises(self) -> bool:
        """Return whether it raises its alarm now, which it does once."""
        raises = not self.is_raised and self.needed is not None and self.evidence >= self.needed
        self.is_raised |= raises
        return raises


class Processes:
    """All tests, of all tasks and years."""

    def __init__(self) -> None:
        self._processes: dict[ProcessKey, Process] = {}
        self._opened: dict[tuple[str, int, bool], int] = {}
        """Task, year, and whether of the whole task → tests opened so far."""
        self.current: dict[tuple[str, ReviewCell], Process] = {}
        """Of each task and place, the test that has counted its last draw."""

    def __iter__(self) -> Iterator[Process]:
        """Yield all, in the order of their first draws."""
        return iter(self._processes.values())

    def count(self, closed: ReviewClosed) -> list[Process]:
        """Count a closed draw in its two tests, and return those that raise their alarm by it.

        Call it once for each draw, in the order of the draws. What was not answered, or could not be told, and what was
        kept without a goal, is left out.
        """
        if closed.verdict not in {RIGHT, WRONG} or closed.disputed:
            return []
        counting = [self._process(key) for key in keys_of(closed)]
        for process in counting:
            least = 0 if process.key.is_pooled else LEAST_REVIEWS
            if process.place is None and process.reviews >= least:
                half = (process.key.task, process.key.year, process.key.is_pooled)
                self._opened[half] = process.place = self._opened.get(half, 0) + 1
            process.count(closed)
        return [process for process in counting if process.raises()]

    def _process(self, key: ProcessKey) -> Process:
        process = self.current[key.task, key.cell] = self._processes.setdefault(key, Process(key))
        return process


def keys_of(closed: ReviewClosed) -> tuple[ProcessKey, ...]:
    """Return the tests that a draw counts for: of its task and of its cell; none where it was kept without a goal."""
    if closed.goal is None or not 0 < closed.goal < 1:
        return ()
    model = None if closed.model is None else (closed.model.name, closed.model.version)
    year = datetime.fromtimestamp(closed.drawn_at / 1000, UTC).year
    pooled = ProcessKey(closed.task, ALL_CELLS, model, closed.goal, closed.pooled_clears, year)
    return pooled, replace(pooled, cell=closed.cell, clears=closed.clears)


def share_of_delta(place: int) -> float:
    """Return δ_k: the chance of a false alarm that the k-th test of a task's half of a year has."""
    return DELTA / 2 * 6 / (math.pi**2 * place**2)
