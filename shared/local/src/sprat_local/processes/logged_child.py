"""A child process with a log file: wait until it serves, explain why it does not, follow what it logs."""

import json
import os
import shutil
import signal
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sprat_local.processes import lifeline, private
from sprat_local.processes.notices import Level, Notice, OnNotice, StartError

_POLL_S = 0.02
_LINES = 12
_TAIL_BYTES = 8_192
_FULL_BYTES = 1 << 20
"""With less free space than this, a broker stops because of it."""
_PLAIN_LINES = 8
_MAX_READ = 1 << 20
_FORWARDED: dict[str, Level] = {"warning": "warning", "error": "error", "critical": "error"}
"""Log level → level of the notice."""


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
        """Return whether the process runs."""
        return self.process.poll() is None

    @property
    def exit_reason(self) -> str:
        """Describe how it ended; empty while it runs."""
        code = self.process.poll()
        return "" if code is None else describe_exit(code) + _full_disk(self.log.parent)

    def wait_until(self, serves: Callable[[], bool], timeout_s: float) -> None:
        """Wait until it serves.

        Raises:
            StartError: it ended, or does not serve in time (then it is killed); with the last lines of its log.
        """
        deadline = time.monotonic() + timeout_s
        while not serves():
            if not self.alive:
                raise StartError(f"{self.name} does not start: {self.exit_reason}", self.log, self.last_lines())
            if time.monotonic() > deadline:
                self.process.kill()
                self.process.wait()
                raise StartError(f"{self.name} did not answer within {timeout_s:g} s", self.log, self.last_lines())
            time.sleep(_POLL_S)

    def last_lines(self) -> str:
        """Return the last lines that it wrote in this run; where there are none, those of the previous run."""
        lines = self._tail(self.log_from)
        if not lines and (previous := self._tail(0)):
            return f"(nothing in this run; before it:)\n{previous}"
        return lines

    def _tail(self, begin: int) -> str:
        with self.log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(begin, size - _TAIL_BYTES))
            return "\n".join(file.read().decode("utf-8", "replace").splitlines()[-_LINES:])


def start(
    name: str, argv: Sequence[str], log: Path, *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> LoggedChild:
    """Start a child that dies with this process; `name` is for error messages."""
    with private.open_to_append(log) as file:
        begin = file.seek(0, os.SEEK_END)
        process = lifeline.spawn(argv, cwd=cwd, env=env, stdout=file, stderr=file)
    return LoggedChild(name, process, log, begin)


def describe_exit(code: int) -> str:
    """Describe how a process with this return code ended."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def _full_disk(folder: Path) -> str:
    """Return a remark if the disk is full: the log, on the same disk, cannot record it."""
    try:
        return f" (no space left on the disk of {folder})" if shutil.disk_usage(folder).free < _FULL_BYTES else ""
    except OSError:
        return ""


class LogTail:
    """Follows a service's log: reports its warnings and errors, keeps the last lines that are not log entries."""

    def __init__(self, service: str, log: Path, on_notice: OnNotice, *, start: int) -> None:
        self._service = service
        self._log = log
        self._on_notice = on_notice
        self._position = start
        self._incomplete = b""
        self._plain: deque[str] = deque(maxlen=_PLAIN_LINES)

    def poll(self) -> None:
        """Read what was appended since the last call."""
        with self._log.open("rb") as file:
            file.seek(self._position)
            new = file.read(_MAX_READ)
        if not new:
            return
        self._position += len(new)
        *lines, self._incomplete = (self._incomplete + new).split(b"\n")
        for line in lines:
            self._handle(line.decode("utf-8", "replace"))

    @property
    def plain_lines(self) -> str:
        """The last lines that were not log entries, such as a traceback or a settings error; empty without any."""
        return "\n".join(self._plain)

    def _handle(self, line: str) -> None:
        entry = _parse_entry(line)
        if entry is None:
            if line.strip():
                self._plain.append(line)
        elif entry[0] in _FORWARDED:
            self._on_notice(Notice(self._service, _FORWARDED[entry[0]], entry[1]))


def format_log_line(line: str) -> str:
    """Return level and message of a JSON log entry; any other line unchanged."""
    entry = _parse_entry(line)
    return line if entry is None else f"{entry[0].upper():7} {entry[1]}"


def _parse_entry(line: str) -> tuple[str, str] | None:
    """Return level and message of a JSON log entry; None for any other line."""
    try:
        entry = json.loads(line)
        return str(entry["level"]), str(entry["message"])
    except (ValueError, TypeError, KeyError):
        return None
