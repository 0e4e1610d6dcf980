"""A whole installation on this machine: broker, cache, topics and services, each a process of its own."""

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Self

from aiokafka.errors import KafkaError

from sprat.base.errors import SpratError, UserError
from sprat.base.settings import KafkaSettings
from sprat.kafka.connection_errors import capture_refusals
from sprat.kafka.membership import drop_members, leave_groups, take_members
from sprat_contracts import Topics
from sprat_local.installation import environment
from sprat_local.installation.environment import LaunchBuilder, members_file
from sprat_local.installation.gateway import USUAL_PORT, LocalGateway, make_gateway, named_port
from sprat_local.installation.options import Options, choose_services, model_names, service_table
from sprat_local.installation.servers import BackingServers, wanted_ports
from sprat_local.observe.stack import Observers, Target
from sprat_local.processes import private
from sprat_local.processes.background import in_background
from sprat_local.processes.data_folder import DataFolder
from sprat_local.processes.notices import (
    LocalError,
    Notice,
    OnNotice,
    OnProgress,
    StartError,
    discard_notice,
    discard_progress,
)
from sprat_local.processes.ports import free_port
from sprat_local.processes.service_process import ServiceProcess
from sprat_local.processes.supervisor import SupervisedServer, Supervisor
from sprat_operations.local_run import GATEWAY_PORT
from sprat_operations.services import GATEWAY, ServiceSpec, instance_name
from sprat_operations.topics import TopicState, create_topics, keep_current

_PREFIX = "sprat-run-"
_SERVICES_GRACE_S = 2.5
_OBSERVERS_GRACE_S = 0.3
"""Together with the grace of Kafka and Redis, below the 5 s that a stop may take."""
_MAX_INSTANCES = 64
_NOT_RUNNING = "the installation is not running"


def _discard_phase(_phase: str, _seconds: float) -> None:
    """Report nothing."""


