"""The Kafka and the Redis of an installation: embedded where the user names no existing one."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from sprat_local.installation.environment import SECRET_FILE
from sprat_local.installation.options import BROKERS, USUAL_KAFKA_PORT, USUAL_REDIS_PORT, Options, without_password
from sprat_local.kafka.broker import EmbeddedKafka
from sprat_local.kafka.prepare import is_formatted
from sprat_local.processes import private
from sprat_local.processes.notices import LocalError, OnNotice, OnProgress
from sprat_local.processes.ports import PortClaims, free_port
from sprat_local.processes.server_starts import ConcurrentStarts
from sprat_local.processes.supervisor import Supervisor
from sprat_local.redis import EmbeddedRedis
from sprat_operations.local_run import LocalRun

PASSWORD_FILE = "redis-password"  # noqa: S105 - the name of a file
"""In the folder of the installation."""

_KAFKA_PORTS_FILE = "kafka-port"
"""In the folder of the installation: where Kafka's nodes were in the last run, one a line."""

_REDIS_GRACE_S, _KAFKA_GRACE_S = 0.5, 1.5


class BackingServers:
    """Kafka and Redis, each embedded or existing; embedded ones are started concurrently."""

    def __init__(self, options: Options, supervisor: Supervisor, on_notice: OnNotice, on_progress: OnProgress) -> None:
        self._options = options
        self._on_progress = on_progress
        self._kafka: EmbeddedKafka | None = None
        self._redis: EmbeddedRedis | None = None
        self._starts = ConcurrentStarts(supervisor, on_notice, restart=options.restart)
        self._claims = PortClaims()
        self._folder = Path()
        self._announced: Path | None = None

    @property
    def bootstrap(self) -> str:
        """The address of Kafka, for clients."""
        return self._kafka.bootstrap if self._kafka is not None else str(self._options.bootstrap)

    @property
    def redis_url(self) -> str:
        """The URL of Redis."""
        return self._redis.url if self._redis is not None else str(self._options.redis)

    def begin_start(self, folder: Path, logs: Path) -> None:
        """Begin to start what is embedded, and return at once."""
        self._folder = folder
        if self._options.bootstrap is None:
            self._check_data(folder / "kafka")
            self._kafka = EmbeddedKafka(
                folder / "kafka",
                nodes=self._options.brokers,
                ports=list(self._kafka_ports(folder / _KAFKA_PORTS_FILE)),
                on_progress=self._on_progress,
                logs=logs,
            )
            for node in self._kafka.nodes:
                self._starts.begin(node.name.lower(), node)
        if self._options.redis is None:
            password = private.load_or_create_password(folder / PASSWORD_FILE)
            self._redis = EmbeddedRedis(self.usual(USUAL_REDIS_PORT), logs / "redis.log", password)
            self._starts.begin("redis", self._redis)

    def wait(self) -> None:
        """Wait until they serve; tell this user's commands where that is, and the password of Redis.

        Raises:
            LocalError: one does not start.
        """
        self._starts.wait()
        if self._kafka is not None and self._options.data is not None:
            ports = "\n".join(str(node.port) for node in self._kafka.nodes)
            private.write_text(self._folder / _KAFKA_PORTS_FILE, ports)
        tasks = self._options.task_files.folder
        run = LocalRun(
            os.getpid(),
            str(self._folder.absolute()),
            self._redis.url if self._redis is not None else "",
            self.bootstrap,
            self._options.prefix,
            for_commands=self._options.for_commands,
            tasks="" if tasks is None else str(tasks.absolute()),
            policy=str(self._options.policy.absolute()),
            models={str(model): str(model.folder.absolute()) for model in self._options.models},
            frontier=without_password(self._options.frontier),
            secret_file="" if os.environ.get("SPRAT_SECRET") else str(self._folder.absolute() / SECRET_FILE),
        )
        if run.redis_url or run.for_commands:
            self._announced = run.announce()

    def stop(self, *, start_timeout_s: float) -> None:
        """Stop what is embedded. A start in progress is ended before, within `start_timeout_s`."""
        if self._announced is not None:
            self._announced.unlink(missing_ok=True)
            self._announced = None
        started = self._starts.end(start_timeout_s)
        if self._redis is not None and started:
            self._redis.stop(grace_s=_REDIS_GRACE_S)
        if self._kafka is not None and started:
            if self._options.data is None:
                self._kafka.kill()  # its data is removed anyway: no need to close it cleanly
            self._kafka.stop(grace_s=_KAFKA_GRACE_S)
        self._claims.release()

    def usual(self, *ports: int) -> int | None:
        """Return the first of these ports that is free, if they are wanted; None: any port, chosen at the start."""
        if self._options.usual_ports:
            for port in ports:
                if self._claims.claim(port):
                    return port
        return free_port() if self._options.early else None  # the services must know it before

    def _kafka_ports(self, file: Path) -> Iterator[int | None]:
        """Yield a port for each node: the first where Kafka usually is, the others behind it."""
        for index in range(self._options.brokers):
            yield self.usual(*wanted_ports(file, self._options.kafka_port + index, USUAL_KAFKA_PORT + index, index))

    def _check_data(self, folder: Path) -> None:
        """Check that kept data is of as many nodes as are started now.

        Raises:
            LocalError: it is of one, or of several.
        """
        alone = is_formatted(folder / "log")
        if alone and self._options.brokers > 1:
            fix = "leave out --brokers"
        elif self._options.brokers == 1 and is_formatted(folder / "1" / "log"):
            fix = f"--brokers {BROKERS[-1]}"
        else:
            return
        kept = "one broker" if alone else "several brokers"
        raise LocalError(f"{self._options.data} has the data of {kept}: {fix}, or another folder for --data")


def wanted_ports(file: Path, named: int, usual: int, line: int = 0) -> tuple[int, ...]:
    """Return the ports for a server, the preferred one first: what is named, where it was in the last run, the usual.

    Programs that were told the address of the last run, and browsers with its cookie, find it there.

    Args:
        file: has the port of the last run in a line of its own.
        named: by the user; `usual` where none is.
        usual: that of the server.
        line: of the file, from 0 on.
    """
    last = 0
    with suppress(OSError, ValueError, IndexError):
        last = int(file.read_text("utf-8").splitlines()[line])
    wanted = (named, last) if named != usual else (last, named)
    return tuple(port for port in wanted if 0 < port < 65_536)
