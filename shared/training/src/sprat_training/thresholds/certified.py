"""The accuracies that hold at a certainty of 95 %: exact binomial tests along a fixed sequence.

If rows like these were drawn again and again, in at most 5 of 100 drawings the share right among kept answers would be
below a certified accuracy (Angelopoulos et al. 2021, Learn then Test; fixed sequence testing). What is tested, in which
order and at which part of the 5 % follows from confidences and counts alone, never from labels.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from sprat.base.binomial import at_most
from sprat_contracts.thresholds import CERTAINTY, LEAST_THRESHOLD, NONE, SOME, Says, Step
from sprat_training.thresholds.rows import Doubles, Flags, Integers, Purpose, Rows

STEPS: Final = 20
RISK: Final = 1 - CERTAINTY
"""What all attempts on one version spend together, at most."""


@dataclass(frozen=True, slots=True)
class Walk:
    """One goal in one cell."""

    goal: float
    says: Says
    rows: int
    """That certify and may be kept."""
    spend: float
    """Of the 5 %; 0 where the rows are too few for a walk."""

    @property
    def needed(self) -> int:
        """Return the least kept rows for a test without an error; of a walk that is not made, at all of the 5 %."""
        return least_rows(self.goal, self.spend or RISK)

    @property
    def can_certify(self) -> bool:
        """Return whether it is made, and its rows are enough for a test without an error at what it may spend."""
        return self.spend > 0 and self.rows >= self.needed


def spend_of(attempt: int, *, also_chose: bool = False) -> float:
    """Return what an attempt may spend, from the first, 1; all that may follow spend 5 % together."""
    return RISK * 6 / (math.pi * attempt) ** 2 / (2 if also_chose else 1)


def least_rows(goal: float, spend: float) -> int:
    """Return the least n with goalⁿ ≤ spend: so many rows without an error certify."""
    return math.ceil(math.log(spend) / math.log(goal) - 1e-9)


def rows_that_certify(rows: Rows, seed: int = 0) -> Rows:
    """Return the rows that certify, one random one of each group of near doubles."""
    shuffled = np.random.default_rng(seed).permutation(np.flatnonzero(rows.certifies & rows.real))
    _, first = np.unique(rows.group[shuffled], return_index=True)
    return rows.where(np.sort(shuffled[first]))


def walks_of(certifying: Rows, purpose: Purpose, attempt: int = 1) -> tuple[Walk, ...]:
    """Return every goal in every cell and what each may spend, from counts alone.

    Those with rows enough for a test without an error at 5 % share what the attempt may spend; the others get none.
    Without a text outside every label there is none, unless the owner states that there are no such texts.

    Args:
        certifying: those of `rows_that_certify`.
        purpose: for which goals.
        attempt: which one on this version.
    """
    kept = certifying.confidence >= LEAST_THRESHOLD
    counts = {SOME: int((kept & ~certifying.says_none).sum()), NONE: int((kept & certifying.says_none).sum())}
    walks = [Walk(goal, says, count, 0.0) for goal in sorted(set(purpose.goals)) for says, count in counts.items()]
    if purpose.can_be_outside and not purpose.no_outside_texts and not certifying.outside.any():
        return tuple(walks)
    enough = sum(each.rows >= each.needed for each in walks)
    part = spend_of(attempt, also_chose=purpose.also_chose) / max(enough, 1)
    return tuple(replace(each, spend=part) if each.rows >= each.needed else each for each in walks)


def certify_cells(certifying: Rows, walks: Sequence[Walk]) -> dict[Says, dict[float, Step]]:
    """Return each goal that its walk certifies, for each cell."""
    found: dict[Says, dict[float, Step]] = {SOME: {}, NONE: {}}
    for each in walks:
        cell = certifying.says_none == (each.says == NONE)
        step = (
            certify(certifying.confidence[cell], certifying.right[cell], each.goal, each.spend) if each.spend else None
        )
        if step is not None:
            found[each.says][each.goal] = step
    return found


def certify(confidence: Doubles, right: Flags, goal: float, spend: float, steps: int = STEPS) -> Step | None:
    """Return the loosest threshold that a walk certifies; None where none is.

    The walk goes from strict to loose, by equal numbers of kept rows, and stops at the first test that does not reject
    "the share right is below the goal".

    Args:
        confidence: of each row of a cell that certifies.
        right: whether its answer is.
        goal: the share right.
        spend: the part of the 5 % that this walk may spend.
        steps: at most so many tests.
    """
    order = np.argsort(-confidence, kind="stable")
    confidence, wrong = confidence[order], np.cumsum(~right[order])
    certified = 0
    for kept in map(int, places(confidence, least_rows(goal, spend), steps)):
        if at_most(int(wrong[kept - 1]), kept, 1 - goal) > spend:
            break
        certified = kept
    if certified == 0:
        return None
    right_ones = certified - int(wrong[certified - 1])
    return Step(accuracy=goal, threshold=float(confidence[certified - 1]), kept=certified, right=right_ones)


def places(confidence: Doubles, least: int, steps: int = STEPS) -> Integers:
    """Return after how many rows a walk tests, ascending; rows of one confidence go together.

    Args:
        confidence: descending.
        least: rows of the first test.
        steps: at most so many.
    """
    most = int((confidence >= LEAST_THRESHOLD).sum())
    if most < least:
        return np.zeros(0, np.int64)
    wanted = np.unique(np.linspace(least, most, steps).round().astype(np.int64))
    # The last row of each confidence: how many have one that is at least as high.
    return np.unique(np.searchsorted(-confidence, -confidence[wanted - 1], side="right")).astype(np.int64)
