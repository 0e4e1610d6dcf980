"""When texts arrive: by a clock and dice alone, whatever becomes of those before them."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from random import Random


def poisson(per_s: float, seconds: float, seed: int) -> list[float]:
    """Give the seconds after the beginning at which each text is due, in order; at least one.

    A Poisson process given its count: as irregular as independent people are, yet exactly `per_s` on average, so that a
    rung of a ladder is the rate that it says.
    """
    dice = Random(seed)  # noqa: S311 - nothing secret hangs on it
    return sorted(dice.random() * seconds for _ in range(max(1, round(per_s * seconds))))


# Publishing by the clock: no text waits for the answer to another, and what is late counts from when it was due.

Publish = Callable[[int], Awaitable[None]]
"""Hands over the text at this place; returns when the client has taken it, not when it is answered."""
Clock = Callable[[], float]


async def publish_on_time(
    due: Sequence[float], publish: Publish, *, clock: Clock = time.monotonic
) -> tuple[list[float], list[float]]:
    """Publish each text when it is due; give when each was due, by `clock`, and by how much each was late.

    A system that stalls does not slow the arrivals down, as a client that waits for answers would: it leaves out just
    the texts that would have waited ("coordinated omission"). Where the client itself stalls, the texts that became due
    meanwhile go out at once, and their latency still begins when they were due.

    Args:
        due: seconds after the beginning, in order.
        publish: hands a text over.
        clock: seconds.
    """
    began = clock()
    scheduled, late = [], []
    for place, at in enumerate(due):
        moment = began + at
        while (ahead := moment - clock()) > 0:  # noqa: ASYNC110 - it waits for the clock, not for an event
            await asyncio.sleep(ahead)
        scheduled.append(moment)
        late.append(clock() - moment)
        await publish(place)
    return scheduled, late
