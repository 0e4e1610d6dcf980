"""What was observed on each text: the small model's answer and confidence, the frontier's answer and cost."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sprat_training.evaluation.intervals import Interval

Doubles = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Observed:
    """One row a text; the arrays are parallel."""

    small_right: Flags
    confidence: Doubles
    """Of the small model's answer. A text that is escalated whatever it says has −1."""
    frontier_right: Doubles
    """1 or 0; or, where no answers were at hand, the share that is assumed to be right, for every text."""
    frontier_eur: Doubles
    """What the frontier's answer costs."""

    def __len__(self) -> int:
        return len(self.confidence)


# Accuracy and cost of the ways to divide the work: the small model alone, the frontier alone, at random, routed.

STEPS: Final = 100
RESAMPLES: Final = 1_000
_MOST_NUMBERS: Final = 25_000_000
"""Counts that are held at once, 100 MB: of very many texts fewer resamples tell as much."""
_MILLION: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one way gives."""

    escalated: float
    """Share of the texts."""
    accuracy: Interval
    eur_per_million: Interval
    """Of a million texts, all of them counted. The ends are those of a 95 % interval, too."""


@dataclass(frozen=True, slots=True)
class Routed:
    """What the router gives at one threshold, and what a router without any sense gives for the same share."""

    keep_at: float
    outcome: Outcome
    random_accuracy: float


@dataclass(frozen=True, slots=True)
class Assessment:
    """All of it."""

    texts: int
    small: Outcome
    frontier: Outcome
    routed: tuple[Routed, ...]
    """For keep_at 0, 0.01, … 1."""

    @property
    def costs_known(self) -> bool:
        """Tell whether an answer of the frontier is known to cost anything."""
        return self.frontier.eur_per_million.value > 0

    def at(self, keep_at: float) -> Routed:
        """Give what is got at a whole number of hundredths."""
        return self.routed[round(keep_at * STEPS)]


def assess(observed: Observed, *, seed: int = 0) -> Assessment:
    """Compute all, with intervals by the bootstrap: the texts drawn anew, a thousand times over."""
    count = len(observed)
    thresholds = [step / STEPS for step in range(STEPS + 1)]
    ways = [np.zeros(count, bool), np.ones(count, bool), *(observed.confidence < keep_at for keep_at in thresholds)]
    small, frontier, *routed = _outcomes(observed, np.stack(ways, axis=1), seed)
    better = frontier.accuracy.value - small.accuracy.value
    return Assessment(
        count,
        small,
        frontier,
        tuple(
            Routed(keep_at, outcome, small.accuracy.value + outcome.escalated * better)
            for keep_at, outcome in zip(thresholds, routed, strict=True)
        ),
    )


def _drawn(count: int, seed: int) -> NDArray[np.float32]:
    """How often each text is drawn in each of the resamples."""
    random = np.random.default_rng(seed)
    drawn = np.empty((max(min(RESAMPLES, _MOST_NUMBERS // count), 100), count), np.float32)
    for row in drawn:
        row[:] = np.bincount(random.integers(0, count, count), minlength=count)
    return drawn


def _outcomes(observed: Observed, escalated: NDArray[np.bool_], seed: int) -> list[Outcome]:
    """Give the outcome of each way; `escalated` is texts × ways."""
    drawn = _drawn(len(observed), seed)
    right = np.where(escalated, observed.frontier_right[:, None], observed.small_right[:, None])
    cost = np.where(escalated, observed.frontier_eur[:, None], 0.0) * _MILLION
    shares = escalated.mean(axis=0)
    each = zip(shares, _intervals(right, drawn), _intervals(cost, drawn), strict=True)
    return [Outcome(float(share), accuracy, euros) for share, accuracy, euros in each]


def _intervals(values: Doubles, drawn: NDArray[np.float32]) -> list[Interval]:
    """Give the mean of each column, with the interval of the means of the resamples."""
    means = drawn @ values.astype(np.float32) / len(values)
    low, high = np.quantile(means, (0.025, 0.975), axis=0)
    columns = zip(values.mean(axis=0), low, high, strict=True)
    return [Interval(float(value), float(least), float(most)) for value, least, most in columns]
