"""A real Apache Kafka as child processes: one KRaft node or several on the loopback interface."""

import signal
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from sprat_local.kafka import jvm, prepare, probe
from sprat_local.processes import logged_child, private
from sprat_local.processes.data_folder import DataFolder
from sprat_local.processes.embedded_server import EmbeddedServer
from sprat_local.processes.notices import OnProgress, StartError, discard_progress
from sprat_local.processes.ports import HOST, free_port, free_ports

_TRIES = 4
_PREFIX = "sprat-kafka-"
_PORT_TAKEN = "Address already in use"


class EmbeddedKafka:
    """Apache Kafka on free loopback ports. Also a context manager.

    Each node is broker and controller. With three of them each record has three copies, two of which acknowledge it,
    and any one node may be away. What is done here is done to all nodes; each of `nodes` can be started, killed and
    paused by itself.

    Without `data_dir` the data is in temporary folders that `stop` removes. With it, the data is kept between runs,
    also after a `kill`.
    """

    def __init__(
        self,
        data_dir: Path | None = None,
        *,
        nodes: int = 1,
        ports: Sequence[int | None] = (),
        on_progress: OnProgress = discard_progress,
        start_timeout_s: float = 120,
        logs: Path | None = None,
    ) -> None:
        """Take how it runs.

        Args:
            data_dir: keeps the data.
            nodes: how many; the data is of so many, too.
            ports: one for each node; None, or left out: any free one.
            on_progress: receives what is prepared once on a machine.
            start_timeout_s: how long a node may take until it serves.
            logs: folder for the warnings and errors of the nodes; by default, each writes into its own.
        """
        self.on_progress, self.start_timeout_s = on_progress, start_timeout_s
        ids = range(1, nodes + 1)
        self._is_temporary = data_dir is None
        self._controllers = dict(zip(ids, free_ports(nodes), strict=True)) if nodes > 1 else {}
        folders = [data_dir and (data_dir / str(each) if nodes > 1 else data_dir) for each in ids]
        names = [f"Kafka#{each}" for each in ids] if nodes > 1 else ["Kafka"]
        given = (*ports, *[None] * nodes)
        self.nodes = tuple(
            KafkaNode(self, each, names[each - 1], folders[each - 1], given[each - 1], logs) for each in ids
        )
        """Each by its id, from 1 on."""
        kept = (folder / "log" for folder in folders if folder is not None and prepare.is_formatted(folder / "log"))
        self.cluster_id = next(map(prepare.cluster_id, kept), "") or prepare.new_id()

    @property
    def bootstrap(self) -> str:
        """Return the addresses, as clients take them for `bootstrap_servers`."""
        return ",".join(f"{HOST}:{node.port}" for node in self.nodes)

    def node_settings(self, node: "KafkaNode", port: int) -> dict[str, object]:
        """Return what `server.properties` of a node says. A subclass may change it."""
        # One node alone takes another port at each start: no other node has to know it.
        controllers = self._controllers or {node.node_id: free_port()}
        return prepare.settings(node.folder / "log", port, controllers, node.node_id)

    def start(self) -> None:
        """Start the nodes that do not run and return when each serves.

        Raises:
            LocalError: it cannot be fetched or started; the message says why and where the log is.
        """
        with ThreadPoolExecutor(len(self.nodes)) as pool:  # together: none serves before most of them vote
            list(pool.map(KafkaNode.start, self.nodes))

    def stop(self, *, keep_data: bool = False, grace_s: float = 4.0) -> None:
        """Stop it: SIGTERM, after `grace_s` SIGKILL. Remove temporary folders unless `keep_data`."""
        if self._is_temporary and not keep_data:
            self.kill()  # there is nothing to close cleanly
        deadline = time.monotonic() + grace_s
        for node in self.nodes:
            node.request_stop()
        for node in self.nodes:
            node.stop(keep_data=keep_data, grace_s=max(0.0, deadline - time.monotonic()))

    def kill(self) -> None:
        """End it as a crash does (SIGKILL); `start` brings it back on the same ports."""
        for node in self.nodes:
            node.kill()

    def pause(self) -> None:
        """Freeze it (SIGSTOP): its connections stay open, nothing answers."""
        for node in self.nodes:
            node.pause()

    def resume(self) -> None:
        """Continue after `pause` (SIGCONT)."""
        for node in self.nodes:
            node.resume()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class KafkaNode(EmbeddedServer):
    """One node of an `EmbeddedKafka`, with its data in a folder of its own."""

    def __init__(
        self, kafka: EmbeddedKafka, node_id: int, name: str, data_dir: Path | None, port: int | None, logs: Path | None
    ) -> None:
        super().__init__(port, logs and logs / f"{name.lower()}.log")
        self.name = name
        self.node_id = node_id
        self._kafka = kafka
        self._data_dir = data_dir
        self._archive_works = False

    def start(self) -> None:
        """Start the node and return when it serves; do nothing if it runs.

        Raises:
            LocalError: it cannot be fetched or started; the message says why and where the log is.
        """
        if self.pid is not None:
            return
        files = prepare.prepare(self._kafka.on_progress)
        if self._data is None:
            self._data = DataFolder.acquire(self._data_dir, _PREFIX)
        if not prepare.is_formatted(self.folder / "log"):
            files.format_storage(self.folder / "log", self._kafka.cluster_id, self.node_id)
        self._launch_with_retries(files)
        probe.wake_groups(self.port)

    def _launch_with_retries(self, files: prepare.BrokerFiles) -> None:
        """Retry on other ports if one was taken meanwhile, and without the archive if that may be the cause.

        It is not where a node has started with it before, or was killed: because it did not answer, or by `kill`.
        """
        with_archive = files.has_archive()
        for left in reversed(range(_TRIES)):
            try:
                self._launch(files, with_archive=with_archive)
                break
            except StartError as error:
                taken = _PORT_TAKEN in str(error)
                if left == 0 or self._was_killed or not (taken or (with_archive and not self._archive_works)):
                    raise
                with_archive = with_archive and taken
        self._archive_works = with_archive
        if files.has_archive() and not with_archive:
            files.disable_archive()

    @property
    def _was_killed(self) -> bool:
        return self._child is None or self._child.process.returncode == -signal.SIGKILL

    def _launch(self, files: prepare.BrokerFiles, *, with_archive: bool) -> None:
        port = self._choose_port()
        config = self.folder / "server.properties"
        private.write_text(config, prepare.properties(self._kafka.node_settings(self, port)))
        argv = files.command(config, with_archive=with_archive)
        child = logged_child.start(self.name, argv, self.log_path, cwd=self.folder, env=jvm.environment())
        self._wait_until(lambda: probe.is_serving(port, self.node_id), child, port, self._kafka.start_timeout_s)
