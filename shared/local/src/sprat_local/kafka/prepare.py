"""What a broker starts from: its configuration, a formatted storage, and a JVM archive for a fast start.

A storage template and an archive, prepared once beside the jars, shorten the start from 1.7 s to 0.7 s. The archive is
Java's ahead-of-time cache (JEP 483 and 514, Java 25): loaded and linked classes of an earlier run. The JVM itself
checks that it fits the runtime and the jars, and ignores it otherwise.
"""

import base64
import hashlib
import logging
import os
import platform
import secrets
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sprat_local.kafka import jars, jvm, probe
from sprat_local.processes import lifeline, logged_child, private
from sprat_local.processes.notices import LocalError, OnProgress, discard_progress
from sprat_local.processes.ports import HOST, free_ports

logger = logging.getLogger(__name__)

BROKER = "kafka.Kafka"
_START_TIMEOUT_S = 60
_ARCHIVE_TIMEOUT_S = 120
_FORMAT_TIMEOUT_S = 60
_IDENTITY = "meta.properties"
_COPIES = 3
"""Of each record, where there are so many brokers."""
_MAX_MESSAGE = 4 * 1024 * 1024  # above the largest record of any topic, 3 MiB; each topic sets its own limit


@dataclass(frozen=True, slots=True)
class BrokerFiles:
    """What every embedded broker of this machine starts from."""

    class_path: str
    template: Path
    archive: Path

    def has_archive(self) -> bool:
        """Return whether there is an archive that works here."""
        return self.archive.is_file() and self.archive.stat().st_size > 0

    def command(self, config: Path, *, with_archive: bool) -> list[str]:
        """Return the broker's command line."""
        options = (f"-XX:AOTCache={self.archive}",) if with_archive else ()
        return jvm.command(self.class_path, BROKER, str(config), options=options)

    def disable_archive(self) -> None:
        """Start without the archive from now on: an empty file marks one that does not work here.

        It is a new file: one that was emptied would end every broker that has it in its memory (SIGBUS).
        """
        with tempfile.NamedTemporaryFile(dir=self.archive.parent, delete=False) as empty:
            Path(empty.name).replace(self.archive)

    def format_storage(self, log_dir: Path, cluster_id: str, node_id: int = 1) -> None:
        """Format a storage as Kafka's tool does, without a second JVM (0.8 s).

        The tool writes two files: a checkpoint with the features of this Kafka version, equal for all storages, and
        the ids of this one. `meta.properties` comes last, since `is_formatted` looks for it.
        """
        for file in filter(Path.is_file, self.template.rglob("*")):  # 4.4 has it in a folder
            copy = log_dir / file.relative_to(self.template)
            private.make_folder(copy.parent)
            private.write(copy, file.read_bytes())
        private.write_text(
            log_dir / _IDENTITY,
            f"version=1\ncluster.id={cluster_id}\nnode.id={node_id}\ndirectory.id={new_id()}\n",
        )


def prepare(on_progress: OnProgress = discard_progress) -> BrokerFiles:
    """Return what brokers start from; create it on the first call on this machine (the download, then about 10 s).

    Raises:
        LocalError: the files cannot be fetched, or Kafka's storage tool does not run.
    """
    class_path = jars.class_path(on_progress)
    folder = jars.kafka_dir()
    files = BrokerFiles(class_path, folder / "formatted", folder / f"{_runtime()}-{_fingerprint(class_path)}.aot")
    if files.template.is_dir() and files.archive.exists():
        return files
    with jars.locked(folder):
        if not files.template.is_dir():
            _make_template(files.template, class_path)
        if not files.archive.exists():
            on_progress("preparing fast starts of the broker, once (about 8 s; may be interrupted)")
            _make_archive(files)
    return files


def is_formatted(log_dir: Path) -> bool:
    """Return whether the broker can start on this storage."""
    return (log_dir / _IDENTITY).is_file()


def cluster_id(log_dir: Path) -> str:
    """Return the id of the cluster that a formatted storage belongs to."""
    lines = (log_dir / _IDENTITY).read_text("utf-8").splitlines()
    return next(line.partition("=")[2] for line in lines if line.startswith("cluster.id="))