class Installation:
    """Starts everything, restarts what dies, stops everything. Also a context manager.

    The methods block and may be called from any thread, also from one with a running event loop.
    """

    def __init__(
        self,
        options: Options | None = None,
        *,
        on_notice: OnNotice = discard_notice,
        on_progress: OnProgress = discard_progress,
        on_phase: Callable[[str, float], None] = _discard_phase,
    ) -> None:
        self.options = options if options is not None else Options()
        self.phases: dict[str, float] = {}
        """Phase of the start → seconds from the call of `start` to its end."""
        self.missing: tuple[str, ...] = ()
        """Services of the table that are not installed here."""
        self.topic_states: tuple[TopicState, ...] = ()
        self._on_notice = on_notice
        self._on_phase = on_phase
        """Receives each phase of the start at its end, as `phases` has it."""
        self._supervisor = Supervisor(on_notice, self._write_targets)
        self.kill_all = self._supervisor.kill_all
        """Kills every process at once. Safe in a signal handler; a `stop` under way then ends quickly."""
        self._folder: DataFolder | None = None
        self._backing = BackingServers(self.options, self._supervisor, on_notice, on_progress)
        self.observers: Observers | None = None
        """What observes it; None without."""
        if self.options.observability is not None:
            self.observers = Observers(
                self.options.observability,
                self._supervisor,
                on_notice,
                usual_ports=self.options.usual_ports,
                restart=self.options.restart,
            )
        self._launch_builder: LaunchBuilder | None = None
        self.gateway: LocalGateway | None = None
        """Texts by HTTP, and the page; None without."""
        self._changing = threading.Lock()
        """Held between the stop of a service and its next start."""
        self._stopping = False
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
        kafka = environment.kafka_settings(overrides, embedded=self.options.bootstrap is None)
        return kafka.with_tasks(topics.tasks)

    @property
    def topics(self) -> Topics:
        """The names of its topics."""
        return Topics(self.options.prefix, self.options.partitions, self.options.task_files.table)

    @property
    def specs(self) -> tuple[ServiceSpec, ...]:
        """The table of services, including those for the user's own models."""
        return service_table(self.options)

    @property
    def models(self) -> Mapping[str, str]:
        """Service → the name by which texts ask for its model."""
        return model_names(self.options) | {spec.name: spec.model.name for spec in self.specs if spec.model is not None}

    @property
    def folder(self) -> Path:
        """Where data, secret and logs are; `stop` removes a temporary one."""
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
        """`kafka` (several nodes: `kafka#1` and so on) and `redis`, where they are embedded, and what observes all."""
        return self._supervisor.servers

    @property
    def broker_nodes(self) -> Mapping[int, SupervisedServer]:
        """The servers that are nodes of one Kafka, by node id; empty where it is one alone, or runs elsewhere."""
        named = (name.partition("#") for name in self.servers)
        return {int(node): self.servers[f"{name}#{node}"] for name, _, node in named if name == "kafka" and node}

    def start(self) -> None:
        """Start everything and return when every service is ready.

        Raises:
            UserError: it cannot start; the message says why. Nothing is left running.
        """
        self._began, self._stopping = time.monotonic(), False
        try:
            self._start()
        except BaseException as error:
            self.stop()
            if isinstance(error, StartError) and self.options.data is None:
                raise error.without_log() from None  # it was removed with the temporary folder
            if isinstance(error, OSError):  # such as a full disk
                raise LocalError(f"it cannot start: {error}") from error
            raise

    def stop(self) -> None:
        """Stop everything: first the services, so that they drain, then Redis and Kafka. Takes at most 5 s."""
        self._stopping = True  # from here on `rolling_restart` starts nothing
        self._supervisor.stop_services(list(self.processes), _SERVICES_GRACE_S)
        with self._changing:
            self._supervisor.stop_services(list(self.processes), _SERVICES_GRACE_S)
        self._supervisor.shut_down()
        if self.observers is not None:
            # They end while Redis and Kafka do. Without --data, what they have written is removed anyway.
            self.observers.request_stop(signal.SIGKILL if self.options.data is None else signal.SIGTERM)
        self._backing.stop(start_timeout_s=_SERVICES_GRACE_S)
        if self.observers is not None:
            self.observers.stop(grace_s=_OBSERVERS_GRACE_S)
        if self._folder is not None:
            self._folder.release()
            self._folder = self._launch_builder = self.gateway = None

    def start_service(
        self, name: str, *, instance: int = 1, env: Mapping[str, str] | None = None, wait: bool = True
    ) -> ServiceProcess:
        """Start a service, or another instance of it, with additional variables; wait until it is ready.

        Raises:
            UserError: there is no such service, or it does not start.
        """
        process_name, builder = instance_name(name, instance), self._running_builder()
        if name == GATEWAY and self.gateway is None:
            file = self.folder / GATEWAY_PORT
            port = self._backing.usual(*wanted_ports(file, named_port(), USUAL_PORT)) or free_port()
            builder.gateway_port = port
            private.write_text(file, str(port))
            self.gateway = make_gateway(self.options, self.folder, port)
        launch = builder.build(self._spec(name), process_name, env or {})
        process = ServiceProcess(
            launch,
            self._on_notice,
            restart=self.options.restart,
            on_death=partial(self._leave_groups, process_name, members_file(self.logs, process_name)),
        )
        self._supervisor.start(process)
        if wait:
            self.wait_ready(process_name)
        return process

    def start_afterwards(self) -> tuple[str, ...]:
        """Start what the options leave for when everything else runs, and return the names once they are ready.

        Nothing is started where the installation stops meanwhile.

        Raises:
            UserError: one does not start.
        """
        names = tuple(spec.name for spec in choose_services(self.options)[0] if spec.name in self.options.afterwards)
        with self._changing:
            if self._stopping or not names:
                return ()
            for name in names:
                self.start_service(name, wait=False)
        self.wait_ready(*names)
        return names

    def stop_service(self, process_name: str, *, grace_s: float = 30.0) -> None:
        """Stop one service without a restart: SIGTERM, SIGKILL after `grace_s`."""
        self._supervisor.stop_services([process_name], grace_s)

    def rolling_restart(self, name: str) -> None:
        """Restart all instances of a service, one after the other, each when the previous one is ready again.

        Each instance first finishes and commits its current batch; what arrives meanwhile waits in Kafka.

        Raises:
            UserError: an instance does not start again. The remaining instances were not restarted.
        """
        instances = [n for n in range(1, _MAX_INSTANCES + 1) if instance_name(name, n) in self.processes]
        for instance in instances:
            process_name = instance_name(name, instance)
            with self._changing:
                self.stop_service(process_name)
                if self._stopping:
                    return
                self.start_service(name, instance=instance, wait=False)
            self.wait_ready(process_name)

    def kill(self, process_name: str) -> None:
        """SIGKILL one service; the supervisor restarts it."""
        self.processes[process_name].kill()

    def wait_ready(self, *process_names: str, timeout_s: float | None = None) -> None:
        """Wait until these services, by default all, are ready.

        Raises:
            StartError: one is not ready in time.
        """
        names = process_names or tuple(self.processes)
        timeout_s = self.options.ready_timeout_s if timeout_s is None else timeout_s
        self._supervisor.wait_ready([self.processes[name] for name in names], timeout_s)

    def crash_server(self, name: str) -> None:
        """SIGKILL one of the embedded `servers`; it stays down until `start_server`. Kafka's data stays."""
        self._supervisor.crash_server(name)

    def start_server(self, name: str) -> None:
        """Start it again on the same port.

        Raises:
            LocalError: it does not start.
        """
        self._supervisor.start_server(name)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start(self) -> None:
        specs, self.missing = choose_services(self.options)
        environment.check_options(self.options)
        if self.observers is not None:
            self.observers.find()
        self._folder = DataFolder.acquire(self.options.data, _PREFIX)
        private.make_folder(self.logs)
        self._launch_builder = LaunchBuilder(self.options, self.logs)
        # Kafka, Redis and the simulator need nothing else: they start concurrently.
        self._backing.begin_start(self.folder, self.logs)
        if self.observers is not None:
            self.observers.begin_start(self.folder / "observe", self.logs)
        for spec in specs:
            if not spec.needs_kafka:
                self.start_service(spec.name, wait=False)
        if self.options.early:
            self._start_on_kafka(specs)
        self._backing.wait()
        self._reached("kafka and redis")
        embedded = self.options.bootstrap is None
        self.topic_states = _make_topics(
            self.kafka, self.topics, self.options.data if embedded else None, self._on_notice
        )
        self._reached("topics")
        if not self.options.early:
            self._start_on_kafka(specs)
        if self.observers is not None:
            self.observers.wait()
        self.wait_ready()
        self._reached("services")

    def _start_on_kafka(self, specs: Iterable[ServiceSpec]) -> None:
        """Start the services that use Kafka and Redis, whose addresses are known; they wait for what is not there."""
        secret, policy = environment.load_or_create_secret(self.folder), self.options.policy.absolute()
        embedded = self.options.bootstrap is None
        tasks = self.options.task_files.folder
        shared = environment.shared_variables(
            self.kafka, self.redis_url, secret, policy, embedded=embedded, tasks=tasks
        )
        observed = self.observers.variables() if self.observers is not None else {}
        self._running_builder().share(shared | observed, environment.audit_variables(self.folder))
        for spec in specs:
            if spec.needs_kafka and spec.name not in self.options.afterwards:
                self.start_service(spec.name, wait=False)

    def _leave_groups(self, process_name: str, members_path: Path) -> None:
        """Leave the groups of a dead service for it, without holding up the supervisor."""
        if not (members := take_members(members_path)):
            return

        def leave() -> None:
            try:
                asyncio.run(leave_groups(self.kafka, members))
            except SpratError as error:
                self._on_notice(Notice(process_name, "warning", str(error)))
            else:
                drop_members(members_path, members)

        in_background(leave, f"sprat-leave-{process_name}")

    def _write_targets(self, processes: Iterable[ServiceProcess]) -> None:
        if self.observers is not None:
            found = ((process, self._spec(process.name.partition("#")[0])) for process in processes)
            self.observers.write_targets(
                Target(process.name, process.port, self._labels(spec)) for process, spec in found if spec.needs_kafka
            )

    def _labels(self, spec: ServiceSpec) -> dict[str, str]:
        """Return how the metrics of a service call it."""
        model = self.models.get(spec.name)
        return {"service_name": f"sprat-{spec.service}"} | ({"sprat_model_name": model} if model is not None else {})

    def _spec(self, name: str) -> ServiceSpec:
        specs = {spec.name: spec for spec in self.specs}
        if name not in specs:
            raise UserError(f"there is no service {name}: known are {', '.join(specs)}")
        return specs[name]

    def _running_builder(self) -> LaunchBuilder:
        if self._launch_builder is None:
            raise UserError(_NOT_RUNNING)
        return self._launch_builder

    def _reached(self, phase: str) -> None:
        self.phases[phase] = time.monotonic() - self._began
        self._on_phase(phase, self.phases[phase])


