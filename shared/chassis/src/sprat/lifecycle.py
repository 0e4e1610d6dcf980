"""The one place where a loop says that the process must stop, and where the process waits for it."""

import asyncio
import time

from sprat.retry import Deadline


class Failure:
    """Set once, by the first thing that cannot go on."""

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self._set = asyncio.Event()

    def report(self, error: BaseException) -> None:
        """Say that the process must stop, and why; only the first counts."""
        if self.error is None:
            self.error = error
            self._set.set()

    async def wait(self) -> BaseException:
        """Wait for a failure."""
        await self._set.wait()
        if self.error is None:
            raise AssertionError("set without an error")
        return self.error


# Admission of work: open while partitions are assigned, closed on revoke and on stop; and the drain.


class AdmissionControl:
    """Counts what is in hand. Closed, it admits nothing; `drained` waits until nothing is left."""

    def __init__(self) -> None:
        self._open = True
        self._stopped = False
        self._in_hand = 0
        self._empty = asyncio.Event()
        self._empty.set()
        self.moved_at = time.monotonic()
        """When work last began or ended, monotonic seconds."""

    @property
    def is_open(self) -> bool:
        """May work begin?"""
        return self._open

    @property
    def in_hand(self) -> int:
        """How much work is under way."""
        return self._in_hand

    def enter(self) -> bool:
        """Begin a piece of work, if the gate is open."""
        if not self._open:
            return False
        self._in_hand += 1
        self.moved_at = time.monotonic()
        self._empty.clear()
        return True

    def leave(self) -> None:
        """End a piece of work."""
        self._in_hand -= 1
        self.moved_at = time.monotonic()
        if self._in_hand == 0:
            self._empty.set()

    def close(self, *, for_good: bool = False) -> None:
        """Admit nothing more; for good when the service stops."""
        self._open = False
        self._stopped = self._stopped or for_good

    def open(self) -> None:
        """Admit again, unless closed for good."""
        self._open = not self._stopped

    async def drained(self, deadline: Deadline) -> bool:
        """Wait until nothing is in hand; False if the deadline passed first."""
        try:
            async with asyncio.timeout(deadline.remaining()):
                await self._empty.wait()
        except TimeoutError:
            return False
        return True
