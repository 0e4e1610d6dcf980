"""One supervised service process: started, probed, restarted with back-off when it dies."""

import contextlib
import http
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import psutil  # type: ignore[import-untyped] # its types are a package of their own

from sprat.base.retry import Backoff
from sprat_local.processes import logged_child
from sprat_local.processes.logged_child import LoggedChild, LogTail, format_log_line
from sprat_local.processes.notices import Notice, OnNotice
from sprat_local.processes.ports import free_port, http_status

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
_HEALTHY_AFTER_S = 60.0
"""A process that has run for so long did not die of its start: its next restart is quick again."""
_PROBE_EVERY_S = 5.0
AT_WORK = 0.02
"""Share of a core above which a process that does not answer is at work."""
USER_ERROR = 2
"""The exit code of a service with wrong settings; a restart cannot fix that."""


class ProcessState(StrEnum):
    """The state of a supervised process."""

    STARTING = "starting"
    READY = "ready"
    SILENT = "not answering"
    WAITING = "restarting"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class LaunchSpec:
    """How to start a service."""

    name: str
    module: str
    environment: Mapping[str, str]
    port_variable: str
    port: int | None
    """None: any free one, another at each start."""
    ready_path: str
    log: Path


class ServiceProcess:
    """A service's process and its restarts. Only `kill` may be called concurrently with other methods."""

    def __init__(
        self,
        launch: LaunchSpec,
        on_notice: OnNotice,
        *,
        restart: bool = True,
        probe_every_s: float = _PROBE_EVERY_S,
        on_death: Callable[[], None] = lambda: None,
    ) -> None:
        """Take how to start it; `on_death` is called on the supervisor's thread when it has died by itself."""
        self.name = launch.name
        self.state = ProcessState.STOPPED
        self.restarts = 0
        self.last_exit = ""
        """Why it last died; empty if it never did."""
        self.exit_code: int | None = None
        self.port = 0
        self._launch = launch
        self._on_notice = on_notice
        self._restart = restart
        self._probe_every_s = probe_every_s
        self._on_death = on_death
        self._child: LoggedChild | None = None
        self._tail: LogTail | None = None
        self._backoff = Backoff(_FIRST_PAUSE_S, _LONGEST_PAUSE_S)
        self._was_ready = False
        self._started_at = 0.0
        self._due_at = 0.0
        """Time of the next probe or restart."""

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._child.process.pid if self._child is not None and self._child.alive else None

    @property
    def log(self) -> Path:
        """The file with the output of all its runs."""
        return self._launch.log

    def start(self) -> None:
        """Start the process; do nothing if it runs."""
        if self.pid is not None:
            return
        self.port = self._launch.port or free_port()
        environment = {**self._launch.environment, self._launch.port_variable: str(self.port)}
        # -P: a redis.py in the current folder must not shadow the library.
        argv = [sys.executable, "-P", "-m", self._launch.module]
        self._child = logged_child.start(self.name, argv, self._launch.log, env=environment)
        self._tail = LogTail(self.name, self._launch.log, self._on_notice, start=self._child.log_from)
        self._started_at = time.monotonic()
        self._due_at = 0.0
        self.state = ProcessState.STARTING

    def tick(self) -> None:
        """Read its log, detect its death, restart it when that is due, probe whether it is ready."""
        if self.state is ProcessState.STOPPED or self._child is None or self._tail is None:
            return
        now = time.monotonic()
        if self.state is ProcessState.WAITING:
            if now >= self._due_at:
                self._restart_now(now)
            return
        alive = self._child.alive
        self._tail.poll()
        if not alive:
            self._handle_death(self._child.process.returncode, now)
        elif now >= self._due_at:
            self._probe(now)

    def last_lines(self) -> str:
        """Return the last lines of its present or last run, log entries formatted for the user."""
        return "\n".join(map(format_log_line, self._child.last_lines().splitlines())) if self._child else ""

    @property
    def says_ready(self) -> bool:
        """Whether the last line of its log says that it is ready: what is missing is an answer to the question."""
        return self.last_lines().rstrip().endswith(" ready")

    def terminate(self) -> None:
        """Send SIGTERM; it is not restarted."""
        self.state = ProcessState.STOPPED
        if self._child is not None and self._child.alive:
            self._child.process.terminate()

    def wait(self, deadline: float) -> bool:
        """Wait for its exit until `deadline` (monotonic seconds), then kill it. Return whether it exited by itself."""
        while self._child is not None and self._child.alive:
            if time.monotonic() > deadline:
                self.kill()
                self._child.process.wait()
                return False
            time.sleep(0.01)
        return True

    def hangs(self, since: float | None, window_s: float) -> bool:
        """Return whether it has not worked for `window_s`, does not answer, and waits for no core.

        `since` is its earlier `cpu_s`. On a machine that is too busy to give it a core, it has work and cannot do it.
        """
        if since is None:
            return False
        used_s = (self.cpu_s() or 0.0) - since
        idle = used_s < AT_WORK * window_s and http_status(self.port, self._launch.ready_path) is None
        return idle and not self.is_runnable()

    def cpu_s(self) -> float | None:
        """Return the seconds of a core that it has used; None where it does not run."""
        try:
            used = psutil.Process(self.pid).cpu_times() if self.pid is not None else None
        except psutil.Error:
            return None
        return None if used is None else float(used.user + used.system)

    def is_runnable(self) -> bool:
        """Return whether one of its threads runs, or would on a free core. False where this is not Linux."""
        for thread in Path(f"/proc/{self.pid}/task").glob("*/stat"):
            with contextlib.suppress(OSError):  # it has ended meanwhile
                # After the name in parentheses, which may hold anything, comes the state.
                if thread.read_bytes().rpartition(b")")[2].split()[0] == b"R":
                    return True
        return False

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to its whole process group; the supervisor handles what follows."""
        pid = self.pid
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, number)

    def _restart_now(self, now: float) -> None:
        try:
            self.start()
        except OSError as error:  # such as a full disk, which may be temporary
            self._due_at = now + self._backoff.next()
            self._on_notice(Notice(self.name, "error", f"cannot be started: {error.strerror}: {error.filename}"))

    def _handle_death(self, code: int, now: float) -> None:
        self.exit_code = code
        self.last_exit = logged_child.describe_exit(code)
        self._on_death()
        # If it was never ready, the whole start fails with an error that holds its last lines and the path of its log.
        lines = f"\n{self._tail.plain_lines}" if self._tail is not None and self._tail.plain_lines else ""
        details = f"; log: {self.log}{lines}" if self._was_ready else ""
        if not self._restart or (code == USER_ERROR and self.restarts == 0 and self.state is ProcessState.STARTING):
            self.state = ProcessState.STOPPED
            self._on_notice(Notice(self.name, "error", f"ended: {self.last_exit}{details}"))
            return
        if now - self._started_at > _HEALTHY_AFTER_S:
            self._backoff.reset()
        pause = self._backoff.next()
        self.restarts += 1
        self.state = ProcessState.WAITING
        self._due_at = now + pause
        text = f"died: {self.last_exit}; restart {self.restarts} in {pause:.1f} s{details}"
        self._on_notice(Notice(self.name, "error", text))

    def _probe(self, now: float) -> None:
        if http_status(self.port, self._launch.ready_path) == http.HTTPStatus.OK:
            if self.state is ProcessState.STARTING and self.restarts:
                self._on_notice(Notice(self.name, "info", f"ready again after {now - self._started_at:.1f} s"))
            self.state, self._was_ready = ProcessState.READY, True
            self._due_at = now + self._probe_every_s
        elif self.state is not ProcessState.STARTING:
            self.state = ProcessState.SILENT
            self._due_at = now + 1.0
