"""The embedded Kafka or Redis under supervision: brought back when it dies."""

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import Protocol

from sprat.retry import Backoff
from sprat_local.errors import LocalError
from sprat_local.events import Event, OnEvent
from sprat_local.processes.service_process import State


class Embedded(Protocol):
    """What the supervisor needs of an embedded server."""

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        ...

    @property
    def port(self) -> int:
        """Where it listens."""
        ...

    @property
    def log_path(self) -> Path:
        """The file with its log."""
        ...

    @property
    def last_end(self) -> str:
        """Why it ended."""
        ...

    def last_words(self) -> str:
        """The last lines of its log."""
        ...

    def start(self) -> None:
        """Start it and return when it serves."""
        ...

    def kill(self) -> None:
        """End it as a crash does; what it must keep stays."""
        ...


class SupervisedServer:
    """An embedded server and its restarts. Its methods are called by one thread at a time; `kill` by any."""

    def __init__(self, name: str, server: Embedded, on_event: OnEvent, *, restart: bool = True) -> None:
        self.name = name
        self.state = State.STOPPED
        self.restarts = 0
        self.last_end = ""
        self._server = server
        self._on_event = on_event
        self._restart = restart
        self._backoff = Backoff(0.5, 30.0)
        self._due_at = 0.0

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._server.pid

    @property
    def port(self) -> int:
        """Where it listens; 0 before its first start."""
        try:
            return self._server.port
        except LocalError:
            return 0

    def start(self) -> None:
        """Start it and return when it serves.

        Raises:
            LocalError: it does not come up.
        """
        self.state = State.STARTING
        self._server.start()
        self.state = State.READY

    def crash(self) -> None:
        """End it as a crash does, and leave it down: its data stays."""
        self.state = State.STOPPED
        self._server.kill()

    def tick(self) -> None:
        """Notice its death; bring it back when that is due."""
        now = time.monotonic()
        if self.state is State.READY and self.pid is None:
            self.last_end = self._server.last_end
            pause = self._backoff.next()
            self.state, self._due_at = (State.WAITING, now + pause) if self._restart else (State.STOPPED, 0.0)
            again = f"; restart {self.restarts + 1} in {pause:.1f} s" if self._restart else ""
            # Who was killed had no time to say why: its last lines are of something else.
            words = "" if self.last_end.startswith("killed") else self._server.last_words()
            more = f"; log: {self._server.log_path}" + (f"\n{words}" if words else "")
            self._on_event(Event(self.name, "error", f"died: {self.last_end}{again}{more}"))
        elif self.state is State.WAITING and now >= self._due_at:
            self.restarts += 1
            try:
                self.start()
            except (LocalError, OSError) as error:  # OSError: a full disk
                self.state, self._due_at = State.WAITING, time.monotonic() + self._backoff.next()
                self._on_event(Event(self.name, "error", str(error)))
            else:
                self._on_event(Event(self.name, "info", "serves again"))

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to it; what comes of it is the supervisor's affair."""
        pid = self.pid
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
