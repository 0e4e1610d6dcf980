"""How far a look back through topics has come, for a person who waits."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from sprat.operating.reading import Progress, silent

_AFTER_S = 0.5
"""Below it nobody waits."""
_EVERY_S = 0.1


@contextmanager
def looking_back(what: str) -> Iterator[Progress]:
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
            self._next, self._shown = time.monotonic() + _EVERY_S, True
            self._write(f"\r{self._what}: {done:,} of {total:,} records\x1b[K")

    def wipe(self) -> None:
        if self._shown:
            self._write("\r\x1b[K")

    def _write(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()
