"""Entry points: the only way in which tools reach services and optional packages. No tool names their modules.

The pyproject of a service declares, under the service's name, what tools may use of it; sprat-local declares the
commands and checks that it adds to the command line:

| group             | value                                                                 |
|-------------------|-----------------------------------------------------------------------|
| `sprat.services`  | the package, run as `python -m PACKAGE`; what a service with a small  |
|                   | model is, its `__main__` declares as `SERVICE`; another declares the  |
|                   | class of its settings as `SETTINGS`                                   |
| `sprat.providers` | what asks large models, for `sprat evaluate` and `sprat tiers`        |
| `sprat.commands`  | the function of a command of `sprat`, by its name                     |
| `sprat.checks`    | a function without arguments that yields checks of this machine       |
| `sprat.settings_checks` | a function that yields checks of a service's settings beside the policy |
"""

from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from sprat.base.errors import UserError

SERVICES: Final = "sprat.services"
PROVIDERS: Final = "sprat.providers"
COMMANDS: Final = "sprat.commands"
CHECKS: Final = "sprat.checks"
SETTINGS_CHECKS: Final = "sprat.settings_checks"


def find(group: str, name: str) -> EntryPoint | None:
    """Return an entry point without importing it; None where no installed distribution declares it."""
    return next(iter(entry_points(group=group, name=name)), None)


def find_all(group: str) -> tuple[EntryPoint, ...]:
    """Return every entry point of a group, by name, without importing any."""
    return tuple(sorted(entry_points(group=group), key=lambda entry: entry.name))


def load(group: str, name: str) -> Any:
    """Import what an entry point names.

    Raises:
        UserError: no installed distribution declares it.
    """
    return _found(group, name).load()


def load_specialist(name: str) -> Any:
    """Import a service with a small model and return its declaration, a `sprat_inference.serving.Specialist`.

    Raises:
        UserError: no installed distribution declares it.
    """
    return import_module(f"{_found(SERVICES, name).value}.__main__").SERVICE


def settings_type(service: EntryPoint) -> Any:
    """Import a service and return the class of its settings; None where it declares none, or cannot be imported."""
    try:
        main = import_module(f"{service.value}.__main__")
    except ImportError:
        return None
    return getattr(main, "SETTINGS", None) or getattr(getattr(main, "SERVICE", None), "settings", None)


def _found(group: str, name: str) -> EntryPoint:
    found = find(group, name)
    if found is None:
        raise UserError(f"the {name} service is not installed here: pip install --find-links dist sprat-{name}")
    return found
