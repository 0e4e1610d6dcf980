"""The table of services that an installation runs. A new service is one line here."""

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pydantic_settings import BaseSettings, SettingsConfigDict

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


SIMULATOR = "simulator"
INTENT = "intent"
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
    ServiceSpec(INTENT, "sprat_intent", "intent.{model}", _texts),
    ServiceSpec(FRONTIER, "sprat_frontier", "frontier", _requests, essential=True),
)


DEFAULT_MODEL = "default"


class _IntentModel(BaseSettings):
    """By which name the intent service's model is asked for, as that service reads it."""

    model_config = SettingsConfigDict(env_prefix="SPRAT_INTENT__", env_file=".env", extra="ignore")

    model: str = DEFAULT_MODEL


def intent_model(environment: Mapping[str, str]) -> str:
    """Give the name of the intent service's model; `environment` holds what the service is given on top of ours."""
    return environment.get("SPRAT_INTENT__MODEL") or _IntentModel().model


def is_installed(spec: ServiceSpec) -> bool:
    """Tell whether the service can be started from this Python environment."""
    return importlib.util.find_spec(spec.module) is not None and (
        importlib.util.find_spec(f"{spec.module}.__main__") is not None
    )
