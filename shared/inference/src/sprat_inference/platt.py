"""Platt scaling: turn a number that rises with the chance of being right into that chance.

Source: Platt 1999, Probabilistic Outputs for Support Vector Machines.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

_SMALLEST: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Platt:
    """Turns a product of probabilities into a chance: a logistic regression on its log-odds."""

    bias: float = 0.0
    slope: float = 1.0

    def chances(self, products: Doubles) -> Doubles:
        """Return the chances, 0–1, in the shape of `products`."""
        chances: Doubles = 1.0 / (1.0 + np.exp(-np.clip(self.bias + self.slope * log_odds(products), -500, 500)))
        return chances

    def chance(self, product: float) -> float:
        """Return the chance for one of them."""
        return float(self.chances(np.array([product]))[0])


UNFITTED: Final = Platt()
"""Leaves a number as it is."""


def log_odds(products: Doubles) -> Doubles:
    """Return the log-odds, bounded, so that a long text has some."""
    bounded = np.clip(products, _SMALLEST, 1.0 - _SMALLEST)
    odds: Doubles = np.log(bounded / (1.0 - bounded))
    return odds
