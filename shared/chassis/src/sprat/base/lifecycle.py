"""How a service admits work, drains it, and learns that it must stop."""

import asyncio
import time

from sprat.base.retry import Deadline


class Failure:
    """The first error after which the process must stop."""

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self._reported = asyncio.Event()

    def report(self, error: BaseException) -> None:
        """Stop the process because of this error; later ones are ignored."""
        if self.error is None:
            self.error = error
            self._reported.set()

    async def wait(self) -> BaseException:
        """Wait for an error and return it."""
        await self._reported.wait()
        if self.error is None:
            raise AssertionError("reported without an error")
        return self.error


class AdmissionControl:
    """Admits work while partitions are assigned, and counts it until it is done.

    It closes on a revoke and on a stop, then `drained` waits for the work in progress.
    """

    def __init__(self) -> None:
        self._open = True
        self._stopped = False
        self._in_progress = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self.changed_at = time.monotonic()
        """When work last began, advanced or ended, monotonic seconds."""

    @property
    def is_open(self) -> bool:
        """Whether new work is admitted."""
        return self._open

    @property
    def in_progress(self) -> int:
        """How many pieces of work have begun and not ended."""
        return self._in_progress

    def enter(self) -> bool:
        """Begin a piece of work; return False, and begin nothing, while closed."""
        if not self._open:
            return False
        self._in_progress += 1
        self.changed_at = time.monotonic()
        self._idle.clear()
        return True

    def leave(self) -> None:
        """End a piece of work."""
        self._in_progress -= 1
        self.changed_at = time.monotonic()
        if self._in_progress == 0:
            self._idle.set()

    def advance(self) -> None:
        """Record that the work in progress advances: it may go on for as long as records come."""
        self.changed_at = time.monotonic()

    def close(self, *, permanently: bool = False) -> None:
        """Admit no more work; permanently when the service stops."""
        self._open = False
        self._stopped = self._stopped or permanently

    def open(self) -> None:
        """Admit work again, unless closed permanently."""
        self._open = not self._stopped

    async def drained(self, deadline: Deadline) -> bool:
        """Wait until no work is in progress; return False if the deadline passes first."""
        try:
            async with asyncio.timeout(deadline.remaining()):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True
