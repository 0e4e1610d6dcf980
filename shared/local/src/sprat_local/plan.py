"""The table of services that an installation runs. A new service is one line here."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict

from sprat.errors import UserError
from sprat.model import DEFAULT_MODEL
from sprat_contracts import TASKS
from sprat_local import environment
from sprat_local.environment import frontier_environment, simulator_environment
from sprat_local.options import SIMULATED, Options
from sprat_local.processes.ports import free_port
from sprat_local.processes.service_process import LaunchSpec
from sprat_operations.services import FRONTIER, SERVICES, SIMULATOR, ServedModel, ServiceSpec


class _ModelName(BaseSettings):
    """By which name a service's model is asked for, as that service reads it."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore")

    model: str = DEFAULT_MODEL


def model_name(task: str, environment: Mapping[str, str]) -> str:
    """Give the name of the model that serves `task`; `environment` is what its service is given on top of ours."""
    prefix = f"SPRAT_{task.upper()}__"
    return environment.get(f"{prefix}MODEL") or _ModelName(_env_prefix=prefix).model


def with_models(models: Iterable[ServedModel], names: Mapping[str, str]) -> tuple[ServiceSpec, ...]:
    """Give the table with these models in it.

    One that has the name of a task's own model stands in its place; any other is one more process, as `intent.hr`,
    beside it. `names` has the name of each task's own model.
    """
    table = list(SERVICES)
    for model in models:
        place = next(n for n, spec in enumerate(table) if spec.name == model.task)
        if model.name == names[model.task]:
            table[place] = replace(table[place], model=model)
        else:
            after = max(n for n, spec in enumerate(table) if spec.service == table[place].service) + 1
            table.insert(after, replace(table[place], variant=model.name, model=model))
    return tuple(table)


# Which services an installation runs, and with which variables each.


def own_names(options: Options) -> dict[str, str]:
    """Give task → the name by which texts ask for the model of its own service."""
    own = options.service_environment
    return {task: model_name(task, {**options.environment, **own.get(task, {})}) for task in TASKS}


def table_of(options: Options) -> tuple[ServiceSpec, ...]:
    """Give all services that an installation could run, those for a person's own models among them."""
    return with_models(options.models, own_names(options))


def choose_services(options: Options) -> tuple[list[ServiceSpec], tuple[str, ...]]:
    """Give the services to run, and the names of those that would run if they were installed.

    Raises:
        UserError: one is missing that was asked for, or without which nothing works.
    """
    wanted = [
        spec
        for spec in table_of(options)
        if (options.services is None or spec.name in options.services or spec.model is not None)
        and (spec.name != SIMULATOR or options.frontier == SIMULATED)
    ]
    missing = [spec for spec in wanted if not spec.is_installed]
    for spec in missing:
        if spec.essential or spec.model is not None or options.services is not None:
            raise UserError(f"the service {spec.name} is not installed: pip install {spec.distribution}")
    return [spec for spec in wanted if spec not in missing], tuple(spec.name for spec in missing)


def service_named(name: str, table: Iterable[ServiceSpec]) -> ServiceSpec:
    """Give a service of the table.

    Raises:
        UserError: there is none of this name.
    """
    known = {spec.name: spec for spec in table}
    if name not in known:
        raise UserError(f"there is no service {name}: known are {', '.join(known)}")
    return known[name]


class Launches:
    """Puts together how each service is started."""

    def __init__(self, options: Options, logs: Path) -> None:
        self._options = options
        self._logs = logs
        self._simulator_port = free_port()
        self._shared = environment.threads()

    def share(self, variables: Mapping[str, str]) -> None:
        """Give these variables to every service started from now on."""
        self._shared = dict(variables)

    def launch(self, spec: ServiceSpec, process_name: str, env: Mapping[str, str]) -> LaunchSpec:
        """Say how to start a service. What is said for one service wins over what is said for all."""
        special: dict[str, str] = {}
        # Static membership: restarted, the first instance takes its partitions over at once, where Kafka would keep
        # them from everybody until the dead one's session times out. Others leave the group when they are stopped. On
        # somebody's own Kafka another installation may use the same names, and the two would throw each other out.
        if process_name == spec.name and self._options.bootstrap is None:
            special["SPRAT_KAFKA__INSTANCE_ID"] = process_name
        if spec.name == SIMULATOR:
            special |= simulator_environment(self._options)
        elif spec.name == FRONTIER:
            special |= frontier_environment(self._options, self._simulator_port)
        model = spec.model.environment if spec.model is not None else {}
        own = self._options.service_environment.get(process_name, {})
        return LaunchSpec(
            name=process_name,
            module=self._options.modules.get(spec.name) or spec.module,
            environment={**self._shared, **special, **self._options.environment, **model, **own, **env},
            port_variable=spec.port_variable,
            # The frontier service must know where the simulator is; nobody else's port matters.
            port=self._simulator_port if spec.name == SIMULATOR else None,
            ready_path=spec.ready_path,
            log=self._logs / f"{process_name}.log",
        )
