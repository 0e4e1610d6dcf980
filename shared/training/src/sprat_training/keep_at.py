"""The rule by which a `keep_at` is recommended: one for training, calibration and assessment."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

STEPS: Final = 100
"""A keep_at is a whole number of hundredths."""
LEAST_KEEP_AT: Final = 0.5
"""No lower one is recommended: an answer that is more likely wrong than right is never kept, however easy the texts."""
WITHIN_REACH: Final = 10_000
"""More texts with labels are hardly anybody's: that they would show it helps nobody."""
PROVISIONAL: Final = "provisional"
"""What a keep_at is called that the texts do not show to reach the accuracy."""
Z_ONE_SIDED: Final = 1.644854
"""95 % of a normal distribution lie above minus so many standard deviations."""


@dataclass(frozen=True, slots=True)
class RightAt:
    """The share of answers that are right at one threshold."""

    keep_at: float
    share: float
    texts: float
    """How many it was counted on; of texts with unequal weights the effective number. 0 where there is none."""

    @property
    def shown(self) -> float:
        """Return what the share is at least, with 95 % confidence: the lower end of Wilson's one-sided interval."""
        if self.texts <= 0:
            return 0.0
        square = Z_ONE_SIDED**2
        middle = self.share + square / (2 * self.texts)
        half = Z_ONE_SIDED * math.sqrt(
            self.share * (1 - self.share) / self.texts + square / (4 * self.texts * self.texts)
        )
        return max((middle - half) / (1 + square / self.texts), 0.0)

    def texts_needed(self, accuracy: float) -> int | None:
        """Return how many texts would show an accuracy if as many of them were right; None where no number would."""
        gap = self.share - accuracy
        return None if gap <= 0 else math.ceil(Z_ONE_SIDED**2 * accuracy * (1 - accuracy) / gap**2)


@dataclass(frozen=True, slots=True)
class Recommendation:
    """A recommended `keep_at`, and how sure it is."""

    accuracy: float
    """The share right that was asked for."""
    at: RightAt
    counted: str = "the kept texts ({})"
    """On which texts the share was counted; `{}` stands for their number."""
    least: RightAt | None = None
    """The least threshold that reaches the accuracy on these texts, where it is below the recommended one."""

    @property
    def keep_at(self) -> float:
        """Return the threshold."""
        return self.at.keep_at

    @property
    def is_shown(self) -> bool:
        """Return whether the texts show the accuracy with 95 % confidence; else the threshold is provisional."""
        return self.at.shown >= self.accuracy

    @property
    def texts_needed(self) -> int | None:
        """Return how many texts would show the accuracy if as many of them were right; None where no number would."""
        return self.at.texts_needed(self.accuracy)

    @property
    def is_within_reach(self) -> bool:
        """Return whether texts to measure with would show the accuracy that somebody can have."""
        return self.texts_needed is not None and self.texts_needed <= WITHIN_REACH

    def __str__(self) -> str:
        if self.is_shown:
            return "with 95 % confidence"
        shown = math.floor(self.at.shown * 1000) / 1000
        texts = self.counted.format(f"{self.at.texts:,.0f}")
        provisional = f"{PROVISIONAL}: {texts} show {shown:.1%} with 95 % confidence"
        if not self.is_within_reach:
            better = "ask for a lower --accuracy, or make the model better"
            return f"{provisional}; measuring with more texts will hardly show {self.accuracy:.1%}: {better}"
        right = "all right" if self.at.share == 1 else "as often right"
        return f"{provisional}; to show {self.accuracy:.1%} takes {self.texts_needed:,}, {right}"


def recommend(shares: Iterable[RightAt], accuracy: float) -> Recommendation | None:
    """Return the least `keep_at` at which an accuracy is shown with 95 % confidence; None where none reaches it at all.

    Where the texts are too few to show it, it is the least one that reaches the accuracy on these texts, but none below
    the least that shows as much as any does, in half per cents: finer differences are chance with so few texts. So a
    higher accuracy, in half per cents, never gives a lower threshold.

    Args:
        shares: at each threshold, in ascending order.
        accuracy: required share of right answers.
    """
    counted = [each for each in shares if each.keep_at >= LEAST_KEEP_AT and each.texts > 0]
    for each in counted:
        if each.shown >= accuracy:
            return Recommendation(accuracy, each)
    reached = [each for each in counted if each.share >= accuracy]
    if not reached:
        return None
    most = _in_half_per_cents(max(each.shown for each in counted))
    least = next(each.keep_at for each in counted if each.shown >= most)
    chosen = next((each for each in reached if each.keep_at >= least), reached[-1])
    return Recommendation(accuracy, chosen, least=reached[0] if reached[0].keep_at < chosen.keep_at else None)


def _in_half_per_cents(share: float) -> float:
    """Return the largest multiple of a half per cent that is no larger."""
    return math.floor(share * 200) / 200


def lowers_unshown(keep_at: float, than: float, *, is_shown: bool) -> bool:
    """Return whether a `keep_at` is lower than another and its texts do not show it: then the higher one stays.

    Args:
        keep_at: the one that was found.
        than: the one that holds, or that of the card.
        is_shown: whether its texts show what was asked for, with 95 % confidence.
    """
    return keep_at < than and not is_shown


def keep_at_rule(what: str, accuracy: float, where: str, found: Recommendation | None) -> tuple[float, str]:
    """Return the `keep_at` for a card, 1 where nothing is kept, and how it was found.

    Args:
        what: is right, as "the answers kept".
        accuracy: the share right that was asked for.
        where: it was counted, as "held-out texts".
        found: what is recommended; None where no threshold reaches the accuracy.
    """
    rule = f"the least hundredth from {LEAST_KEEP_AT:.2f} on at which {what} are {accuracy:.1%} right on {where}"
    if found is None:
        return 1.0, f"{rule}; there is none, so nothing is kept"
    return found.keep_at, f"{rule}{', ' if found.is_shown else '; '}{found}"
