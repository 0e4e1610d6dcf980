"""Time, as deadlines need it: epoch milliseconds, comparable with the broker's."""

import time
from dataclasses import dataclass
from typing import Protocol


class Clock(Protocol):
    """Tells the time of day."""

    def now_ms(self) -> int:
        """Give epoch milliseconds."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        """Give epoch milliseconds."""
        return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class CaseDeadline:
    """Until when a case may wait for the frontier: `appended_at + deadline_ms`, on the broker's clock."""

    at_ms: int
    clock: Clock

    def remaining_s(self) -> float:
        """Give the seconds left, never less than 0."""
        return max(0, self.at_ms - self.clock.now_ms()) / 1000

    @property
    def passed(self) -> bool:
        """Is it over?"""
        return self.clock.now_ms() >= self.at_ms
