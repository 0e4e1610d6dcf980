"""The Kafka and the Redis of an installation: embedded where the user names no existing one."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from sprat_local.kafka.broker import EmbeddedKafka
from sprat_local.notices import OnNotice, OnProgress
from sprat_local.options import USUAL_KAFKA_PORT, USUAL_REDIS_PORT, Options
from sprat_local.processes.ports import PortClaims
from sprat_local.processes.supervisor import SupervisedServer, Supervisor
from sprat_local.redis import EmbeddedRedis

T = TypeVar("T")

_POLL_S = 0.1
_REDIS_GRACE_S, _KAFKA_GRACE_S = 0.5, 1.5


class BackgroundCall(Generic[T]):
    """A call on a daemon thread: waiting for it can be interrupted by signals, and the process can exit before its end.

    The threads of a pool would be joined when the interpreter exits.
    """

    def __init__(self, call: Callable[[], T], name: str) -> None:
        self._call = call
        self._done = threading.Event()
        self._error: BaseException | None = None
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def result(self) -> T:
        """Wait for its end; return its result or raise its exception."""
        while not self._done.wait(_POLL_S):  # in short steps, so that signal handlers of the main thread can run
            pass
        if self._error is not None:
            raise self._error
        return self._value

    def wait(self, timeout_s: float) -> bool:
        """Wait for its end, with or without success. Return whether it has ended."""
        return self._done.wait(timeout_s)

    def _run(self) -> None:
        try:
            self._value = self._call()
        except BaseException as error:  # noqa: BLE001 - raised again by `result`
            self._error = error
        finally:
            self._done.set()


class BackingServers:
    """Kafka and Redis, each embedded or existing; embedded ones are started concurrently."""

    def __init__(self, options: Options, supervisor: Supervisor, on_notice: OnNotice, on_progress: OnProgress) -> None:
        self._options = options
        self._supervisor = supervisor
        self._on_notice = on_notice
        self._on_progress = on_progress
        self._kafka: EmbeddedKafka | None = None
        self._redis: EmbeddedRedis | None = None
        self._starts: list[BackgroundCall[None]] = []
        self._claims = PortClaims()

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
            LocalError: one does not start.
        """
        for start in self._starts:
            start.result()

    def stop(self, *, start_timeout_s: float) -> None:
        """Stop what is embedded. A server cannot be stopped while it starts: wait for that for `start_timeout_s`."""
        started = all(start.wait(start_timeout_s) for start in self._starts)
        self._starts.clear()
        if self._redis is not None and started:
            self._redis.stop(grace_s=_REDIS_GRACE_S)
        if self._kafka is not None and started:
            if self._options.data is None:
                self._kafka.kill()  # its data is removed anyway: no need to close it cleanly
            self._kafka.stop(grace_s=_KAFKA_GRACE_S)
        self._claims.release()

    def _usual(self, port: int) -> int | None:
        """Return this port if it is wanted and free; None stands for any port."""
        return port if self._options.usual_ports and self._claims.claim(port) else None

    def _begin(self, name: str, embedded: EmbeddedKafka | EmbeddedRedis) -> None:
        server = SupervisedServer(name, embedded, self._on_notice, restart=self._options.restart)
        self._supervisor.supervise(server)
        self._starts.append(BackgroundCall(server.start, f"sprat-start-{name}"))
