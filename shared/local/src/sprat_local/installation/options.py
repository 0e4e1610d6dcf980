"""The options of an installation, and the services that it runs with them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

import sprat_cli.commands.init
from sprat.base.errors import UserError
from sprat.base.model import DEFAULT_MODEL
from sprat.base.settings import VariableSettings, environment, section_prefix
from sprat_contracts import TASKS
from sprat_contracts.topics import DEFAULT_PARTITIONS, DEFAULT_PREFIX
from sprat_local.observe.stack import Observability
from sprat_local.processes.ports import HOST
from sprat_operations.local_run import SIMULATED
from sprat_operations.services import GATEWAY, GUARDIAN, SERVICES, SIMULATOR, ServedModel, ServiceSpec, task_service
from sprat_policy import TaskFiles, load_policy

DEMO_FOLDER = Path(__file__).parents[1] / "demo"
"""The packaged policy and samples of the demo."""
BROKERS = (1, 3)
"""How many nodes an embedded Kafka may have."""
POLICY = DEMO_FOLDER / "policy.yaml"
DEMO_POLICY = DEMO_FOLDER / "each_name.yaml"
"""That of `sprat up`, and names are kept one by one."""
SHIPPED_POLICY = Path(sprat_cli.commands.init.__file__).parent / "files" / "policy.yaml"
"""compose/policy.yaml, by which a text without a tenant stays here."""
USUAL_KAFKA_PORT = 9092
USUAL_REDIS_PORT = 6379


@dataclass(frozen=True, slots=True)
class Simulation:
    """The behaviour of the simulated frontier. It returns the samples' gold answers, altered at the given rate.

    Without a gold answer it declines, unless it invents one.
    """

    seed: int = 7
    latency_ms: int = 150
    jitter_ms: int = 150
    wrong_rate: float = 0.0
    invent: bool = False
    """For load tests: answer everything, however nonsensical."""
    input_eur: float = 0.4
    """Per million tokens; the list price of a mid-sized model."""
    output_eur: float = 2.0
    gold: Path = DEMO_FOLDER / "texts.jsonl"


@dataclass(frozen=True, slots=True)
class Options:
    """The options of an installation."""

    bootstrap: str | None = None
    """An existing Kafka; None: an embedded one."""
    brokers: int = 1
    """Nodes of the embedded Kafka: 1, or 3, of which one may be away."""
    redis: str | None = None
    """URL of an existing Redis; None: an embedded one."""
    frontier: str = SIMULATED
    """`simulated`, or the URL of an OpenAI-compatible API; SPRAT_FRONTIER__* set its model, region and prices."""
    data: Path | None = None
    """Folder that keeps Kafka's data, the secret and the logs between runs; None: a temporary folder."""
    policy: Path = POLICY
    task_files: TaskFiles = field(default_factory=TaskFiles)
    """The tasks besides those of this version."""
    partitions: int = DEFAULT_PARTITIONS
    prefix: str = DEFAULT_PREFIX
    usual_ports: bool = False
    """Use `kafka_port` and 6379 if they are free, so that other programs need no setting; else any free ports."""
    for_commands: bool = False
    """Whether this user's commands use it where they are told no Kafka."""
    kafka_port: int = USUAL_KAFKA_PORT
    services: tuple[str, ...] | None = None
    """Names of the services to run; None: all that are installed but those on request. The guardian runs where the
    policy lets answers be reviewed."""
    on_request: tuple[str, ...] = ()
    """Names of services on request to run beside the others."""
    afterwards: tuple[str, ...] = ()
    """Names of services that are not started with the others: `Installation.start_afterwards` starts them."""
    models: tuple[ServedModel, ...] = ()
    """The user's own models, which replace shipped ones or run beside them."""
    key_of: tuple[str, str] | None = None
    """Tenant and source of the texts that the user's key sends and sees; None: those of `sprat send`."""
    simulation: Simulation = field(default_factory=Simulation)
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables for all services."""
    service_environment: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Service → variables for it alone."""
    modules: Mapping[str, str] = field(default_factory=dict)
    """Service → module to run instead of its own. Tests start services with a kill switch."""
    static_members: bool = True
    """The first instance of a service gets its partitions back when it is started again. Until then nobody reads them,
    so that several instances of a service are better restarted without."""
    observability: Observability | None = None
    """How it is observed; None: not at all."""
    early: bool = False
    """Start the services together with Kafka, and let them wait for it: ready sooner where there are few."""
    restart: bool = True
    """Restart what dies. Tests of faults turn it off."""
    ready_timeout_s: float = 60.0


