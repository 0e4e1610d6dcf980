"""What the closed draws add up to: the alarms that follow from them, and whether enough of them have a verdict."""

from array import array
from bisect import bisect_left
from collections.abc import Iterator

from sprat.registry.alarms import AlarmBook
from sprat_contracts import AlarmRaised, ModelRef, ReviewCell, ReviewClosed
from sprat_contracts.reviews import CLEARED, ERRORS, TOO_FEW_REVIEWS
from sprat_guardian.coverage import Coverage
from sprat_guardian.processes import ALL_CELLS, Process, Processes


class HashSet:
    """Hashes of 64 bits, in 8 bytes each: a year's draws of a task, in places by their last byte."""

    def __init__(self) -> None:
        self._places = [array("Q") for _ in range(256)]

    def add(self, hash: str) -> bool:
        """Add a hash, in hex, and return whether it is new."""
        number = int(hash, 16)
        among = self._places[number & 0xFF]
        place = bisect_left(among, number)
        if place < len(among) and among[place] == number:
            return False
        among.insert(place, number)
        return True


class Counting:
    """All that the log of closed draws says. Counted again, it gives the same alarms in the same order.

    So an alarm that was not written, because the guardian died before, is written by the next one.
    """

    def __init__(self) -> None:
        self.processes = Processes()
        self._hashes: dict[str, HashSet] = {}
        """Of all draws of each task that the log keeps."""
        self._alarms: dict[tuple[str, ReviewCell], list[AlarmRaised]] = {}
        """The alarms of errors of each place, in the order in which they follow from the log."""
        self._coverage: dict[str, Coverage] = {}
        self._clears: dict[tuple[str, ReviewCell], int] = {}
        """How many alarms of each place were cleared, as closed draws say."""

    def count(self, closed: ReviewClosed, at: int) -> None:
        """Count a closed draw, in the order of the log; `at` is its time there, epoch milliseconds.

        A text that comes again, however much later, has the same hash: it is drawn again, and closed again where its
        first draw is forgotten. It counts once: of an error that is known, a test must not be sure again and again.
        """
        if not self._hashes.setdefault(closed.task, HashSet()).add(closed.hash):
            return
        self._coverage.setdefault(closed.task, Coverage(closed.task)).count(closed, at)
        for cell, clears in ((closed.cell, closed.clears), (ALL_CELLS, closed.pooled_clears)):
            place = (closed.task, cell)
            self._clears[place] = max(clears, self._clears.get(place, 0))
        for process in self.processes.count(closed):
            alarms = self._alarms.setdefault((process.key.task, process.key.cell), [])
            alarms.append(_alarm(process, closed, at, 1 + len(alarms) + process.key.clears))

    def clears(self, task: str, cell: ReviewCell, drawn_at: int, book: AlarmBook) -> int:
        """Return of which test of a place a draw is: how many of its alarms of errors were cleared before it was drawn.

        When it is closed does not matter, as its answer may be known by then. Draws are closed in their order: it is
        of no test before that of the last one. That holds also where the topic of alarms has lost the clears.
        """
        return max(book.clears(task, cell, drawn_at), self._clears.get((task, cell), 0))

    def missing(self, book: AlarmBook) -> Iterator[AlarmRaised]:
        """Yield the alarms that follow from the log and are not on their topic, of each place the next one."""
        for (task, cell), alarms in self._alarms.items():
            written = _written(alarms, book.last(ERRORS, task, cell), self._clears[task, cell])
            yield from alarms[written : written + 1]
        for task, coverage in self._coverage.items():
            last = book.last(TOO_FEW_REVIEWS, task, ALL_CELLS)
            if last is not None and last.state == CLEARED:
                coverage.forget(book.changed_at(last))
            alarm = coverage.alarm()
            if alarm is not None and (last is None or last.state == CLEARED):
                yield alarm


def _written(alarms: list[AlarmRaised], last: AlarmRaised | None, clears: int) -> int:
    """Return how many of the alarms of a place precede the last one on the topic, itself included.

    A place is compacted to its last record, which also says when the draw that raised it was closed. Draws that were
    written together have the same time: then model and goal tell their alarms apart.
    """
    if last is None:  # none was written, or the topic has lost them: what was cleared does not come back
        return sum(each.clears < clears for each in alarms)
    same = [
        number
        for number, each in enumerate(alarms, 1)
        if (each.raised_at, each.model, each.goal) == (last.raised_at, last.model, last.goal)
    ]
    return max(same, default=sum(each.raised_at <= last.raised_at for each in alarms))


def _alarm(process: Process, closed: ReviewClosed, at: int, number: int) -> AlarmRaised:
    """Return the alarm of a test that the evidence of this draw has raised, with its number where none is written."""
    key = process.key
    model = None if closed.model is None else ModelRef(name=closed.model.name, version=closed.model.version)
    names = ", ".join(sorted(process.tiers))
    agreement = f"; by agreement with {names}, which may be wrong itself" if names else ""
    whose = "all of the task" if key.cell == ALL_CELLS else "the cell"
    return AlarmRaised(
        kind=ERRORS,
        task=key.task,
        cell=key.cell,
        number=number,
        clears=key.clears,
        model=model,
        goal=key.goal,
        evidence=closed.evidence,
        e_value=process.evidence,
        needed=process.needed,
        reviews=process.reviews,
        errors=process.errors,
        allowed=process.allowed if process.promises > process.reviews else None,
        agreement=tuple(sorted(process.tiers)),
        since=process.since_ms,
        raised_at=at,
        texts=tuple(process.wrong),
        detail=f"{process.errors} of {process.reviews} reviewed answers of {whose} were wrong; the goal allows "
        f"{100 * process.allowed:.4g} %{agreement}",
    )
