"""What the embedded Kafka and Redis have in common: one child process, its port, its folder, its stop."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from sprat.base.retry import Deadline
from sprat_local.processes import lifeline
from sprat_local.processes.data_folder import DataFolder
from sprat_local.processes.logged_child import LoggedChild
from sprat_local.processes.notices import LocalError
from sprat_local.processes.ports import HOST, free_port, wait_free

_PORT_TIMEOUT_S = 2.0
"""How long a port may still be in use: by the kernel for a server that has just ended, or by a child of ours between
its fork and its exec, which has a copy of the socket that `free_port` opened."""

_FREEZE_TIMEOUT_S = 2.0
_FREEZE_POLL_S = 0.005


class EmbeddedServer:
    """A server on a loopback port. Also a context manager.

    The object keeps its port, so that a server that was killed or stopped comes back where its clients expect it. The
    methods block; they may be called from any thread, but not concurrently.
    """

    name = ""
    """For messages."""

    def __init__(self, port: int | None, log: Path | None) -> None:
        self._port = port
        self._log = log
        self._data: DataFolder | None = None
        self._child: LoggedChild | None = None

    @property
    def port(self) -> int:
        """Return the port, known after the first start."""
        if self._port is None:
            raise LocalError(f"the embedded {self.name} has no port before its first start")
        return self._port

    @property
    def folder(self) -> Path:
        """Return the folder with what it writes."""
        if self._data is None:
            raise LocalError(f"the embedded {self.name} has no folder before its start and after its stop")
        return self._data.path

    @property
    def log_path(self) -> Path:
        """Return the path of its log."""
        return self._log if self._log is not None else self.folder / f"{self.name.lower()}.log"

    @property
    def pid(self) -> int | None:
        """Return the process id while it runs, paused or not."""
        return self._child.process.pid if self._child is not None and self._child.alive else None

    @property
    def last_exit(self) -> str:
        """Describe why it ended; empty while it runs and after a requested stop."""
        return self._child.exit_reason if self._child is not None else ""

    def last_lines(self) -> str:
        """Return the last lines of its log."""
        return self._child.last_lines() if self._child is not None else ""

    def start(self) -> None:
        """Start it and return when it serves; do nothing if it runs."""
        raise NotImplementedError

    def stop(self, *, keep_data: bool = False, grace_s: float = 4.0) -> None:
        """Stop it: SIGTERM, after `grace_s` SIGKILL. Remove a temporary folder unless `keep_data`."""
        if self._child is not None:
            self.resume()
            lifeline.stop(self._child.process, grace_s)
            self._child = None
        if self._data is not None and not keep_data:
            self._data.release()
            self._data = None

    def request_stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal and return at once; `stop` waits for its end."""
        self._signal(number)

    def kill(self) -> None:
        """End it as a crash does (SIGKILL); `start` brings it back on the same port.

        Another thread may call it while `start` waits, which then raises.
        """
        child, self._child = self._child, None
        if child is not None:
            child.process.kill()
            child.process.wait()

    def pause(self) -> None:
        """Freeze it (SIGSTOP): its connections stay open, nothing answers. Return when all its threads are stopped."""
        self._signal(signal.SIGSTOP)
        deadline = Deadline(_FREEZE_TIMEOUT_S)
        while not self._is_frozen() and not deadline.passed:
            time.sleep(_FREEZE_POLL_S)

    def resume(self) -> None:
        """Continue after `pause` (SIGCONT)."""
        self._signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _wait_until(self, serves: Callable[[], bool], child: LoggedChild, port: int, timeout_s: float) -> None:
        """Wait until a new child serves.

        Raises:
            StartError: it does not, or `kill` has ended it.
        """
        self._child = child
        child.wait_until(serves, timeout_s)
        self._port = port

    def _choose_port(self) -> int:
        """Return the port to listen on: its own, else any free one.

        Raises:
            LocalError: another program uses it.
        """
        port = self._port if self._port is not None else free_port()
        if not wait_free(port, _PORT_TIMEOUT_S):
            raise LocalError(
                f"port {port} of {HOST} is taken by another program: name another port, or stop that program"
            )
        return port

    def _is_frozen(self) -> bool:
        """Return whether every thread is stopped; True where the system has no /proc to ask."""
        for stat in Path(f"/proc/{self.pid}/task").glob("*/stat"):
            with suppress(FileNotFoundError):  # the thread has ended
                # The state follows the program's name, which is in parentheses and may hold any characters.
                if stat.read_text().rpartition(")")[2].split()[0] not in {"T", "t"}:
                    return False
        return True

    def _signal(self, number: signal.Signals) -> None:
        pid = self.pid
        if pid is not None:
            os.kill(pid, number)
