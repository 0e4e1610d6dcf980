"""Deadlines, back-off and retries.

stamina retries a number of times; here a retry ends with a deadline that other steps share, so these are written by
hand.
"""

import asyncio
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from sprat.base.errors import Fatal, SpratError

log = logging.getLogger(__name__)

T = TypeVar("T")

REPORT_EVERY_S = 60.0
"""How often a reason that does not change is logged again."""


class Deadline:
    """A moment on the monotonic clock: one for an operation of several steps bounds their sum."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._at = clock() + seconds

    def remaining(self) -> float:
        """Return the seconds left, never less than 0."""
        return max(0.0, self._at - self._clock())

    @property
    def passed(self) -> bool:
        """Whether no time is left."""
        return self.remaining() == 0.0


class Backoff:
    """Exponential back-off with jitter, so that replicas do not retry in step.

    The pauses are `first` seconds, then twice as long each, up to `most`; each is shortened at random by up to a half.
    """

    def __init__(self, first: float = 0.1, most: float = 5.0) -> None:
        self._first = first
        self._most = most
        self._attempts = 0

    def next(self) -> float:
        """Return the next pause in seconds."""
        pause = min(self._most, self._first * 2.0**self._attempts)
        self._attempts = min(self._attempts + 1, 32)
        return pause * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not a secret

    def reset(self) -> None:
        """Start again with the first pause, after a success."""
        self._attempts = 0


class OnceAMinute:
    """Limits the lines about something that goes on: a log of every occurrence would hide all else."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = -math.inf

    def due(self) -> bool:
        """Return whether this is the first time, or a minute since the last time that it was due."""
        now = self._clock()
        if now - self._last < REPORT_EVERY_S:
            return False
        self._last = now
        return True


class FaultLog:
    """Logs one kind of fault that may come with every text, at most once a minute. `what` begins the line."""

    def __init__(self, what: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._what = what
        self._line = OnceAMinute(clock)
        self._count = 0

    def add(self, cause: str) -> None:
        """Count a fault, and log it with their number unless there was a line in the last minute.

        `cause` holds nothing of a text.
        """
        self._count += 1
        if self._line.due():
            log.warning("%s: %s; %d since the last such line", self._what, cause, self._count)
            self._count = 0


async def retry_until(
    step: Callable[[], Awaitable[T]],
    retryable: type[Exception] | tuple[type[Exception], ...],
    give_up_s: float,
    what: str = "",
    on_retry: Callable[[Exception], None] = lambda _: None,
) -> T:
    """Retry a step with growing pauses until it succeeds. `what` begins each logged failure, `on_retry` gets each.

    A reason is logged when it is new, and again once a minute: a log of every try would hide all else.

    Raises:
        Fatal: it did not succeed within `give_up_s`.
    """
    deadline, backoff = Deadline(give_up_s), Backoff()
    reported, report_again = "", Deadline(0)
    while True:
        try:
            return await step()
        except retryable as error:
            reason = str(error) if isinstance(error, SpratError) else type(error).__name__
            reason = f"{what}: {reason}" if what else reason
            if deadline.passed:
                raise Fatal(f"no success for {give_up_s:.0f} s; last failure: {reason}") from None
            if reason != reported or report_again.passed:
                log.warning("%s; retrying for %.0f s", reason, deadline.remaining())
                reported, report_again = reason, Deadline(REPORT_EVERY_S)
            on_retry(error)
            await asyncio.sleep(backoff.next())