def named_kafka_port() -> int:
    """Return the port of this machine that `SPRAT_KAFKA__BOOTSTRAP` names, also in `.env`; else the usual one.

    Raises:
        UserError: somebody else may have written `.env`.
    """
    host, _, port = environment().get("SPRAT_KAFKA__BOOTSTRAP", "").rpartition(":")
    local = host in {HOST, "localhost"} and port.isdecimal() and 0 < int(port) < 65_536
    return int(port) if local else USUAL_KAFKA_PORT


def without_password(url: str) -> str:
    """Return a URL without what may be secret in it: user, password, query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "(set)"
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


class _ModelName(VariableSettings):
    """The name of a service's model, read as that service reads it."""

    model: str = DEFAULT_MODEL


def model_name(task: str, environment: Mapping[str, str]) -> str:
    """Return the name of the model of a task's service; `environment` is added to that of this process."""
    prefix = section_prefix(task)
    return environment.get(f"{prefix}MODEL") or _ModelName(_env_prefix=prefix).model


def model_names(options: Options) -> dict[str, str]:
    """Return task → the name by which texts ask for the model of the task's own service."""
    own = options.service_environment
    names = {task: model_name(task, {**options.environment, **own.get(task, {})}) for task in TASKS}
    return names | dict.fromkeys(_served_tasks(options), DEFAULT_MODEL)


def _served_tasks(options: Options) -> list[str]:
    """Return the tasks from files that a small model can answer."""
    named = {model.task for model in options.models}
    return [task for task, file in options.task_files.items() if file.has_small_model or task in named]


def service_table(options: Options) -> tuple[ServiceSpec, ...]:
    """Return all services that an installation could run, including those for the user's own models.

    A model with the name of a task's own model replaces it; any other runs in an additional process, as `intent.hr`.
    """
    names = model_names(options)
    table = [*SERVICES, *map(task_service, _served_tasks(options))]
    for model in options.models:
        index = next(n for n, spec in enumerate(table) if spec.name == model.task)
        if model.name == names[model.task]:
            table[index] = replace(table[index], model=model)
        else:
            end = max(n for n, spec in enumerate(table) if spec.service == table[index].service) + 1
            table.insert(end, replace(table[index], variant=model.name, model=model))
    return tuple(table)


def choose_services(options: Options) -> tuple[list[ServiceSpec], tuple[str, ...]]:
    """Return the services to run, and the names of those that would run if they were installed.

    Raises:
        UserError: a requested or an essential service is not installed.
    """
    wanted = [spec for spec in service_table(options) if _is_wanted(spec, options)]
    missing = [spec for spec in wanted if not spec.is_installed]
    for spec in missing:
        # `sprat up` asks for the gateway by itself; all others were named by the user.
        named = options.services is not None or (spec.name in options.on_request and spec.name != GATEWAY)
        if spec.essential or spec.model is not None or named:
            raise UserError(
                f"the service {spec.name} is not installed: pip install --find-links dist {spec.distribution}"
            )
    return [spec for spec in wanted if spec not in missing], tuple(spec.name for spec in missing)


def _is_wanted(spec: ServiceSpec, options: Options) -> bool:
    """Return whether an installation runs a service if it is installed."""
    if spec.name == SIMULATOR and options.frontier != SIMULATED:
        return False
    if spec.model is not None:
        return True
    if options.services is not None:
        return spec.name in options.services
    if spec.name == GUARDIAN and _reviews(options):
        return True
    return not spec.on_request or spec.name in options.on_request


def _reviews(options: Options) -> bool:
    """Return whether a share of what is kept is reviewed."""
    try:
        policy = load_policy(options.policy, options.task_files.table).with_added(options.task_files)
    except UserError:
        return False  # the router says what is wrong with it
    return bool(policy.reviewed_tasks)