def settings(log_dir: Path, port: int, controllers: Mapping[int, int], node_id: int = 1) -> dict[str, object]:
    """Return the settings of a node that is broker and controller, on the loopback interface alone.

    Args:
        log_dir: its formatted storage.
        port: where clients and other brokers reach it.
        controllers: node → the port at which it votes, of all nodes of the cluster.
        node_id: which of them it is.
    """
    copies = min(len(controllers), _COPIES)
    in_sync = max(1, copies - 1)  # one of three may be away, and the others still have each acknowledged record twice
    return {
        "process.roles": "broker,controller",
        "node.id": node_id,
        "controller.quorum.voters": ",".join(f"{voter}@{HOST}:{at}" for voter, at in controllers.items()),
        "listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controllers[node_id]}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{port}",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": log_dir,
        "auto.create.topics.enable": "false",
        "message.max.bytes": _MAX_MESSAGE,
        # A heap of 256 MiB: one request, and all that wait, may take a part of it.
        "socket.request.max.bytes": 32 * 1024 * 1024,
        "queued.max.request.bytes": 64 * 1024 * 1024,
        # An open transaction holds back its topic for all readers: a sender that asks for longer is refused.
        "transaction.max.timeout.ms": 60_000,
        "default.replication.factor": copies,
        "offsets.topic.replication.factor": copies,
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": in_sync,
        "share.coordinator.state.topic.replication.factor": copies,
        "share.coordinator.state.topic.min.isr": in_sync,
        "min.insync.replicas": in_sync,
        # Starts fast: no wait for more members, few internal partitions, short sessions where a client asks for them.
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 1_000,
        "offsets.topic.num.partitions": 1,
        "transaction.state.log.num.partitions": 1,
        # After a crash the controller accepts the broker again when its former session has expired (default: 9 s).
        "broker.session.timeout.ms": 2_000,
        "broker.heartbeat.interval.ms": 500,
        # Little memory: the cleaner alone would take 128 MiB.
        "log.cleaner.dedupe.buffer.size": 8 * 1024 * 1024,
        "num.network.threads": 2,
        "num.io.threads": 4,
        "background.threads": 2,
        "group.coordinator.threads": 1,
        "num.recovery.threads.per.data.dir": 1,
    }


def properties(settings: Mapping[str, object]) -> str:
    """Return the content of `server.properties`."""
    return "".join(f"{name}={_escaped(str(value))}\n" for name, value in settings.items())


def new_id() -> str:
    """Return a new id in Kafka's form: a random UUID in base64 that does not begin with a dash."""
    while True:
        raw = uuid.UUID(bytes=secrets.token_bytes(16), version=4).bytes
        text = base64.urlsafe_b64encode(raw).decode().rstrip("=")
        if not text.startswith("-"):
            return text


def _escaped(value: str) -> str:
    """Escape a value for Java's properties format."""
    return value.replace("\\", "\\\\")


def _make_template(template: Path, class_path: str) -> None:
    """Format a storage with Kafka's own tool and keep what all new storages share.

    Raises:
        LocalError: the tool fails.
    """
    with tempfile.TemporaryDirectory(prefix="sprat-format-") as name:
        folder = Path(name)
        config = folder / "server.properties"
        config.write_text(properties(settings(folder / "log", 1, {1: 2})), "utf-8")
        argv = jvm.command(
            class_path, "kafka.tools.StorageTool", "format", "--cluster-id", new_id(), "--config", str(config)
        )
        done = subprocess.run(
            argv, env=jvm.environment(), capture_output=True, text=True, timeout=_FORMAT_TIMEOUT_S, check=False
        )
        if done.returncode != 0:
            raise LocalError(f"Kafka's storage cannot be formatted:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        (folder / "log" / _IDENTITY).unlink()
        part = template.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)  # an interrupted run leaves an incomplete one
        shutil.copytree(folder / "log", part)
        part.replace(template)


def _runtime() -> str:
    return f"java-{jvm.java_version()}-{platform.system()}-{platform.machine()}".lower()


def _fingerprint(class_path: str) -> str:
    """Identify the jars of the archive as the JVM does, by path and time: a copied cache gets a new archive."""
    identity = [(path, int(Path(path).stat().st_mtime)) for path in class_path.split(os.pathsep)]
    return hashlib.sha256(repr(identity).encode()).hexdigest()[:8]


def _make_archive(files: BrokerFiles) -> None:
    """Run a temporary broker that writes the archive when it stops. A failure only costs speed."""
    for old in files.archive.parent.glob(f"{_runtime()}-*"):
        old.unlink()
    part = files.archive.with_suffix(".part")
    try:
        _record_archive(files, part)
        part.replace(files.archive)
    except (LocalError, OSError) as error:
        logger.warning("the broker will start slowly, its archive cannot be made: %s", error)
        files.disable_archive()


def _record_archive(files: BrokerFiles, part: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="sprat-archive-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        port, controller_port = free_ports(2)
        files.format_storage(folder / "log", new_id())
        config = folder / "server.properties"
        config.write_text(properties(settings(folder / "log", port, {1: controller_port})), "utf-8")
        argv = jvm.command(files.class_path, BROKER, str(config), options=(f"-XX:AOTCacheOutput={part}",))
        child = logged_child.start("Kafka", argv, folder / "kafka.log", cwd=folder, env=jvm.environment())
        try:
            child.wait_until(lambda: probe.is_serving(port), _START_TIMEOUT_S)
            probe.wake_groups(port)
        finally:
            lifeline.stop(child.process, _ARCHIVE_TIMEOUT_S)
