"""A child process with a log file: waiting until it serves, and saying why it does not."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sprat.local import lifeline
from sprat.local.errors import StartError

_POLL_S = 0.02
_LINES = 12
_TAIL_BYTES = 8_192


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

    def wait_until(self, serves: Callable[[], bool], timeout_s: float) -> None:
        """Wait until it serves.

        Raises:
            StartError: it ended, or does not serve in time (then it is killed); with the last lines of its log.
        """
        deadline = time.monotonic() + timeout_s
        while not serves():
            if not self.alive:
                raise StartError(self._obituary(f"ended with {self.process.returncode}"))
            if time.monotonic() > deadline:
                self.process.kill()
                self.process.wait()
                raise StartError(self._obituary(f"did not answer within {timeout_s:g} s"))
            time.sleep(_POLL_S)

    def last_lines(self) -> str:
        """Give the last lines that it wrote in this run."""
        with self.log.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(self.log_from, size - _TAIL_BYTES))
            return "\n".join(file.read().decode("utf-8", "replace").splitlines()[-_LINES:])

    def _obituary(self, what: str) -> str:
        return f"{self.name} {what}. Its log is {self.log}; the last lines:\n{self.last_lines() or '(none)'}"


def start(
    name: str, argv: Sequence[str], log: Path, *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> LoggedChild:
    """Start a child that dies with this process; `name` is for error messages."""
    with log.open("ab") as file:
        begin = file.seek(0, 2)
        process = lifeline.spawn(argv, cwd=cwd, env=env, stdout=file, stderr=file)
    return LoggedChild(name, process, log, begin)
