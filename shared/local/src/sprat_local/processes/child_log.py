"""A child process with a log file: waiting until it serves, and saying why it does not."""

import os
import shutil
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sprat_local.errors import StartError
from sprat_local.processes import lifeline

_POLL_S = 0.02
_LINES = 12
_TAIL_BYTES = 8_192
_FULL_BYTES = 1 << 20
"""With less left than this, a broker ends of it."""


@dataclass(frozen=True, slots=True)
class LoggedChild:
    """A running child whose output is appended to a file."""

    name: str
    process: lifeline.Child
    log: Path
    log_from: int
    """Where this run's lines begin in the file, in bytes."""

    @property
    def alive(self) -> bool:
        """Tell whether the process runs."""
        return self.process.poll() is None

    @property
    def end(self) -> str:
        """Say how it ended; empty while it runs."""
        code = self.process.poll()
        return "" if code is None else reason(code) + _no_space(self.log.parent)

    def wait_until(self, serves: Callable[[], bool], timeout_s: float) -> None:
        """Wait until it serves.

        Raises:
            StartError: it ended, or does not serve in time (then it is killed); with the last lines of its log.
        """
        deadline = time.monotonic() + timeout_s
        while not serves():
            if not self.alive:
                raise StartError(f"{self.name} does not start: {self.end}", self.log, self.last_lines())
            if time.monotonic() > deadline:
                self.process.kill()
                self.process.wait()
                raise StartError(f"{self.name} did not answer within {timeout_s:g} s", self.log, self.last_lines())
            time.sleep(_POLL_S)

    def last_lines(self) -> str:
        """Give the last lines that it wrote in this run; where there are none, those of the run before."""
        lines = self._tail(self.log_from)
        if not lines and (before := self._tail(0)):
            return f"(nothing in this run; before it:)\n{before}"
        return lines

    def _tail(self, begin: int) -> str:
        with self.log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(begin, size - _TAIL_BYTES))
            return "\n".join(file.read().decode("utf-8", "replace").splitlines()[-_LINES:])


def reason(code: int) -> str:
    """Say how a process with this return code ended."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def _no_space(folder: Path) -> str:
    """Say that the disk is full: then the log, on the same disk, cannot say it."""
    try:
        return f" (no space left on the disk of {folder})" if shutil.disk_usage(folder).free < _FULL_BYTES else ""
    except OSError:
        return ""


def start(
    name: str, argv: Sequence[str], log: Path, *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> LoggedChild:
    """Start a child that dies with this process; `name` is for error messages."""
    with log.open("ab") as file:
        begin = file.seek(0, 2)
        process = lifeline.spawn(argv, cwd=cwd, env=env, stdout=file, stderr=file)
    return LoggedChild(name, process, log, begin)
