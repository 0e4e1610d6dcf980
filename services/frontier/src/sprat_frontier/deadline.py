"""Until when a case may wait."""

import time
from dataclasses import dataclass

from sprat_frontier.protocols import Clock


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        """Return epoch milliseconds."""
        return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class EscalationDeadline:
    """The end of the time that a case may wait for the frontier: `appended_at + deadline_ms`, on the broker's clock."""

    at_ms: int
    clock: Clock

    def remaining_s(self) -> float:
        """Return the seconds left, never less than 0."""
        return max(0, self.at_ms - self.clock.now_ms()) / 1000

    @property
    def passed(self) -> bool:
        """Whether no time is left."""
        return self.clock.now_ms() >= self.at_ms
