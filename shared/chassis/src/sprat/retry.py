"""One deadline for an operation of several steps, so that the sum is bounded."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from sprat.errors import Fatal, SpratError


class Deadline:
    """A moment on the monotonic clock."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._at = clock() + seconds

    def remaining(self) -> float:
        """Give the seconds left, never less than 0."""
        return max(0.0, self._at - self._clock())

    @property
    def passed(self) -> bool:
        """Is it over?"""
        return self.remaining() == 0.0


# Exponential back-off with jitter.


class Backoff:
    """Growing pauses in seconds.

    `first`, doubling up to `most`, each shortened at random by up to a half, so that replicas do not come back in
    step.
    """

    def __init__(self, first: float = 0.1, most: float = 5.0) -> None:
        self._first = first
        self._most = most
        self._attempts = 0

    def next(self) -> float:
        """Give the next pause in seconds."""
        pause = min(self._most, self._first * 2.0**self._attempts)
        self._attempts = min(self._attempts + 1, 32)
        return pause * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not a secret

    def reset(self) -> None:
        """Begin again with the first pause, after a success."""
        self._attempts = 0


# Trying again while something outside is away.

log = logging.getLogger(__name__)

T = TypeVar("T")


async def retry_until(
    step: Callable[[], Awaitable[T]],
    retryable: type[Exception] | tuple[type[Exception], ...],
    give_up_s: float,
    what: str = "",
) -> T:
    """Try a step until it succeeds, with growing pauses; `what` is told with each failure.

    Raises:
        Fatal: it did not for `give_up_s`; the process exits, and what is not committed comes again.
    """
    deadline, backoff = Deadline(give_up_s), Backoff()
    while True:
        try:
            return await step()
        except retryable as error:
            told = str(error) if isinstance(error, SpratError) else type(error).__name__
            told = f"{what}: {told}" if what else told
            if deadline.passed:
                raise Fatal(f"nothing got through for {give_up_s:.0f} s, last: {told}") from None
            pause = backoff.next()
            log.warning("%s; again in %.1f s", told, pause)
            await asyncio.sleep(pause)
