"""`TaskTable`: the tasks of an installation, each with the form of its output."""

from collections.abc import Iterator, Mapping
from typing import Final

from sprat_contracts.base import TASK_NAME
from sprat_contracts.predictions import OUTPUTS, Output

RESERVED: Final = frozenset(
    {
        *("upstream", "router", "frontier", "consumer", "reviewer", "auditor", "operator", "door", "page"),
        *("all", "classify", "gateway", "guardian", "kafka", "redis", "simulator"),
    }
)
"""What no added task can be called: the roles of Kafka's users, and the services and processes of an installation."""


class TaskTable(Mapping[str, type[Output]]):
    """Name of a task → form of its output: the tasks of this version first, then those that an installation adds.

    Immutable and hashable.

    Raises:
        ValueError: an added task has the name of one of this version or a reserved one, or no name of a task.
    """

    __slots__ = ("_forms",)

    def __init__(self, added: Mapping[str, type[Output]] | None = None) -> None:
        own = dict(added or {})
        for name in own:
            if name in OUTPUTS or name in RESERVED or not TASK_NAME.fullmatch(name):
                raise ValueError(f"{name!r} cannot be the name of an added task")
        self._forms: dict[str, type[Output]] = {**OUTPUTS, **own}

    @property
    def added(self) -> tuple[str, ...]:
        """The names of the tasks that are not of this version."""
        return tuple(name for name in self._forms if name not in OUTPUTS)

    def __getitem__(self, name: str) -> type[Output]:
        """Return the form of a task's output."""
        return self._forms[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._forms)

    def __len__(self) -> int:
        """Return how many tasks there are."""
        return len(self._forms)

    def __hash__(self) -> int:
        """Return a hash of names and forms."""
        return hash(tuple(self._forms.items()))


BUILT_IN: Final = TaskTable()
"""The tasks of this version alone."""
