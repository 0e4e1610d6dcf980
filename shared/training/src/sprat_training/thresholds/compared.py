"""Two models on the same rows, each at its own threshold: one verdict."""

import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from sprat.base.binomial import at_most
from sprat_training.thresholds.rows import Flags, Integers

Verdict = Literal["better", "worse", "not shown"]
CHANCE: Final = 0.05
_Z: Final = 1.959964


@dataclass(frozen=True, slots=True)
class Kept:
    """What one model does with the rows: one entry per row."""

    kept: Flags
    """At its own threshold."""
    right: Flags


@dataclass(frozen=True, slots=True)
class PairedComparison:
    """What both do with the same rows, near doubles counted once."""

    rows: int
    served_kept: int
    served_right: int
    """Kept and right."""
    new_kept: int
    new_right: int
    gained: int
    """Rows that the new one alone keeps and gets right."""
    lost: int
    """Rows that the served one alone does."""
    chance: float
    """Of so uneven a difference, or more, where none is better (McNemar, exact, two-sided)."""
    difference: float
    """Share kept and right, new minus served."""
    low: float
    """Least difference of its paired 95 % interval."""
    high: float
    verdict: Verdict
    missed: Literal["served", "new"] | None = None
    """The one that is shown to miss the goal, and to keep more wrong answers than the other."""


def compare_at(
    served: Kept, new: Kept, *, goal: float | None, group: Integers | None = None, seed: int = 0
) -> PairedComparison:
    """Compare two models on the same rows, each at the threshold that it has for the goal.

    One that is shown to miss the goal is worse than one that is not, if it also keeps more wrong answers than the other
    by more than chance. Else the better one keeps more right answers, if that is more than chance.

    Args:
        served: what the one does.
        new: what the other does.
        goal: the share right among kept answers; None: a fixed `keep_at`, which states none.
        group: near doubles share a number; one random row of each is compared.
        seed: of this choice.
    """
    rows = _one_of_each(np.arange(len(new.right)) if group is None else group, seed)
    served, new = (Kept(each.kept[rows], each.right[rows]) for each in (served, new))
    before, now = served.kept & served.right, new.kept & new.right
    gained, lost = int((now & ~before).sum()), int((before & ~now).sum())
    chance = _mcnemar(gained, lost)
    was_wrong, is_wrong = served.kept & ~served.right, new.kept & ~new.right
    more, fewer = int((is_wrong & ~was_wrong).sum()), int((was_wrong & ~is_wrong).sum())
    missed: Literal["served", "new"] | None = None
    if _misses(served, goal) != _misses(new, goal) and _mcnemar(more, fewer) <= CHANCE:
        missed = "served" if _misses(served, goal) else "new"
    verdict: Verdict = "not shown"
    if missed is not None:
        verdict = "better" if missed == "served" else "worse"
    elif chance <= CHANCE:
        verdict = "better" if gained > lost else "worse"
    return PairedComparison(
        len(rows),
        int(served.kept.sum()),
        int(before.sum()),
        int(new.kept.sum()),
        int(now.sum()),
        gained,
        lost,
        chance,
        (gained - lost) / max(len(rows), 1),
        *paired_interval(gained, lost, len(rows)),
        verdict,
        missed,
    )


def _mcnemar(one: int, other: int) -> float:
    """Return the chance of so uneven a pair of counts, or more, where both are equally likely: exact, two-sided."""
    return min(2 * at_most(min(one, other), one + other, 0.5), 1.0)


def paired_interval(gained: int, lost: int, rows: int) -> tuple[float, float]:
    """Return the ends of the 95 % score interval of the difference of two shares of the same rows.

    Tango, Equivalence test and confidence interval for the difference in proportions for the paired-sample design,
    Statistics in Medicine 17 (1998), 891-908.
    """
    if rows == 0:
        return -1.0, 1.0
    value = (gained - lost) / rows
    return _end(gained, lost, rows, -1.0, value), _end(gained, lost, rows, 1.0, value)


def _end(gained: int, lost: int, rows: int, end: float, value: float) -> float:
    """Return where the score reaches the limit between a value, where it is 0, and an end of all differences."""
    inside, outside = value, end
    for _ in range(60):
        middle = (inside + outside) / 2
        if abs(_score(gained, lost, rows, middle)) <= _Z:
            inside = middle
        else:
            outside = middle
    return inside


def _score(gained: int, lost: int, rows: int, difference: float) -> float:
    """Return how many standard deviations the rows are from a difference."""
    factor = -gained - lost + (2 * rows - gained + lost) * difference
    root = math.sqrt(factor**2 + 8 * rows * lost * difference * (1 - difference))
    least = (root - factor) / (4 * rows)
    """The likeliest share of rows that are lost alone, given the difference."""
    variance = rows * (2 * least + difference * (1 - difference))
    distance = gained - lost - rows * difference
    return distance / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, distance)


def _misses(answers: Kept, goal: float | None) -> bool:
    """Return whether the rows show that fewer of the kept answers are right than the goal says."""
    if goal is None or not answers.kept.any():
        return False
    kept, right = int(answers.kept.sum()), int((answers.kept & answers.right).sum())
    return at_most(right, kept, goal) <= CHANCE / 2


def _one_of_each(group: Integers, seed: int) -> Integers:
    shuffled = np.random.default_rng(seed).permutation(len(group))
    return np.sort(shuffled[np.unique(group[shuffled], return_index=True)[1]])
