"""An open load: texts arrive by the clock, whether or not earlier ones are answered; their latencies, and their trend.

A closed load, in which a client waits for answers, slows down with the system and leaves out the texts that would have
waited ("coordinated omission").
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from random import Random
from statistics import median
from typing import Final, Self

SEED: Final = 7
"""Of the arrivals: two runs differ by the machine, not by the random numbers."""
NEVER: Final = math.inf
"""The latency of a text that did not end."""
MAX_LATENCY_GROWTH: Final = 0.05
"""Seconds per second by which latency may grow at a sustained rate: above it the backlog grows.

At 110 % of the saturation it is 0.10. Below the limit are the swings of a queue near saturation."""
_MIN_TEXTS: Final = 20
"""Fewer texts show no trend."""

Publish = Callable[[int], Awaitable[None]]
"""Publishes the text with this index; returns when the client has accepted it, before it is answered."""
Clock = Callable[[], float]
Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class LatencyQuantiles:
    """Quantiles in seconds, by nearest rank: each is the latency of one of the texts."""

    p50: float
    p90: float
    p99: float
    max: float

    @classmethod
    def of(cls, latencies: Sequence[float]) -> Self:
        """Summarise at least one latency. A text that never ended counts as :data:`NEVER`: nothing is left out."""
        ranked = sorted(latencies)
        p50, p90, p99 = (ranked[math.ceil(share * len(ranked)) - 1] for share in (0.5, 0.9, 0.99))
        return cls(p50, p90, p99, ranked[-1])


def poisson_arrivals(per_s: float, seconds: float, seed: int = SEED) -> list[float]:
    """Return when each text is due, in seconds from the beginning, in order; at least one.

    A Poisson process, conditioned on its count: as irregular as independent users, but on average exactly `per_s`.
    """
    random = Random(seed)  # noqa: S311 - not a secret
    return sorted(random.random() * seconds for _ in range(max(1, round(per_s * seconds))))


async def publish_on_time(
    due: Sequence[float], publish: Publish, *, clock: Clock = time.monotonic, sleep: Sleep = asyncio.sleep
) -> list[float]:
    """Publish each text when it is due, and return when that was, by `clock`.

    If the client itself stalls, the texts that became due meanwhile are published at once; their latency still begins
    when they were due.

    Args:
        due: seconds from the beginning, in order.
        publish: publishes a text.
        clock: returns seconds.
        sleep: waits for so many seconds of that clock.
    """
    began = clock()
    scheduled = [began + offset for offset in due]
    for index, moment in enumerate(scheduled):
        while (ahead := moment - clock()) > 0:
            await sleep(ahead)
        await publish(index)
    return scheduled


def latency_growth(scheduled: Sequence[float], latencies: Sequence[float]) -> float:
    """Return the seconds by which latency grows per second; 0 if it does not grow, and for few texts.

    It compares the median of the last third with the 90th percentile of the first third: the swings of a stable queue
    do not count, and one slow start does not hide a trend.

    Args:
        scheduled: when each text was due, in order.
        latencies: of the same texts, from the moment when each was due.
    """
    third = len(scheduled) // 3
    if len(scheduled) < _MIN_TEXTS:
        return 0.0
    first, last = slice(0, third), slice(len(scheduled) - third, None)
    growth = median(latencies[last]) - LatencyQuantiles.of(latencies[first]).p90
    if math.isnan(growth):  # no text of either third ended: infinity minus infinity
        return NEVER
    return max(0.0, growth) / max(median(scheduled[last]) - scheduled[third - 1], 1e-9)
