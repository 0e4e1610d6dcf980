"""Progress of long steps: on standard error and on a terminal alone, so that it never mixes with the output."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from sprat_operations.topic_reader import OnReadProgress

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_READ_DELAY_S: Final = 0.5
"""A shorter wait needs no bar."""


class ProgressBar:
    """One line, redrawn in place and removed at the end. Nothing is shown where standard error is no terminal."""

    def __init__(self, delay_s: float = 0.0) -> None:
        self._start_at = time.monotonic() + delay_s if sys.stderr.isatty() else None
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()

    def show(self, step: str, done: int, total: int) -> None:
        """Show that `done` of `total` are done in a step; nothing of a step with nothing to do."""
        if self._start_at is None or total <= 0 or time.monotonic() < self._start_at:
            return
        if self._progress is None or self._task is None:
            self._progress = _started()
            self._task = self._progress.add_task(step, total=total)
        self._progress.update(self._task, description=step, completed=done, total=total)


@contextmanager
def read_progress(what: str) -> Iterator[OnReadProgress]:
    """Yield a callback that shows how many of the records of a topic are read."""
    with ProgressBar(_READ_DELAY_S) as bar:
        yield lambda done, total: bar.show(what, done, total)


def _started() -> "Progress":
    from rich.console import Console  # noqa: PLC0415 - slow to import, and needed on a terminal alone
    from rich.progress import BarColumn, Progress, TextColumn  # noqa: PLC0415 - as above

    progress = Progress(
        TextColumn("{task.description:20}", markup=False),
        BarColumn(30),
        TextColumn("{task.completed:,.0f} of {task.total:,.0f}"),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,  # standard output may be a file or a pipe
    )
    progress.start()
    return progress
