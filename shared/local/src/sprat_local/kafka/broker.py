"""A real Apache Kafka as a child process: one KRaft node on the loopback interface."""

from pathlib import Path

from sprat_local.kafka import jvm, prepare, probe
from sprat_local.processes import logged_child, private
from sprat_local.processes.data_folder import DataFolder
from sprat_local.processes.embedded_server import EmbeddedServer
from sprat_local.processes.notices import OnProgress, StartError, discard_progress
from sprat_local.processes.ports import HOST, free_port

_TRIES = 4
_PREFIX = "sprat-kafka-"
_PORT_TAKEN = "Address already in use"


class EmbeddedKafka(EmbeddedServer):
    """Apache Kafka on free loopback ports, with the data in a folder.

    Without `data_dir` the data is in a temporary folder that `stop` removes. With it, the data is kept between runs,
    also after a `kill`. Its warnings and errors go to the file `log`, by default in its folder.
    """

    name = "Kafka"

    def __init__(
        self,
        data_dir: Path | None = None,
        port: int | None = None,
        on_progress: OnProgress = discard_progress,
        start_timeout_s: float = 120,
        log: Path | None = None,
    ) -> None:
        super().__init__(port, log)
        self._data_dir = data_dir
        self._on_progress = on_progress
        self._timeout_s = start_timeout_s

    @property
    def bootstrap(self) -> str:
        """Return the address, as clients take it for `bootstrap_servers`."""
        return f"{HOST}:{self.port}"

    def configuration(self, port: int, controller_port: int) -> str:
        """Return `server.properties`. A subclass may append to it: of a repeated name, the last value counts."""
        return prepare.configuration(self.folder / "log", port, controller_port)

    def start(self) -> None:
        """Start the broker and return when it serves; do nothing if it runs.

        Raises:
            LocalError: it cannot be fetched or started; the message says why and where the log is.
        """
        if self.pid is not None:
            return
        files = prepare.prepare(self._on_progress)
        if self._data is None:
            self._data = DataFolder.acquire(self._data_dir, _PREFIX)
        if not prepare.is_formatted(self.folder / "log"):
            files.format_storage(self.folder / "log")
        self._launch_with_retries(files)
        probe.wake_groups(self.port)

    def _launch_with_retries(self, files: prepare.BrokerFiles) -> None:
        """Retry on other ports if one was taken meanwhile, and without the archive if that may be the cause."""
        with_archive = files.has_archive()
        for left in reversed(range(_TRIES)):
            try:
                self._launch(files, with_archive=with_archive)
                break
            except StartError as error:
                taken = _PORT_TAKEN in str(error)
                if left == 0 or not (taken or with_archive):
                    raise
                with_archive = with_archive and taken
        if files.has_archive() and not with_archive:
            files.disable_archive()

    def _launch(self, files: prepare.BrokerFiles, *, with_archive: bool) -> None:
        port = self._choose_port()
        config = self.folder / "server.properties"
        private.write_text(config, self.configuration(port, free_port()))
        argv = files.command(config, with_archive=with_archive)
        child = logged_child.start(self.name, argv, self.log_path, cwd=self.folder, env=jvm.environment())
        child.wait_until(lambda: probe.is_serving(port), self._timeout_s)
        self._port, self._child = port, child
