"""A bar that shows how far a long step is: on a terminal alone, and on standard error, so that no output is spoilt."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Final, Self

from sprat_operations.topic_reader import OnReadProgress, silent

_WIDTH: Final = 30
_EVERY_S: Final = 0.1


class ProgressBar:
    """One line that is drawn over and over, and gone at the end."""

    def __init__(self) -> None:
        self._wanted = sys.stderr.isatty()
        self._drawn = ""
        self._next = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._drawn:
            self._write("")

    def show(self, step: str, done: int, whole: int) -> None:
        """Say that `done` of `whole` are done of a step; nothing is shown of a step with nothing to do."""
        now = time.monotonic()
        if not self._wanted or whole <= 0 or (now < self._next and done < whole):
            return
        self._next = now + _EVERY_S
        full = min(_WIDTH * done // whole, _WIDTH)
        self._write(f"{step:20} {'█' * full}{'░' * (_WIDTH - full)} {done:,} of {whole:,}")

    def _write(self, line: str) -> None:
        sys.stderr.write(f"\r{line.ljust(len(self._drawn))}{'' if line else chr(13)}")
        sys.stderr.flush()
        self._drawn = line


# How far a look back through topics has come, for a person who waits.

_AFTER_S = 0.5
"""Below it nobody waits."""
_READ_EVERY_S = 0.1


@contextmanager
def looking_back(what: str) -> Iterator[OnReadProgress]:
    """Give what shows the progress on standard error, where that is a terminal; nothing of it stays there."""
    if not sys.stderr.isatty():
        yield silent
        return
    line = _Line(what)
    try:
        yield line.show
    finally:
        line.wipe()


class _Line:
    def __init__(self, what: str) -> None:
        self._what = what
        self._next = time.monotonic() + _AFTER_S
        self._shown = False

    def show(self, done: int, total: int) -> None:
        if time.monotonic() >= self._next:
            self._next, self._shown = time.monotonic() + _READ_EVERY_S, True
            self._write(f"\r{self._what}: {done:,} of {total:,} records\x1b[K")

    def wipe(self) -> None:
        if self._shown:
            self._write("\r\x1b[K")

    def _write(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()
