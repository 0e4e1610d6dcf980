"""One supervised service process: started, probed, restarted with back-off when it dies."""

import contextlib
import http.client
import os
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from sprat.retry import Backoff
from sprat_local.events import Event, OnEvent
from sprat_local.processes import child_log
from sprat_local.processes.log_tail import LogTail, readable
from sprat_local.processes.ports import HOST, free_port

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
_HEALTHY_AFTER_S = 60.0
"""Who lived for so long did not die of its start: its next restart comes quickly again."""
_PROBE_TIMEOUT_S = 0.5
_PROBE_EVERY_S = 5.0
USER_ERROR = 2
"""The exit code of a service that was given wrong settings; a restart cannot mend that."""


class State(StrEnum):
    """How a supervised process stands."""

    STARTING = "starting"
    READY = "ready"
    SILENT = "not answering"
    WAITING = "restarting"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start a service."""

    name: str
    module: str
    environment: Mapping[str, str]
    port_variable: str
    port: int | None
    """None: a free one, at each start another."""
    ready_path: str
    log: Path


class ServiceProcess:
    """A service's process and its restarts. Its methods are called by one thread at a time; `kill` by any."""

    def __init__(self, launch: Launch, on_event: OnEvent, *, restart: bool = True) -> None:
        self.name = launch.name
        self.state = State.STOPPED
        self.restarts = 0
        self.last_end = ""
        """Why it last died; empty while it never did."""
        self.exit_code: int | None = None
        self.port = 0
        self._launch = launch
        self._on_event = on_event
        self._restart = restart
        self._child: child_log.LoggedChild | None = None
        self._tail: LogTail | None = None
        self._backoff = Backoff(_FIRST_PAUSE_S, _LONGEST_PAUSE_S)
        self._was_ready = False
        self._started_at = 0.0
        self._due_at = 0.0
        """When to look next: at the probe, or for the restart."""

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._child.process.pid if self._child is not None and self._child.alive else None

    @property
    def log(self) -> Path:
        """The file with everything it writes, of all its runs."""
        return self._launch.log

    def start(self) -> None:
        """Start the process; one that runs is left alone."""
        if self.pid is not None:
            return
        self.port = self._launch.port or free_port()
        environment = {**self._launch.environment, self._launch.port_variable: str(self.port)}
        # -P: a redis.py in the person's current folder must not come before the library.
        argv = [sys.executable, "-P", "-m", self._launch.module]
        self._child = child_log.start(self.name, argv, self._launch.log, env=environment)
        self._tail = LogTail(self.name, self._launch.log, self._on_event, start=self._child.log_from)
        self._started_at = time.monotonic()
        self._due_at = 0.0
        self.state = State.STARTING

    def tick(self) -> None:
        """Look after it: read its log, notice its death, restart it when that is due, ask whether it is ready."""
        if self.state is State.STOPPED or self._child is None or self._tail is None:
            return
        now = time.monotonic()
        if self.state is State.WAITING:
            if now >= self._due_at:
                self._start_again(now)
            return
        alive = self._child.alive
        self._tail.look()
        if not alive:
            self._died(self._child.process.returncode, now)
        elif now >= self._due_at:
            self._probe(now)

    def last_words(self) -> str:
        """Give the last lines that it wrote in its present or last run, for a person."""
        return "\n".join(map(readable, self._child.last_lines().splitlines())) if self._child is not None else ""

    def terminate(self) -> None:
        """Ask it to stop (SIGTERM), for good."""
        self.state = State.STOPPED
        if self._child is not None and self._child.alive:
            self._child.process.terminate()

    def wait(self, deadline: float) -> bool:
        """Wait for its end until `deadline` (monotonic seconds), then kill it; tell whether it went by itself."""
        while self._child is not None and self._child.alive:
            if time.monotonic() > deadline:
                self.kill()
                self._child.process.wait()
                return False
            time.sleep(0.01)
        return True

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to its whole process group; what comes of it is the supervisor's affair."""
        pid = self.pid
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, number)

    def _start_again(self, now: float) -> None:
        try:
            self.start()
        except OSError as error:  # a full disk, no process left: it may pass
            self._due_at = now + self._backoff.next()
            self._on_event(Event(self.name, "error", f"cannot be started: {error.strerror}: {error.filename}"))

    def _died(self, code: int, now: float) -> None:
        self.exit_code = code
        self.last_end = child_log.reason(code)
        # One that was never ready fails the whole start, whose error holds its last words and where its log is.
        words = f"\n{self._tail.plain}" if self._tail is not None and self._tail.plain else ""
        more = f"; log: {self.log}{words}" if self._was_ready else ""
        if not self._restart or (code == USER_ERROR and self.restarts == 0 and self.state is State.STARTING):
            self.state = State.STOPPED
            self._on_event(Event(self.name, "error", f"ended: {self.last_end}{more}"))
            return
        if now - self._started_at > _HEALTHY_AFTER_S:
            self._backoff.reset()
        pause = self._backoff.next()
        self.restarts += 1
        self.state = State.WAITING
        self._due_at = now + pause
        text = f"died: {self.last_end}; restart {self.restarts} in {pause:.1f} s{more}"
        self._on_event(Event(self.name, "error", text))

    def _probe(self, now: float) -> None:
        if _answers(self.port, self._launch.ready_path):
            if self.state is State.STARTING and self.restarts:
                self._on_event(Event(self.name, "info", f"ready again after {now - self._started_at:.1f} s"))
            self.state, self._was_ready = State.READY, True
            self._due_at = now + _PROBE_EVERY_S
        elif self.state is not State.STARTING:
            self.state = State.SILENT
            self._due_at = now + 1.0


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=_PROBE_TIMEOUT_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
