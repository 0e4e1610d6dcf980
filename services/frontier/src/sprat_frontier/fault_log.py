"""Faults that may come with every text: in the log they are one line a minute."""

import logging
import time
from collections.abc import Callable

from sprat.base.retry import OnceAMinute

log = logging.getLogger(__name__)


class FaultLog:
    """Logs one kind of fault, at most once a minute. `what` begins the line."""

    def __init__(self, what: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._what = what
        self._line = OnceAMinute(clock)
        self._count = 0

    def add(self, cause: str) -> None:
        """Count a fault, and log it with their number unless there was a line in the last minute.

        `cause` holds nothing of a text.
        """
        self._count += 1
        if self._line.due():
            log.warning("%s: %s; %d since the last such line", self._what, cause, self._count)
            self._count = 0
