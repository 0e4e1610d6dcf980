"""The evidence against a goal: an e-process over reviewed answers, by fixed bets.

The hypothesis: whatever came before, the chance that an answer is wrong is at most the allowed one, 1 - goal; of an
answer that promises several things, each at the goal, at most so many times that. Each bet
multiplies its stake by `1 + bet · (wrong - allowed)` at each review, which the hypothesis makes no more than 1 on
average. So the evidence, the sum of all stakes, reaches 1/δ in at most a share δ of streams, however long one watches
(Ville's inequality): reviews may be looked at after each answer. See Waudby-Smith and Ramdas, "Estimating means of
bounded random variables by betting" (2024).

Half of the stake is bet from the first review on; of the other half, a fixed part more at each later one. What bets
lost in good months would else have to be won back before an alarm: errors that triple after 5,000 good reviews are
found six times sooner so.
"""

import math
from collections.abc import Mapping
from typing import Final

BETS: Final[Mapping[float, float]] = {1.5: 1 / 6, 2: 1 / 6, 3: 1 / 3, 4: 1 / 6, 6: 1 / 6}
"""The odds of an error at which a bet wins most, as a multiple of the allowed odds → its part of each stake. Fixed: a
bet that is chosen after the answers would void the bound."""
_MOST: Final = 1e300
"""The largest evidence that is told: JSON has no infinity."""


class Evidence:
    """The evidence so far that more than the allowed share of answers is wrong.

    Args:
        allowed: the allowed chance of an error, above 0 and below 1.
    """

    def __init__(self, allowed: float) -> None:
        self._allowed = allowed
        self._stakes = [0.0] * len(BETS)
        self._reviews = 0

    def add(self, wrong: float, promises: int = 1) -> None:
        """Add a review, in the order of the draws.

        Args:
            wrong: 1 for a wrong answer, 0 for a right one.
            promises: of how many statements one that is wrong makes the answer wrong. Where so many may be wrong that
                every answer may be, the review says nothing.
        """
        allowed = promises * self._allowed
        if allowed >= 1:
            return
        begun = unused_stake(self._reviews) - unused_stake(self._reviews + 1)
        self._reviews += 1
        over = wrong - allowed
        bets = ((odds - 1) / (1 + (odds - 1) * allowed) for odds in BETS)
        stakes = zip(bets, BETS.values(), self._stakes, strict=True)
        self._stakes = [(stake + part * begun) * (1 + bet * over) for bet, part, stake in stakes]

    @property
    def value(self) -> float:
        """The evidence; 1 without reviews."""
        return min(self.unbounded, _MOST)

    @property
    def unbounded(self) -> float:
        """The evidence, of many errors infinite."""
        return sum(self._stakes, unused_stake(self._reviews))


def unused_stake(reviews: int) -> float:
    """Return the part of the stake that is not bet until after so many reviews."""
    return 0.5 / (1 + math.log(reviews)) if reviews else 1.0
