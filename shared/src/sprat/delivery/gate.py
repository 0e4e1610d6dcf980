"""Admission of work: open while partitions are assigned, closed on revoke and on stop; and the drain."""

import asyncio
import time

from sprat.deadline import Deadline


class Gate:
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
