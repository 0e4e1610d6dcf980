"""Ctrl-C and SIGTERM: the first stops in order, the second kills."""

import signal
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

_NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """A person or the system wants the program to stop. Not an Exception: nobody may take it for an error."""


class StopSignals:
    """The handlers, while entered: the first signal raises `Interrupted` or calls what `instead` names, others `kill`.

    They belong to the main thread.
    """

    def __init__(self, kill: Callable[[], None]) -> None:
        self._kill = kill
        self._seen = False
        self._instead: Callable[[], None] | None = None
        self._former: dict[signal.Signals, Any] = {}

    def instead(self, call: Callable[[], None] | None) -> None:
        """Call this at the first signal instead of raising."""
        self._instead = call

    def __enter__(self) -> Self:
        self._former = {number: signal.signal(number, self._handle) for number in _NUMBERS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, former in self._former.items():
            signal.signal(number, former)

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        if self._seen:
            self._kill()
            return
        self._seen = True
        if self._instead is None:
            raise Interrupted
        self._instead()
