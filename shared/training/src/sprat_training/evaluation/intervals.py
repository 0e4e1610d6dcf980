"""How sure a share is that was counted on some texts."""

import math
from dataclasses import dataclass
from typing import Final

Z_95: Final = 1.959964
"""Of a normal distribution, 95 % lie within so many standard deviations."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A share with the ends of its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.1%} ({self.low:.1%} to {self.high:.1%})"


def wilson(right: float, count: float) -> Interval:
    """Give Wilson's interval for `right` of `count`; of nothing, everything is possible."""
    if count <= 0:
        return Interval(0.0, 0.0, 1.0)
    share, square = right / count, Z_95**2
    middle = (share + square / (2 * count)) / (1 + square / count)
    half = Z_95 * math.sqrt(share * (1 - share) / count + square / (4 * count**2)) / (1 + square / count)
    return Interval(share, max(middle - half, 0.0), min(middle + half, 1.0))
