"""What a local installation reports to the user: notices while it runs, progress while it prepares, errors.

* UserError
  + LocalError           something on this machine prevents the start; the message says what, where, and what to do
    - DownloadError     the broker's files cannot be fetched
    - StartError        a child process does not start; the message ends with the last lines of its log
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sprat.base.errors import UserError

Level = Literal["info", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Notice:
    """One line for the user: which service, how severe, what happened."""

    service: str
    level: Level
    text: str


OnNotice = Callable[[Notice], None]
"""Called from the supervisor's thread."""

OnProgress = Callable[[str], None]
"""Receives one short line, such as "fetching Apache Kafka 4.1.1: 20 of 46 files"."""


def discard_notice(_: Notice) -> None:
    """Report nothing."""


def discard_progress(_line: str) -> None:
    """Report nothing."""


class LocalError(UserError):
    """Something on this machine prevents the start of the local infrastructure."""


class DownloadError(LocalError):
    """The broker's files cannot be fetched."""


class StartError(LocalError):
    """A child process does not start."""

    def __init__(self, what: str, log: Path | None, last_lines: str) -> None:
        where = f"Its log is {log}; the last lines" if log is not None else "The last lines of its log"
        super().__init__(f"{what}. {where}:\n{last_lines or '(none)'}")
        self._what, self._last_lines = what, last_lines

    def without_log(self) -> "StartError":
        """Return the same error without the log's path, for when the log's folder has been removed."""
        return StartError(self._what, None, self._last_lines)
