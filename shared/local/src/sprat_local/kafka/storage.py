"""The embedded broker's files: its configuration and its formatted storage."""

import base64
import secrets
import shutil
import subprocess
import tempfile
import uuid
from pathlib import Path

from sprat_local.errors import LocalError
from sprat_local.kafka import jvm
from sprat_local.processes.ports import HOST

_MAX_MESSAGE = 4 * 1024 * 1024  # above the largest record of any topic, 3 MiB; each topic sets its own limit
_FORMAT_TIMEOUT_S = 60
_CHECKPOINT = "bootstrap.checkpoint"


def configuration(log_dir: Path, port: int, controller_port: int) -> str:
    """Give `server.properties`: one node that is broker and controller, on the loopback interface alone."""
    settings = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@{HOST}:{controller_port}",
        "listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{port}",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": log_dir,
        "auto.create.topics.enable": "false",
        "message.max.bytes": _MAX_MESSAGE,
        # One node: every copy is the only one.
        "offsets.topic.replication.factor": 1,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "min.insync.replicas": 1,
        # Starts fast: no wait for more members, few internal partitions, short sessions where a client asks for them.
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 1_000,
        "offsets.topic.num.partitions": 1,
        "transaction.state.log.num.partitions": 1,
        # After a crash the controller lets the broker in again once its former session has run out (default: 9 s).
        "broker.session.timeout.ms": 2_000,
        "broker.heartbeat.interval.ms": 500,
        # Stays small: the cleaner alone would take 128 MiB.
        "log.cleaner.dedupe.buffer.size": 8 * 1024 * 1024,
        "num.network.threads": 2,
        "num.io.threads": 4,
        "background.threads": 2,
        "group.coordinator.threads": 1,
        "num.recovery.threads.per.data.dir": 1,
    }
    return "".join(f"{name}={_escaped(str(value))}\n" for name, value in settings.items())


def is_formatted(log_dir: Path) -> bool:
    """Tell whether the broker can start on this storage."""
    return (log_dir / "meta.properties").is_file()


def make_template(template: Path, class_path: str) -> None:
    """Let Kafka's own tool format a storage, and keep what new storages share.

    Raises:
        LocalError: the tool fails.
    """
    with tempfile.TemporaryDirectory(prefix="sprat-format-") as name:
        folder = Path(name)
        config = folder / "server.properties"
        config.write_text(configuration(folder / "log", 1, 2), "utf-8")
        argv = jvm.command(
            class_path, "kafka.tools.StorageTool", "format", "--cluster-id", _kafka_id(), "--config", str(config)
        )
        done = subprocess.run(
            argv, env=jvm.environment(), capture_output=True, text=True, timeout=_FORMAT_TIMEOUT_S, check=False
        )
        if done.returncode != 0:
            raise LocalError(f"Kafka's storage cannot be formatted:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        template.mkdir(parents=True, exist_ok=True)
        part = template / f"{_CHECKPOINT}.part"
        shutil.copyfile(folder / "log" / _CHECKPOINT, part)
        part.replace(template / _CHECKPOINT)


def has_template(template: Path) -> bool:
    """Tell whether `make_template` has been here."""
    return (template / _CHECKPOINT).is_file()


def format_from(template: Path, log_dir: Path) -> None:
    """Format a storage as Kafka's tool does, without a second JVM (0.8 s).

    The tool writes two files: the checkpoint with the features of this Kafka version, equal for all storages, and the
    ids of this one. `meta.properties` comes last, since `is_formatted` looks for it.
    """
    log_dir.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(template / _CHECKPOINT, log_dir / _CHECKPOINT)
    (log_dir / "meta.properties").write_text(
        f"version=1\ncluster.id={_kafka_id()}\nnode.id=1\ndirectory.id={_kafka_id()}\n", "utf-8"
    )


def _kafka_id() -> str:
    """Give a new id in Kafka's form: a random UUID in base64 that does not begin with a dash."""
    while True:
        raw = uuid.UUID(bytes=secrets.token_bytes(16), version=4).bytes
        text = base64.urlsafe_b64encode(raw).decode().rstrip("=")
        if not text.startswith("-"):
            return text


def _escaped(value: str) -> str:
    """Escape a value for Java's properties format."""
    return value.replace("\\", "\\\\")
