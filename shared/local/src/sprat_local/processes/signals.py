"""Ctrl-C and SIGTERM: the first stops everything in order, the second kills."""

import signal
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

_NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """A signal asks the program to stop. Not an Exception, so that no handler of errors catches it."""


class StopSignals:
    """The signal handlers while entered, in the main thread.

    The first signal raises `Interrupted`, or calls the function set with `on_first`; each further one calls `kill`.
    """

    def __init__(self, kill: Callable[[], None]) -> None:
        self._kill = kill
        self._received = False
        self._on_first: Callable[[], None] | None = None
        self._previous: dict[signal.Signals, Any] = {}

    def on_first(self, call: Callable[[], None] | None) -> None:
        """Call this at the first signal instead of raising; None: raise again."""
        self._on_first = call

    def __enter__(self) -> Self:
        self._previous = {number: signal.signal(number, self._handle) for number in _NUMBERS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        if self._received:
            self._kill()
            return
        self._received = True
        if self._on_first is None:
            raise Interrupted
        self._on_first()
