"""Follows a service's log file: hands on its warnings and errors, remembers its last plain lines."""

import json
from collections import deque
from pathlib import Path

from sprat_local.events import Event, Level, OnEvent

_PLAIN_LINES = 8
_MAX_READ = 1 << 20
_TOLD: dict[str, Level] = {"warning": "warning", "error": "error", "critical": "error"}


class LogTail:
    """Reads what was appended since the last look."""

    def __init__(self, service: str, log: Path, on_event: OnEvent, *, start: int) -> None:
        self._service = service
        self._log = log
        self._on_event = on_event
        self._position = start
        self._rest = b""
        self._plain: deque[str] = deque(maxlen=_PLAIN_LINES)

    def look(self) -> None:
        """Read on. Lines not of our JSON form are kept for `plain`: an interpreter's traceback, a user error."""
        with self._log.open("rb") as file:
            file.seek(self._position)
            new = file.read(_MAX_READ)
        if not new:
            return
        self._position += len(new)
        *lines, self._rest = (self._rest + new).split(b"\n")
        for line in lines:
            self._take(line.decode("utf-8", "replace"))

    @property
    def plain(self) -> str:
        """The last lines that were no log lines; empty where there are none."""
        return "\n".join(self._plain)

    def _take(self, line: str) -> None:
        entry = _entry(line)
        if entry is None:
            if line.strip():
                self._plain.append(line)
        elif entry[0] in _TOLD:
            self._on_event(Event(self._service, _TOLD[entry[0]], entry[1]))


def readable(line: str) -> str:
    """Give a log line as a person reads it: level and message; any other line as it is."""
    entry = _entry(line)
    return line if entry is None else f"{entry[0].upper():7} {entry[1]}"


def _entry(line: str) -> tuple[str, str] | None:
    """Give level and message of a line of our JSON form."""
    try:
        entry = json.loads(line)
        return str(entry["level"]), str(entry["message"])
    except (ValueError, TypeError, KeyError):
        return None
