"""A real Apache Kafka as a child process: one KRaft node on the loopback interface."""

import os
import signal
from pathlib import Path
from types import TracebackType
from typing import Self

from sprat.local import child_log, fast_start, jvm, kafka_probe, lifeline, storage
from sprat.local.data_folder import DataFolder
from sprat.local.errors import LocalError, StartError
from sprat.local.ports import HOST, free_port, is_free
from sprat.local.progress import Progress, silent

_TRIES = 4
_PREFIX = "sprat-kafka-"
_PORT_TAKEN = "Address already in use"


class EmbeddedKafka:
    """Apache Kafka on free loopback ports, with the data in a folder.

    Without `data_dir` the data lives in a temporary folder that `stop` removes. With it, the data is kept between
    runs. The port stays with the object, so that a broker that was killed or stopped comes back where its clients
    look for it. The methods block; they may be called from any thread, by one at a time.
    """

    def __init__(
        self,
        data_dir: Path | None = None,
        port: int | None = None,
        on_progress: Progress = silent,
        start_timeout_s: float = 120,
    ) -> None:
        self._data_dir = data_dir
        self._port = port
        self._on_progress = on_progress
        self._timeout_s = start_timeout_s
        self._data: DataFolder | None = None
        self._child: child_log.LoggedChild | None = None

    @property
    def port(self) -> int:
        """Give the broker's port, known once it was started."""
        if self._port is None:
            raise LocalError("the embedded broker has no port before its first start")
        return self._port

    @property
    def bootstrap(self) -> str:
        """Give what clients take as `bootstrap_servers`."""
        return f"{HOST}:{self.port}"

    @property
    def folder(self) -> Path:
        """Give the folder with the data (`log/`), the configuration and the log file."""
        if self._data is None:
            raise LocalError("the embedded broker has no folder before its start and after its stop")
        return self._data.path

    @property
    def log_path(self) -> Path:
        """Give the file with the broker's own log (warnings and errors)."""
        return self.folder / "kafka.log"

    @property
    def pid(self) -> int | None:
        """Give the process id while the broker runs, paused or not."""
        return self._child.process.pid if self._child is not None and self._child.alive else None

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
        kafka_probe.wake_groups(self.port)

    def stop(self, *, keep_data: bool = False, grace_s: float = 4.0) -> None:
        """End the broker: SIGTERM, after `grace_s` SIGKILL. Removes a temporary folder unless `keep_data`."""
        if self._child is not None:
            self.resume()
            lifeline.stop(self._child.process, grace_s)
            self._child = None
        if self._data is not None and not keep_data:
            self._data.release()
            self._data = None

    def kill(self) -> None:
        """End the broker as a crash does (SIGKILL). The data stays; `start` recovers it, on the same port."""
        if self._child is not None:
            self._child.process.kill()
            self._child.process.wait()
            self._child = None

    def pause(self) -> None:
        """Freeze the broker (SIGSTOP): its connections stay open, nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen broker go on."""
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
        port = self._port if self._port is not None else free_port()
        if not is_free(port):
            raise LocalError(f"port {port} of {HOST} is taken by another program: name another port, or end that one")
        config = self.folder / "server.properties"
        config.write_text(storage.configuration(self.folder / "log", port, free_port()), "utf-8")
        argv = made.broker(config, with_archive=with_archive)
        child = child_log.start("Kafka", argv, self.log_path, cwd=self.folder, env=jvm.environment())
        child.wait_until(lambda: kafka_probe.is_serving(port), self._timeout_s)
        self._port, self._child = port, child
