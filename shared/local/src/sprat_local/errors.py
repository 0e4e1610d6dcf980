"""Errors of the local infrastructure.

* UserError
  + LocalError           something of this machine stands in the way; the message says what, where, and what to do
    - DownloadError     the broker's files cannot be fetched
    - StartError        a child process does not come up; the message ends with the last lines of its log
"""

from pathlib import Path

from sprat.errors import UserError


class LocalError(UserError):
    """Something of this machine stands in the way of the local infrastructure."""


class DownloadError(LocalError):
    """The broker's files cannot be fetched."""


class StartError(LocalError):
    """A child process does not come up."""

    def __init__(self, what: str, log: Path | None, last_lines: str) -> None:
        where = f"Its log is {log}; the last lines" if log is not None else "The last lines of its log"
        super().__init__(f"{what}. {where}:\n{last_lines or '(none)'}")
        self._what, self._last_lines = what, last_lines

    def without_log(self) -> "StartError":
        """Give the same error for when the log's folder is gone."""
        return StartError(self._what, None, self._last_lines)
