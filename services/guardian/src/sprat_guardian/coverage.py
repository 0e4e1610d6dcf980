"""Whether enough of the draws are answered: those without a verdict are left out of the tests for errors."""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from sprat_contracts import AlarmRaised, ReviewClosed
from sprat_contracts.reviews import CANNOT_TELL, TOO_FEW_REVIEWS, UNANSWERED
from sprat_contracts.topics import DAY_MS

WEEK_MS: Final = 7 * DAY_MS
MOST_MISSING: Final = 0.1
LEAST_DRAWS: Final = 20


@dataclass(slots=True)
class Coverage:
    """The closed draws of one task whose closing is at most a week before the last one."""

    task: str
    _week: deque[tuple[int, bool]] = field(default_factory=deque)
    """When each was closed, and whether it has no verdict."""
    _missing: int = 0

    def count(self, closed: ReviewClosed, at: int) -> None:
        """Count a closed draw, in the order of the log; `at` is its time there, epoch milliseconds."""
        missing = closed.verdict in {UNANSWERED, CANNOT_TELL}
        self._week.append((at, missing))
        self._missing += missing
        while self._week[0][0] < at - WEEK_MS:
            self._missing -= self._week.popleft()[1]

    def forget(self, at: int) -> None:
        """Forget what was closed before: an alarm about it was cleared."""
        while self._week and self._week[0][0] <= at:
            self._missing -= self._week.popleft()[1]

    def alarm(self) -> AlarmRaised | None:
        """Return the alarm where too many draws have no verdict."""
        draws = len(self._week)
        if draws < LEAST_DRAWS or self._missing <= MOST_MISSING * draws:
            return None
        return AlarmRaised(
            kind=TOO_FEW_REVIEWS,
            task=self.task,
            number=1,
            reviews=draws - self._missing,
            since=self._week[0][0],
            raised_at=self._week[-1][0],
            detail=f"{self._missing} of {draws} draws in a week have no verdict: nobody answered, or could not tell; "
            "errors among them would not be seen; it stands until it is cleared, also where later draws are answered",
        )
