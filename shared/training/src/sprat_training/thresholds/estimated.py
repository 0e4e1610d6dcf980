"""The accuracies that are reached on average: the least confidence for each."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from sprat_contracts.thresholds import LEAST_THRESHOLD, LEVELS, Step
from sprat_training.thresholds.rows import Doubles, Flags, Integers

_ROUNDING: Final = 1e-9


@dataclass(frozen=True, slots=True)
class AtEach:
    """What is kept from each confidence on, the strictest first."""

    threshold: Doubles
    kept: Doubles
    """Rows; of weighted ones and of doubles the effective number."""
    wrong: Doubles
    """Of these."""


def at_each(confidence: Doubles, right: Flags, weight: Doubles, group: Integers | None = None) -> AtEach:
    """Return what is kept from each confidence on that occurs.

    Rows of unequal weights count as so many equal ones as say as much (Kish): the square of the sum of weights by the
    sum of their squares, those of near doubles added up first. It is at most the sum of weights: many light stand-ins
    say no more than the rows that they weigh as much as. Of this number the weighted share is wrong.
    """
    order = np.argsort(-confidence, kind="stable")
    confidence, weight, wrong = confidence[order], weight[order], ~right[order]
    numbers = order if group is None else group[order]
    total = np.cumsum(weight)
    squares = np.cumsum(weight * (weight + 2 * _before(weight, numbers)))
    last = np.flatnonzero(np.diff(confidence, append=-np.inf))  # equal confidences go together
    kept = np.minimum(total[last], total[last] ** 2 / squares[last])
    return AtEach(confidence[last], kept, kept * np.cumsum(weight * wrong)[last] / total[last])


def estimate(confidence: Doubles, right: Flags, weight: Doubles, group: Integers | None = None) -> tuple[Step, ...]:
    """Return the accuracies that are reached on average, ascending: (wrong + 1) / (kept + 1) is at most the rest to 1.

    Args:
        confidence: of each row.
        right: whether its answer is.
        weight: more than 0.
        group: near doubles share a number; None: there are none.
    """
    each = at_each(confidence, right, weight, group)
    allowed = (each.wrong + 1) / (each.kept + 1)
    possible = each.threshold >= LEAST_THRESHOLD
    reached = possible[:, None] & (allowed[:, None] <= 1 - np.array(LEVELS) + _ROUNDING)
    # What reaches a higher level reaches each lower one, so no threshold falls as levels rise.
    return tuple(
        step_at(each, int(np.flatnonzero(of_level)[-1]), level)
        for level, of_level in zip(LEVELS, reached.T, strict=True)
        if of_level.any()
    )


def step_at(each: AtEach, place: int, level: float) -> Step:
    """Return the step of a level at one of the confidences."""
    kept, wrong = float(each.kept[place]), float(each.wrong[place])
    return Step(accuracy=level, threshold=float(each.threshold[place]), kept=_short(kept), right=_short(kept - wrong))


def least_to_reach(accuracy: float) -> int:
    """Return the least kept rows that reach an accuracy on average where all of them are right: 33 for 97 %."""
    return math.ceil(1 / (1 - accuracy) - 1 - _ROUNDING)


def effective(weight: Doubles, group: Integers) -> float:
    """Return how many equal rows that are no doubles say as much as these, as `at_each` counts them."""
    sums = np.bincount(np.unique(group, return_inverse=True)[1], weight)
    return _short(min(float(sums.sum()), float(sums.sum() ** 2 / (sums**2).sum()))) if len(weight) else 0.0


def _before(weight: Doubles, group: Integers) -> Doubles:
    """Return for each row the weights of those of its group that stand before it, added up."""
    order = np.argsort(group, kind="stable")
    sums = np.cumsum(weight[order]) - weight[order]
    first = np.flatnonzero(np.append(True, np.diff(group[order]) != 0)) if len(group) else np.zeros(0, np.int64)
    sums -= np.repeat(sums[first], np.diff(np.append(first, len(group))))
    before = np.empty_like(sums)
    before[order] = sums
    return before


def _short(number: float) -> float:
    """Return a number of rows with two decimals."""
    return round(number, 2)
