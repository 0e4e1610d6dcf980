"""The table of services that an installation runs. A new service is one line here."""

import importlib.util
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from pydantic_settings import BaseSettings, SettingsConfigDict

from sprat.local.models.served import ServedModel
from sprat.model_names import DEFAULT_MODEL
from sprat_contracts import TASKS, Topics

Reads = Callable[[Topics], tuple[str, ...]]


def _nothing(_: Topics) -> tuple[str, ...]:
    return ()


def _texts(topics: Topics) -> tuple[str, ...]:
    return (topics.texts,)


def _requests(topics: Topics) -> tuple[str, ...]:
    return (topics.frontier_requests,)


def _routed(topics: Topics) -> tuple[str, ...]:
    return (topics.texts, *(topics.predictions(task) for task in TASKS), topics.frontier_answers)


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """What the supervisor must know of a service."""

    name: str
    """Of its process, its log and its row in tables."""
    module: str
    """Run as `python -m module`."""
    group: str = ""
    """Its consumer group, after the prefix and a dot; empty without one. `{model}` stands for its model's name."""
    reads: Reads = _nothing
    """The topics that its group reads."""
    essential: bool = False
    """Without it nothing works at all; others may be left out of an installation."""
    needs_kafka: bool = True
    port_variable: str = "SPRAT_HEALTH_PORT"
    """The variable that tells it on which port to answer."""
    ready_path: str = "/readyz"
    model: ServedModel | None = None
    """The model that a person named for it; None: as its own settings say."""


SIMULATOR = "simulator"
FRONTIER = "frontier"

SERVICES = (
    ServiceSpec(
        SIMULATOR,
        "sprat_simulator",
        essential=True,
        needs_kafka=False,
        port_variable="SPRAT_SIMULATOR_PORT",
        ready_path="/healthz",
    ),
    ServiceSpec("router", "sprat_router", "router", _routed, essential=True),
    *(ServiceSpec(task, f"sprat_{task}", f"{task}.{{model}}", _texts) for task in TASKS),
    ServiceSpec(FRONTIER, "sprat_frontier", "frontier", _requests, essential=True),
)


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
            after = max(n for n, spec in enumerate(table) if spec.module == table[place].module) + 1
            table.insert(after, replace(table[place], name=f"{model.task}.{model.name}", model=model))
    return tuple(table)


def instance_name(service: str, instance: int) -> str:
    """Give the name of a service's n-th process: the first has the service's own. No model's name can hold a `#`."""
    return service if instance == 1 else f"{service}#{instance}"


def is_installed(spec: ServiceSpec) -> bool:
    """Tell whether the service can be started from this Python environment."""
    return importlib.util.find_spec(spec.module) is not None and (
        importlib.util.find_spec(f"{spec.module}.__main__") is not None
    )
