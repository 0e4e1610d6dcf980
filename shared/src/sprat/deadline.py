"""One deadline for an operation of several steps, so that the sum is bounded."""

import time
from collections.abc import Callable


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