async def _topics(kafka: KafkaSettings, topics: Topics, *, own: bool) -> tuple[TopicState, ...]:
    """Create missing topics; in an own broker, also correct what an earlier version has set."""
    states = await create_topics(kafka.client(), topics)
    return await keep_current(kafka.client(), topics, states) if own else states


def _make_topics(
    kafka: KafkaSettings, topics: Topics, data: Path | None, on_notice: OnNotice
) -> tuple[TopicState, ...]:
    """Create missing topics; report existing ones that differ from the table.

    Args:
        kafka: how to reach the broker.
        topics: their names.
        data: the folder in which the embedded Kafka keeps its data between runs; None without one.
        on_notice: receives the differences.

    Raises:
        UserError: the broker refuses; or a kept topic has another number of partitions than requested.
    """
    with capture_refusals(kafka) as captured:
        try:
            # On another thread: the caller's may have a running event loop.
            states = in_background(
                lambda: asyncio.run(_topics(kafka, topics, own=data is not None)), "sprat-topics"
            ).result()
        except (KafkaError, UserError):
            if captured.refusal is None:
                raise
            reason = captured.refusal.reason
            raise LocalError(f"Kafka at {kafka.bootstrap} does not let you in: {reason}") from None
    for state in states:
        for difference in state.differences:
            if data is not None and difference.setting == "partitions":
                # The count decides which partition has a key's texts. On an existing Kafka its owner decides.
                raise UserError(
                    f"{state.name} in {data} has {difference.actual} partitions, not {difference.expected}, and that "
                    f"cannot change: --partitions {difference.actual}, or another folder for --data"
                )
            text = f"{state.name}: {difference.setting} is {difference.actual}, not {difference.expected}"
            on_notice(Notice("topics", "warning", text))
    return states
