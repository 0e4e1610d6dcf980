"""The servers that an installation brings along where it is not given others: Kafka and Redis."""

from pathlib import Path

from sprat_local.background import Background
from sprat_local.events import OnEvent, OnProgress
from sprat_local.kafka.broker import EmbeddedKafka
from sprat_local.options import USUAL_KAFKA_PORT, USUAL_REDIS_PORT, Options
from sprat_local.processes.ports import PortClaims
from sprat_local.processes.supervisor import Supervisor
from sprat_local.servers.redis import EmbeddedRedis
from sprat_local.servers.supervised import SupervisedServer

_REDIS_GRACE_S, _KAFKA_GRACE_S = 0.5, 1.5


class BackingServers:
    """Kafka and Redis, each embedded or somebody's own; embedded ones are started side by side."""

    def __init__(self, options: Options, supervisor: Supervisor, on_event: OnEvent, on_progress: OnProgress) -> None:
        self._options = options
        self._supervisor = supervisor
        self._on_event = on_event
        self._on_progress = on_progress
        self._kafka: EmbeddedKafka | None = None
        self._redis: EmbeddedRedis | None = None
        self._starting: list[Background[None]] = []
        self._claims = PortClaims()

    @property
    def bootstrap(self) -> str:
        """The address of Kafka, for clients."""
        return self._kafka.bootstrap if self._kafka is not None else str(self._options.bootstrap)

    @property
    def redis_url(self) -> str:
        """The URL of Redis."""
        return self._redis.url if self._redis is not None else str(self._options.redis)

    def begin(self, folder: Path, logs: Path) -> None:
        """Begin to start what is embedded."""
        if self._options.bootstrap is None:
            port = self._usual(USUAL_KAFKA_PORT)
            self._kafka = EmbeddedKafka(folder / "kafka", port, self._on_progress, log=logs / "kafka.log")
            self._begin("kafka", self._kafka)
        if self._options.redis is None:
            self._redis = EmbeddedRedis(self._usual(USUAL_REDIS_PORT), logs / "redis.log")
            self._begin("redis", self._redis)

    def wait(self) -> None:
        """Wait until they serve.

        Raises:
            LocalError: one does not come up.
        """
        for job in self._starting:
            job.result()

    def stop(self, *, patience_s: float) -> None:
        """Stop what is embedded; one that is just starting cannot be stopped yet and gets `patience_s` to come up."""
        settled = all(job.settle(patience_s) for job in self._starting)
        self._starting.clear()
        if self._redis is not None and settled:
            self._redis.stop(grace_s=_REDIS_GRACE_S)
        if self._kafka is not None and settled:
            if self._options.data is None:
                self._kafka.kill()  # its data goes anyway: no need to close it in order
            self._kafka.stop(grace_s=_KAFKA_GRACE_S)
        self._claims.release()

    def _usual(self, port: int) -> int | None:
        """Give this port where it is wanted and free, else None: any."""
        return port if self._options.usual_ports and self._claims.claim(port) else None

    def _begin(self, name: str, embedded: EmbeddedKafka | EmbeddedRedis) -> None:
        server = SupervisedServer(name, embedded, self._on_event, restart=self._options.restart)
        self._supervisor.supervise(server)
        self._starting.append(Background(server.start, f"sprat-start-{name}"))
