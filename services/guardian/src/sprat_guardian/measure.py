"""The metrics of the active guardian."""

import math
import sys
from collections.abc import Sequence

from sprat.telemetry import signals
from sprat_contracts import AlarmRaised, ReviewCell, ReviewClosed
from sprat_guardian.processes import ALL_CELLS, Process
from sprat_guardian.state import GuardianState


def count_written(messages: Sequence[ReviewClosed | AlarmRaised]) -> None:
    """Count the draws that were closed."""
    for each in messages:
        if isinstance(each, ReviewClosed) and not each.disputed:
            signals.REVIEWS_CLOSED.add(1, task=each.task, verdict=each.verdict)


def count_ignored(why: str) -> None:
    """Count a record that does not count."""
    signals.REVIEWS_IGNORED.add(1, why=why)


def show(state: GuardianState) -> None:
    """Show what is open, what stands, and how far the tests have come."""
    signals.REVIEWS_OPEN.replace([(count, {"task": task}) for task, count in state.queue.open.items()])
    signals.GUARDIAN_ALARMS.replace(
        [(1, {"kind": each.kind, "task": each.task, "cell": _name(each.cell)}) for each in state.book.standing()]
    )
    signals.GUARDIAN_EVIDENCE.replace(
        [
            (_progress(each, needed), {"task": task, "cell": _name(cell)})
            for (task, cell), each in state.counting.processes.current.items()
            if (needed := each.needed) is not None
        ]
    )


def show_nothing() -> None:
    """End what only the active guardian shows."""
    for gauge in (signals.REVIEWS_OPEN, signals.GUARDIAN_ALARMS, signals.GUARDIAN_EVIDENCE):
        gauge.replace([])


def _progress(process: Process, needed: float) -> float:
    return math.log(process.evidence or sys.float_info.min) / math.log(needed)


def _name(cell: ReviewCell) -> str:
    return "all" if cell == ALL_CELLS else f"{cell.tenant or '*'}/{cell.language or '*'}"
