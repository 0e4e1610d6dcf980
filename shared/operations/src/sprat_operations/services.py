"""The services of an installation, and the models that the user names for them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sprat.base import plugins
from sprat.base.errors import UserError
from sprat.base.settings import section_field, section_prefix
from sprat_contracts import BUILT_IN, OWN_TASKS

CLASSIFY: Final = "classify"
"""The service of every task from a file."""
DEFAULT_FRONTIER_HOST: Final = "api.mistral.ai"
"""The host that the frontier service asks where its settings name none."""

_OWN_PROGRAMS: Final = frozenset({"router", "frontier", "guardian", "gateway", "simulator"})


def program_of(service: str) -> str:
    """Return the service whose program runs under the name of a service: `classify` for a task from a file."""
    return service if service in BUILT_IN or service in _OWN_PROGRAMS else CLASSIFY


def module_of(service: str) -> str:
    """Return the package that `python -m` runs for a service."""
    return f"sprat_{section_field(program_of(service))}"


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model from a folder that serves a task under a name."""

    task: str
    name: str
    folder: Path
    version: str
    """From the card in the folder when the installation was planned."""

    def __str__(self) -> str:
        return f"{self.task}/{self.name}"


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """A service as the supervisor and the tools need to know it."""

    service: str
    """Its name: of its entry point in the group `sprat.services`, or of its task, where that stands in a file."""
    group: str = ""
    """Its consumer group, after the prefix and a dot; empty without one. `{model}` is replaced by its model's name."""
    essential: bool = False
    """No text gets a Result without it; other services may be left out of an installation."""
    on_request: bool = False
    """An installation runs it only where it is named."""
    needs_kafka: bool = True
    port_variable: str = "SPRAT_HEALTH_PORT"
    """The environment variable with the port of its health server."""
    ready_path: str = "/readyz"
    model: ServedModel | None = None
    """The model that the user named for it; None: the one of its own settings."""
    variant: str = ""
    """The name of a model beside the service's own: it distinguishes two processes of one service."""

    @property
    def name(self) -> str:
        """The name of its process, its log and its row in tables: `intent`, or `intent.hr` for a variant."""
        return f"{self.service}.{self.variant}" if self.variant else self.service

    def group_name(self, model: str | None) -> str | None:
        """Return its consumer group, without the prefix, where it serves this model; None where it has none."""
        return self.group.format(model=model) if self.group else None

    @property
    def program(self) -> str:
        """The name of its entry point."""
        return program_of(self.service)

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that configure its program for its task and model."""
        prefix = section_prefix(self.program)
        task = {f"{prefix}TASK": self.service} if self.program == CLASSIFY else {}
        if self.model is None:
            return task
        return task | {f"{prefix}ARTEFACT": str(self.model.folder), f"{prefix}MODEL": self.model.name}

    @property
    def distribution(self) -> str:
        """The name of its distribution for `pip install`."""
        return f"sprat-{self.program}"

    @property
    def is_installed(self) -> bool:
        """Whether an installed distribution declares the service."""
        return plugins.find(plugins.SERVICES, self.program) is not None

    @property
    def module(self) -> str:
        """The package that `python -m` runs.

        Raises:
            UserError: the service is not installed.
        """
        entry = plugins.find(plugins.SERVICES, self.program)
        if entry is None:
            raise UserError(
                f"the service {self.service} is not installed: pip install --find-links dist {self.distribution}"
            )
        return entry.value


SIMULATOR = "simulator"
FRONTIER = "frontier"
GUARDIAN = "guardian"
GATEWAY = "gateway"

ON_REQUEST = tuple(name for name, task in OWN_TASKS.items() if task.on_request)
"""Tasks whose service an installation runs only where it is named."""

SERVICES = (
    ServiceSpec(
        SIMULATOR,
        essential=True,
        needs_kafka=False,
        port_variable="SPRAT_SIMULATOR_PORT",
        ready_path="/healthz",
    ),
    ServiceSpec("router", "router", essential=True),
    *(ServiceSpec(name, f"{name}.{{model}}", on_request=task.on_request) for name, task in OWN_TASKS.items()),
    ServiceSpec(FRONTIER, "frontier", essential=True),
    # Nothing is reviewed unless the policy says so.
    ServiceSpec(GUARDIAN, "guardian", on_request=True),
    # No group: each reads all Results by itself.
    ServiceSpec(GATEWAY, on_request=True),
)


def task_service(task: str) -> ServiceSpec:
    """Return the service of a task from a file."""
    return ServiceSpec(task, f"{task}.{{model}}")


def instance_name(service: str, instance: int) -> str:
    """Return the name of a service's n-th process: the first has the service's own. No model's name can hold a `#`."""
    return service if instance == 1 else f"{service}#{instance}"
