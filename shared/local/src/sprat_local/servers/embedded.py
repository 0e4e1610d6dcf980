"""What the embedded Kafka and Redis have in common: one child process, its port, its folder, its end."""

import os
import signal
from pathlib import Path
from types import TracebackType
from typing import Self

from sprat_local.errors import LocalError
from sprat_local.processes import child_log, lifeline
from sprat_local.processes.data_folder import DataFolder
from sprat_local.processes.ports import HOST, free_port, wait_free

_PORT_S = 2.0
"""How long a port may still be held: by the kernel for a server that has just ended, or by a child of ours between its
fork and its exec, which has a copy of the socket that `free_port` looked with."""


class EmbeddedServer:
    """A server on a loopback port. Also a context manager.

    The port stays with the object, so that a server that was killed or stopped comes back where its clients look for
    it. The methods block; they may be called from any thread, by one at a time.
    """

    name = ""
    """For people."""

    def __init__(self, port: int | None, log: Path | None) -> None:
        self._port = port
        self._log = log
        self._data: DataFolder | None = None
        self._child: child_log.LoggedChild | None = None

    @property
    def port(self) -> int:
        """Give the port, known once it was started."""
        if self._port is None:
            raise LocalError(f"the embedded {self.name} has no port before its first start")
        return self._port

    @property
    def folder(self) -> Path:
        """Give the folder with what it writes."""
        if self._data is None:
            raise LocalError(f"the embedded {self.name} has no folder before its start and after its stop")
        return self._data.path

    @property
    def log_path(self) -> Path:
        """Give the file with its own log."""
        return self._log if self._log is not None else self.folder / f"{self.name.lower()}.log"

    @property
    def pid(self) -> int | None:
        """Give the process id while it runs, paused or not."""
        return self._child.process.pid if self._child is not None and self._child.alive else None

    @property
    def last_end(self) -> str:
        """Say why it ended; empty while it runs and after a wanted end."""
        return self._child.end if self._child is not None else ""

    def last_words(self) -> str:
        """Give the last lines of its log."""
        return self._child.last_lines() if self._child is not None else ""

    def start(self) -> None:
        """Start it and return when it serves; a running one is left as it is."""
        raise NotImplementedError

    def stop(self, *, keep_data: bool = False, grace_s: float = 4.0) -> None:
        """End it: SIGTERM, after `grace_s` SIGKILL. Removes a temporary folder unless `keep_data`."""
        if self._child is not None:
            self.resume()
            lifeline.stop(self._child.process, grace_s)
            self._child = None
        if self._data is not None and not keep_data:
            self._data.release()
            self._data = None

    def kill(self) -> None:
        """End it as a crash does (SIGKILL); `start` brings it back, on the same port."""
        if self._child is not None:
            self._child.process.kill()
            self._child.process.wait()
            self._child = None

    def pause(self) -> None:
        """Freeze it (SIGSTOP): its connections stay open, nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen one go on."""
        self._signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _claim_port(self) -> int:
        """Give the port to listen on: its own, else any.

        Raises:
            LocalError: another program holds it.
        """
        port = self._port if self._port is not None else free_port()
        if not wait_free(port, _PORT_S):
            raise LocalError(f"port {port} of {HOST} is taken by another program: name another port, or end that one")
        return port

    def _signal(self, number: signal.Signals) -> None:
        pid = self.pid
        if pid is not None:
            os.kill(pid, number)
