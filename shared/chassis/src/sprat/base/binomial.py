"""Exact bounds on the chance of an error, from counts alone."""

import math
from typing import Final

_HALVINGS: Final = 60
"""After so many the bound is as exact as a float."""


def at_most(errors: int, rows: int, risk: float) -> float:
    """Return the chance of at most so many errors in so many rows, of which each is wrong with this risk: exact."""
    if errors >= rows or risk <= 0:
        return 1.0
    if risk >= 1:
        return 0.0
    odds = math.log(risk / (1 - risk))
    log = rows * math.log1p(-risk)
    logs = [log]
    for number in range(1, errors + 1):
        log += math.log((rows - number + 1) / number) + odds
        logs.append(log)
    most = max(logs)
    return min(math.exp(most) * math.fsum(math.exp(each - most) for each in logs), 1.0)


def upper_bound(errors: int, rows: int, certainty: float) -> float:
    """Return the largest risk that so few errors do not refute at this certainty: one-sided, Clopper and Pearson 1934.

    If rows like these were drawn again and again, the risk would be above its bound in at most `1 - certainty` of them.
    """
    if errors >= rows:
        return 1.0
    low, high = errors / rows, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if at_most(errors, rows, middle) > 1 - certainty:
            low = middle
        else:
            high = middle
    return high
