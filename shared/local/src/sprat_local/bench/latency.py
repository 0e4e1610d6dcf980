"""Latencies of texts that came by a schedule: their quantiles, and whether the system kept up."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final, Self

NEVER: Final = math.inf
"""The latency of a text that did not end."""

MAY_FALL_BEHIND: Final = 0.05
"""Seconds a second by which latency may grow within a rung: above it the backlog grows, and the rate is not sustained.

At 110 % of what a system can do it is 0.10. Below it lie the swings of a queue near its limit."""

_LEAST: Final = 20
"""Fewer texts say nothing of a trend."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Quantiles in seconds, by nearest rank: each is the latency of a text that was there."""

    p50: float
    p90: float
    p99: float
    max: float

    @classmethod
    def of(cls, latencies: Sequence[float]) -> Self:
        """Sum up at least one latency. A text that never ended counts as :data:`NEVER`: nothing is left out."""
        ranked = sorted(latencies)
        p50, p90, p99 = (ranked[math.ceil(share * len(ranked)) - 1] for share in (0.5, 0.9, 0.99))
        return cls(p50, p90, p99, ranked[-1])


def falling_behind(scheduled: Sequence[float], latencies: Sequence[float]) -> float:
    """Give the seconds by which latency grows with every second; 0 where it does not, and for few texts.

    It compares the usual latency of the last third with the worse ones of the first, their 90th percentile: the swings
    of a stable queue do not count, and one slow start does not hide a trend.

    Args:
        scheduled: when each text was due, in order.
        latencies: of the same texts, from the moment when each was due.
    """
    third = len(scheduled) // 3
    if len(scheduled) < _LEAST:
        return 0.0
    first, last = slice(0, third), slice(len(scheduled) - third, None)
    grown = median(latencies[last]) - Latency.of(latencies[first]).p90
    if math.isnan(grown):  # neither ended: never less never
        return NEVER
    return max(0.0, grown) / max(median(scheduled[last]) - scheduled[third - 1], 1e-9)
