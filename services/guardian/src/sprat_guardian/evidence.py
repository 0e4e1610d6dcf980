"""The evidence against a goal: an e-process over reviewed answers, by fixed bets.

The hypothesis: whatever came before, the chance that an answer is wrong is at most the allowed one, 1 - goal. Each bet
multiplies its stake by `1 + bet · (wrong - allowed)` at each review, which the hypothesis makes no more than 1 on
average. So the evidence, the weighted sum of all stakes, reaches 1/δ in at most a share δ of streams, however long one
watches (Ville's inequality): reviews may be looked at after each answer. See Waudby-Smith and Ramdas, "Estimating means
of bounded random variables by betting" (2024).

A bet stands here as the odds of an error that it wins most at, as a multiple of the allowed odds. Then the product over
reviews needs no order: it depends on the numbers of reviews and errors alone.
"""

import math
from collections.abc import Mapping
from typing import Final

BETS: Final[Mapping[float, float]] = {1.5: 1 / 6, 2: 1 / 6, 3: 1 / 3, 4: 1 / 6, 6: 1 / 6}
"""Multiple of the allowed odds → weight. Fixed: a bet chosen after the answers would void the bound."""
_MOST: Final = 700.0
"""The logarithm of the largest evidence that is returned: of more, a float is infinite."""


def evidence(reviews: int, errors: int, allowed: float) -> float:
    """Return the evidence that more than the allowed share of answers is wrong; 1 without reviews.

    Args:
        reviews: answers that were reviewed.
        errors: those of them that were wrong.
        allowed: the allowed chance of an error, above 0 and below 1.
    """
    stakes = [
        math.log(weight) + errors * math.log(odds) - reviews * math.log1p((odds - 1) * allowed)
        for odds, weight in BETS.items()
    ]
    most = max(stakes)
    total = most + math.log(sum(math.exp(each - most) for each in stakes))
    return math.exp(min(total, _MOST))
