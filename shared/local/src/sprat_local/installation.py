"""The topics of an installation, made when it starts."""

import asyncio
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from aiokafka.errors import KafkaError

from sprat.errors import UserError
from sprat.kafka.connection_errors import capture_refusals
from sprat.settings import KafkaSettings
from sprat_contracts import Topics
from sprat_local import environment
from sprat_local.background import Background
from sprat_local.errors import LocalError, StartError
from sprat_local.events import Event, OnEvent, OnProgress, ignore, silent
from sprat_local.options import Options
from sprat_local.plan import Launches, choose_services, own_names, service_named, table_of
from sprat_local.processes.data_folder import DataFolder
from sprat_local.processes.service_process import ServiceProcess
from sprat_local.processes.supervisor import Supervisor
from sprat_local.servers.backing import BackingServers
from sprat_local.servers.supervised import SupervisedServer
from sprat_operations.services import ServiceSpec, instance_name
from sprat_operations.topics import TopicState, create_topics


def make_topics(kafka: KafkaSettings, topics: Topics, kept: Path | None, on_event: OnEvent) -> tuple[TopicState, ...]:
    """Make what is missing; tell what differs from the table. `kept` is the folder of the embedded Kafka's kept data.

    Raises:
        UserError: the broker refuses; or kept topics have another number of partitions than is wanted.
    """
    with capture_refusals(kafka) as overheard:
        try:
            # On a thread of its own: the caller's may have a running event loop.
            states = Background(lambda: asyncio.run(create_topics(kafka.client(), topics)), "sprat-topics").result()
        except (KafkaError, UserError):
            if overheard.refusal is None:
                raise
            reason = overheard.refusal.reason
            raise LocalError(f"Kafka at {kafka.bootstrap} does not let you in: {reason}") from None
    for state in states:
        for difference in state.differences:
            if kept is not None and difference.setting == "partitions":
                # The count decides where a key's texts are. On somebody's own Kafka it is theirs to judge.
                raise UserError(
                    f"{state.name} in {kept} has {difference.actual} partitions, not {difference.expected}, and that "
                    f"cannot change: --partitions {difference.actual}, or another folder for --data"
                )
            text = f"{state.name}: {difference.setting} is {difference.actual}, not {difference.expected}"
            on_event(Event("topics", "warning", text))
    return states


# A whole installation on this machine: broker, cache, topics, services, each a process of its own.

_PREFIX = "sprat-run-"
_SERVICES_GRACE_S = 2.5
"""With what Kafka and Redis are given, below the 5 s that a stop may take."""
_MOST_INSTANCES = 65
_NOT_RUNNING = "the installation is not running"


