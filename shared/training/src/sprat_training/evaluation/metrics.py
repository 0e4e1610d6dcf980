"""Shares with their intervals, and what a model with one label a text says of texts whose label is known."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from sprat_inference.label_calibration import OUTSIDE, RIGHT
from sprat_training.thresholds.rows import Doubles, Flags

Z_95: Final = 1.959964
"""95 % of a normal distribution lie within so many standard deviations."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A share or an amount with the ends of its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        low, high = self.rounded_ends
        return f"{self.value:.1%} ({low:.1%} to {high:.1%})"

    @property
    def rounded_ends(self) -> tuple[float, float]:
        """Return the ends as thousandths, rounded outwards: an interval that seems to be a point says too much."""
        return self.ends_to(3)

    def ends_to(self, decimals: int) -> tuple[float, float]:
        """Return the ends with so many decimals, rounded outwards."""
        parts = 10**decimals
        low, high = math.floor(round(self.low * parts, 6)), math.ceil(round(self.high * parts, 6))
        return low / parts, high / parts

    def overlaps(self, other: "Interval") -> bool:
        """Return whether some value lies in both intervals: then they show no difference."""
        return self.low <= other.high and other.low <= self.high


def wilson(right: float, count: float) -> Interval:
    """Return Wilson's score interval for `right` of `count`; 0 to 1 where nothing was counted.

    Where all or none are right, it still has a width, as a bootstrap has not (Wilson 1927; Brown, Cai, DasGupta 2001).
    """
    if count <= 0:
        return Interval(0.0, 0.0, 1.0)
    share, square = right / count, Z_95**2
    middle = (share + square / (2 * count)) / (1 + square / count)
    half = Z_95 * math.sqrt(share * (1 - share) / count + square / (4 * count**2)) / (1 + square / count)
    return Interval(share, max(middle - half, 0.0), min(middle + half, 1.0))


def allow_for_unseen(drawn: Interval, cases: int, least: float = 0.0, most: float = 1.0) -> Interval:
    """Return the interval of a mean by bootstrap, widened by what the cases may not show.

    Cases that are alike give a bootstrap that is a point, and cases of which one alone differs give one that is hardly
    wider. But a kind of case that is none of them may be a share of the traffic, up to Wilson's upper end for 0 of
    `cases`, z² / (cases + z²). Such cases are counted as `least` for the lower end, as `most` for the upper one.

    Where all cases are right, or none is, these are the ends of Wilson's interval (1927) for the share of right ones.
    Where all paired differences are 0, or all 1, or all -1, and `least` is -1 and `most` 1, they are the ends of
    Tango's score interval for the difference of two paired shares (Statistics in Medicine 17, 1998, 891-908). Where the
    cases differ much, the bootstrap is the wider one, and stays as it is.

    Args:
        drawn: the mean with the ends of its bootstrap.
        cases: how many independent ones the mean is of; with none it may be anything from `least` to `most`.
        least: what a case adds to the mean at least.
        most: what it adds at most.
    """
    unseen = wilson(0, cases).high
    seen = (1 - unseen) * drawn.value
    return Interval(drawn.value, min(drawn.low, seen + unseen * least), max(drawn.high, seen + unseen * most))


@dataclass(frozen=True, slots=True)
class ModelReadings:
    """What a model says of in-scope texts followed by out-of-scope texts: one entry per text in each array."""

    in_scope: Flags
    """True for the in-scope texts."""
    best_right: Flags
    """The most likely label is the right one; False for all texts out of scope."""
    best_logit: Doubles
    outside_probability: Doubles
    """Calibrated probability that the text is out of scope."""
    is_rejected: Flags
    """The published output has no label."""
    confidence: Doubles

    @property
    def right(self) -> Flags:
        """Return whether each output is right as published."""
        return np.where(self.in_scope, self.best_right & ~self.is_rejected, self.is_rejected)

    def answered_by_another(self, answered: Flags, chances: Doubles, best_right: Flags) -> "ModelReadings":
        """Return the readings where another stage answers some texts.

        Args:
            answered: whether it answers each text.
            chances: its chances of right, wrong and outside for each text.
            best_right: for each text in scope, whether the likeliest label of the stage that answers is right.
        """
        right, outside = chances[:, RIGHT], chances[:, OUTSIDE]
        is_outside = outside > right
        known = np.zeros_like(self.in_scope)
        known[self.in_scope] = best_right
        return ModelReadings(
            in_scope=self.in_scope,
            best_right=known,
            best_logit=self.best_logit,
            outside_probability=np.where(answered, outside, self.outside_probability),
            is_rejected=np.where(answered, is_outside, self.is_rejected),
            confidence=np.where(answered, np.maximum(right, outside), self.confidence),
        )

    def weights(self, outside_share: float) -> Doubles:
        """Return one weight per text, adding up to 1, under which `outside_share` of the texts are out of scope."""
        count = int(self.in_scope.sum())
        outside = max(self.in_scope.size - count, 1)  # without any, none gets this weight
        return np.where(self.in_scope, (1 - outside_share) / count, outside_share / outside)

    def share_of_traffic(self, which: Flags, outside_share: float) -> float:
        """Return the share of some texts under these weights, by their numbers.

        Weights that are added up one by one end in another binary digit, and 11.25 % would be rounded up in one place
        and down in another.
        """
        count = int(self.in_scope.sum())
        inside, outside = int((which & self.in_scope).sum()), int((which & ~self.in_scope).sum())
        of_inside = (1 - outside_share) * inside / max(count, 1)
        return of_inside + outside_share * outside / max(self.in_scope.size - count, 1)
