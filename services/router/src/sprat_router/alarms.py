"""The alarms of errors that stand, and the goal to which they raise that of the answers concerned."""

from typing import Final

from sprat.kafka.signatures import Signatures
from sprat.registry.alarms import AlarmBook
from sprat_contracts import KafkaRecord, ReviewCell
from sprat_contracts.reviews import ERRORS
from sprat_contracts.thresholds import LEVELS, Says, Thresholds, thousandths

MOST_STEPS: Final = 3
"""After so many steps nothing is kept."""
_ESTIMATED: Final = "estimated"


class StandingAlarms:
    """How many alarms of errors a cell and its task have since their last clear; by the last valid record of each."""

    def __init__(self, signatures: Signatures) -> None:
        self._book = AlarmBook(signatures)
        self._steps: dict[tuple[str, str | None, str | None], int] = {}

    def take(self, record: KafkaRecord) -> None:
        """Take a record of the topic of alarms."""
        self._book.take(record)
        self._steps = {
            (each.task, each.cell.tenant, each.cell.language): each.steps
            for each in self._book.standing()
            if each.kind == ERRORS
        }

    def forget(self) -> None:
        """Forget all: the topic was deleted and created again."""
        self._book.forget()
        self._steps = {}

    def steps(self, task: str, cell: ReviewCell) -> int:
        """Return how many alarms a cell or its whole task has had, whichever had more; 0: none stands.

        They do not add up: of one tenant and one language, the same reviews raise both.
        """
        own = self._steps.get((task, cell.tenant, cell.language), 0)
        return max(own, self._steps.get((task, None, None), 0))

    def __bool__(self) -> bool:
        """Return whether any stands."""
        return bool(self._steps)


def tightened_goal(thresholds: Thresholds, goal: float, steps: int, language: str, said: Says) -> float | None:
    """Return the goal after a number of steps, each to the next level that needs a higher confidence.

    Args:
        thresholds: of the model, as they are announced.
        goal: that holds without an alarm.
        steps: how many.
        language: of the text, BCP 47.
        said: whether the answer names something.

    Returns:
        None where there is no such level, or more than three steps are asked for: then nothing is kept.
    """
    if steps > MOST_STEPS:
        return None
    for _ in range(steps):
        higher = _next_goal(thresholds, goal, language, said)
        if higher is None:
            return None
        goal = higher
    return goal


def _next_goal(thresholds: Thresholds, goal: float, language: str, said: Says) -> float | None:
    least = thresholds.threshold(goal, _ESTIMATED, language, said)
    if least is None:
        return None
    for level in LEVELS:
        if thousandths(level) <= thousandths(goal):
            continue
        threshold = thresholds.threshold(level, _ESTIMATED, language, said)
        if threshold is None or threshold > least:
            return None if threshold is None else level
    return None