class Installation:
    """Starts everything, restarts what dies, stops everything. Also a context manager.

    The methods block and may be called from any thread, also from one whose event loop runs.
    """

    def __init__(
        self, options: Options | None = None, *, on_event: OnEvent = ignore, on_progress: OnProgress = silent
    ) -> None:
        self.options = options if options is not None else Options()
        self.phases: dict[str, float] = {}
        """What was reached → seconds after `start` was called."""
        self.missing: tuple[str, ...] = ()
        """Services of the table that are not installed here."""
        self.topic_states: tuple[TopicState, ...] = ()
        self._on_event = on_event
        self._supervisor = Supervisor(on_event)
        self.kill_all = self._supervisor.kill_all
        """Kills every process at once. Safe in a signal handler; a `stop` under way then ends quickly."""
        self._folder: DataFolder | None = None
        self._backing = BackingServers(self.options, self._supervisor, on_event, on_progress)
        self._launches: Launches | None = None
        self._changing = threading.Lock()
        """Held while a service is stopped in order to be started again."""
        self._closing = False
        self._began = 0.0

    @property
    def bootstrap(self) -> str:
        """The address of Kafka, for clients."""
        return self._backing.bootstrap

    @property
    def redis_url(self) -> str:
        """The URL of Redis."""
        return self._backing.redis_url

    @property
    def kafka(self) -> KafkaSettings:
        """Settings for clients of this installation.

        Raises:
            UserError: a variable or option is wrong.
        """
        topics = self.topics
        overrides = {"bootstrap": self.bootstrap, "prefix": topics.prefix, "partitions": topics.partitions}
        return environment.kafka_settings(overrides, embedded=self.options.bootstrap is None)

    @property
    def topics(self) -> Topics:
        """Their names."""
        return Topics(self.options.prefix, self.options.partitions)

    @property
    def specs(self) -> tuple[ServiceSpec, ...]:
        """The table of services, with a person's own models in it."""
        return table_of(self.options)

    @property
    def models(self) -> Mapping[str, str]:
        """Service → the name by which texts ask for its model."""
        return own_names(self.options) | {spec.name: spec.model.name for spec in self.specs if spec.model is not None}

    @property
    def folder(self) -> Path:
        """Where data, secret and logs are; a temporary one is gone after `stop`."""
        if self._folder is None:
            raise UserError(_NOT_RUNNING)
        return self._folder.path

    @property
    def logs(self) -> Path:
        """Folder of the logs of services, Kafka and Redis, one file each."""
        return self.folder / "logs"

    @property
    def processes(self) -> Mapping[str, ServiceProcess]:
        """The services, by name; a second instance of `intent` is `intent#2`."""
        return self._supervisor.services

    @property
    def servers(self) -> Mapping[str, SupervisedServer]:
        """`kafka` and `redis`, where they are embedded."""
        return self._supervisor.servers

    def start(self) -> None:
        """Start everything and return when every service is ready.

        Raises:
            UserError: something stands in the way; the message says what. Nothing is left running.
        """
        self._began, self._closing = time.monotonic(), False
        try:
            self._start()
        except BaseException as error:
            self.stop()
            if isinstance(error, StartError) and self.options.data is None:
                raise error.without_log() from None  # it went with the temporary folder
            if isinstance(error, OSError):  # such as a full disk
                raise LocalError(f"it cannot start: {error}") from error
            raise

    def stop(self) -> None:
        """Stop everything: the services first, so that they drain, then Redis and Kafka. Takes at most 5 s."""
        self._closing = True  # from here on `renew` starts nothing again
        self._supervisor.stop_services(list(self.processes), _SERVICES_GRACE_S)
        with self._changing:
            self._supervisor.stop_services(list(self.processes), _SERVICES_GRACE_S)
        self._supervisor.end()
        self._backing.stop(patience_s=_SERVICES_GRACE_S)
        if self._folder is not None:
            self._folder.release()
            self._folder = self._launches = None

    def start_service(
        self, name: str, *, instance: int = 1, env: Mapping[str, str] | None = None, wait: bool = True
    ) -> ServiceProcess:
        """Start a service, or another instance of it, with variables of its own; wait until it is ready.

        Raises:
            UserError: there is no such service, or it does not start.
        """
        process_name = instance_name(name, instance)
        launch = self._running().launch(service_named(name, self.specs), process_name, env or {})
        process = ServiceProcess(launch, self._on_event, restart=self.options.restart)
        self._supervisor.start(process)
        if wait:
            self.wait_ready(process_name)
        return process

    def stop_service(self, process_name: str, *, grace_s: float = 30.0) -> None:
        """Stop one service for good: SIGTERM, SIGKILL after `grace_s`."""
        self._supervisor.stop_services([process_name], grace_s)

    def renew(self, name: str) -> None:
        """Restart all instances of a service, one after the other, each once the one before is ready again.

        What an instance has in hand it finishes and commits first; what arrives meanwhile waits in Kafka.

        Raises:
            UserError: one does not come up again. The others were left as they were.
        """
        instances = [n for n in range(1, _MOST_INSTANCES) if instance_name(name, n) in self.processes]
        for instance in instances:
            process_name = instance_name(name, instance)
            with self._changing:
                self.stop_service(process_name)
                if self._closing:
                    return
                self.start_service(name, instance=instance, wait=False)
            self.wait_ready(process_name)

    def kill(self, process_name: str) -> None:
        """SIGKILL one service; it is restarted like any that dies."""
        self.processes[process_name].kill()

    def wait_ready(self, *process_names: str, timeout_s: float | None = None) -> None:
        """Wait until these services (none named: all) are ready.

        Raises:
            StartError: one is not in time.
        """
        names = process_names or tuple(self.processes)
        timeout_s = self.options.ready_timeout_s if timeout_s is None else timeout_s
        self._supervisor.wait_ready([self.processes[name] for name in names], timeout_s)

    def crash_server(self, name: str) -> None:
        """SIGKILL the embedded `kafka` or `redis` and leave it down until `start_server`; Kafka's data stays."""
        self._supervisor.crash_server(name)

    def start_server(self, name: str) -> None:
        """Bring it back, on the same port.

        Raises:
            LocalError: it does not come up.
        """
        self._supervisor.start_server(name)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start(self) -> None:  # what does not need another is started at once: Kafka, Redis, the simulator
        specs, self.missing = choose_services(self.options)
        environment.check(self.options)
        self._folder = DataFolder.take(self.options.data, _PREFIX)
        self.logs.mkdir(exist_ok=True)
        self._launches = Launches(self.options, self.logs)
        self._backing.begin(self.folder, self.logs)
        for spec in specs:
            if not spec.needs_kafka:
                self.start_service(spec.name, wait=False)
        self._backing.wait()
        self._reached("kafka and redis")
        embedded = self.options.bootstrap is None
        self.topic_states = make_topics(
            self.kafka, self.topics, self.options.data if embedded else None, self._on_event
        )
        self._reached("topics")
        secret, policy = environment.kept_secret(self.folder), self.options.policy.absolute()
        self._launches.share(environment.common(self.kafka, self.redis_url, secret, policy, embedded=embedded))
        for spec in specs:
            if spec.needs_kafka:
                self.start_service(spec.name, wait=False)
        self.wait_ready()
        self._reached("services")

    def _running(self) -> Launches:
        if self._launches is None:
            raise UserError(_NOT_RUNNING)
        return self._launches

    def _reached(self, phase: str) -> None:
        self.phases[phase] = time.monotonic() - self._began
