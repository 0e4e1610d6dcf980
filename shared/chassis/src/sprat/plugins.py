"""Entry points: the only way in which tools reach services. No tool names a service's module.

A service's pyproject declares what tools may use of it, by its name:

| group             | value                                                    |
|-------------------|----------------------------------------------------------|
| `sprat.services`  | the package, run as `python -m PACKAGE`                  |
| `sprat.models`    | the class of its model, with `load(folder, threads=1)`   |
| `sprat.settings`  | the class of its settings                                |
| `sprat.handlers`  | the class of its handler                                 |
| `sprat.providers` | what asks a large model, for `sprat assess --frontier`   |
"""

from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from sprat.errors import UserError

SERVICES: Final = "sprat.services"
MODELS: Final = "sprat.models"
SETTINGS: Final = "sprat.settings"
HANDLERS: Final = "sprat.handlers"
PROVIDERS: Final = "sprat.providers"


def find(group: str, name: str) -> EntryPoint | None:
    """Return an entry point without importing it; None where no installed distribution declares it."""
    return next(iter(entry_points(group=group, name=name)), None)


def load(group: str, name: str) -> Any:
    """Import what an entry point names.

    Raises:
        UserError: no installed distribution declares it.
    """
    found = find(group, name)
    if found is None:
        raise UserError(f"the {name} service is not installed here: pip install sprat-{name}")
    return found.load()
