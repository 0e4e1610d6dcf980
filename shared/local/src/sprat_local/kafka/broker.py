"""A real Apache Kafka as a child process: one KRaft node on the loopback interface."""

from pathlib import Path

from sprat_local.errors import StartError
from sprat_local.events import OnProgress, silent
from sprat_local.kafka import fast_start, jvm, probe, storage
from sprat_local.processes import child_log
from sprat_local.processes.data_folder import DataFolder
from sprat_local.processes.ports import HOST, free_port
from sprat_local.servers.embedded import EmbeddedServer

_TRIES = 4
_PREFIX = "sprat-kafka-"
_PORT_TAKEN = "Address already in use"


class EmbeddedKafka(EmbeddedServer):
    """Apache Kafka on free loopback ports, with the data in a folder.

    Without `data_dir` the data lives in a temporary folder that `stop` removes. With it, the data is kept between
    runs, also over a `kill`. Its log holds its warnings and errors: in the file `log`, else in the folder.
    """

    name = "Kafka"

    def __init__(
        self,
        data_dir: Path | None = None,
        port: int | None = None,
        on_progress: OnProgress = silent,
        start_timeout_s: float = 120,
        log: Path | None = None,
    ) -> None:
        super().__init__(port, log)
        self._data_dir = data_dir
        self._on_progress = on_progress
        self._timeout_s = start_timeout_s

    @property
    def bootstrap(self) -> str:
        """Give what clients take as `bootstrap_servers`."""
        return f"{HOST}:{self.port}"

    def configuration(self, port: int, controller_port: int) -> str:
        """Give `server.properties`. A subclass may add to it: of a name that stands twice, the last value counts."""
        return storage.configuration(self.folder / "log", port, controller_port)

    def start(self) -> None:
        """Start the broker and return when it serves; a running one is left as it is.

        Raises:
            LocalError: it cannot be fetched or started; the message says why and where the log is.
        """
        if self.pid is not None:
            return
        made = fast_start.installation(self._on_progress)
        if self._data is None:
            self._data = DataFolder.take(self._data_dir, _PREFIX)
        if not storage.is_formatted(self.folder / "log"):
            storage.format_from(made.template, self.folder / "log")
        self._launch_until_it_serves(made)
        probe.wake_groups(self.port)

    def _launch_until_it_serves(self, made: fast_start.Installation) -> None:
        """Try again: on other ports where one was taken meanwhile, without the archive where that may be the cause."""
        with_archive = made.has_archive()
        for left in reversed(range(_TRIES)):
            try:
                self._launch(made, with_archive=with_archive)
                break
            except StartError as error:
                taken = _PORT_TAKEN in str(error)
                if left == 0 or not (taken or with_archive):
                    raise
                with_archive = with_archive and taken
        if made.has_archive() and not with_archive:
            made.give_up_archive()

    def _launch(self, made: fast_start.Installation, *, with_archive: bool) -> None:
        port = self._claim_port()
        config = self.folder / "server.properties"
        config.write_text(self.configuration(port, free_port()), "utf-8")
        argv = made.broker(config, with_archive=with_archive)
        child = child_log.start(self.name, argv, self.log_path, cwd=self.folder, env=jvm.environment())
        child.wait_until(lambda: probe.is_serving(port), self._timeout_s)
        self._port, self._child = port, child
