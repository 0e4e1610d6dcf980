"""One program that observes an installation, as a child process on a loopback port."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from sprat_local.processes import logged_child, private
from sprat_local.processes.embedded_server import EmbeddedServer
from sprat_local.processes.ports import http_status

_START_TIMEOUT_S = 20
_FIRST_FAILURE = 500


class ObservingServer(EmbeddedServer):
    """A program with an HTTP server. Its folder is a part of the installation's, which removes or keeps it."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        port: int,
        *,
        ready_path: str,
        folder: Path,
        log: Path,
        environment: Mapping[str, str],
    ) -> None:
        super().__init__(port, log)
        self.name = name
        self._argv = argv
        self._ready_path = ready_path
        self._own_folder = folder
        self._environment = environment

    @property
    def folder(self) -> Path:
        """Return the folder with what it writes."""
        return self._own_folder

    def start(self) -> None:
        """Start it and return when it answers; do nothing if it runs.

        Raises:
            LocalError: it does not start, or its port is taken; the message says why.
        """
        if self.pid is not None:
            return
        port = self._choose_port()
        private.make_folder(self.folder)
        child = logged_child.start(self.name, self._argv, self.log_path, cwd=self.folder, env=self._environment)

        def serves() -> bool:
            status = http_status(port, self._ready_path)
            return status is not None and status < _FIRST_FAILURE

        self._wait_until(serves, child, port, _START_TIMEOUT_S)
