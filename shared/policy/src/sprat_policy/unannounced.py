"""Names of models in a policy that nobody announces: a typo there changes nothing, and nobody would say so."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from sprat_contracts import ModelAnnounced
from sprat_policy.rules import Policy, TaskPolicies


@dataclass(frozen=True, slots=True)
class Unannounced:
    """A section of the policy for a model that is not there."""

    task: str
    model: str
    meant: str | None
    """The likeliest of the task's models that are announced and have no section."""

    @property
    def place(self) -> str:
        """Give where it stands in the file."""
        return f"tasks.{self.task}.models.{self.model}"

    def __str__(self) -> str:
        return f"{self.place} (did you mean {self.meant}?)" if self.meant else self.place


def unannounced(policy: Policy, announced: Iterable[ModelAnnounced]) -> tuple[Unannounced, ...]:
    """Give the models that the policy names and nobody announces, in the file's order."""
    there = {(each.task, each.model) for each in announced}
    found = []
    for task in TaskPolicies.model_fields:
        named = getattr(policy.tasks, task).models
        free = sorted(model for of, model in there if of == task and model not in named)
        found += [Unannounced(task, name, _meant(name, free)) for name in named if (task, name) not in there]
    return tuple(found)


def _meant(name: str, among: Iterable[str]) -> str | None:
    by_lower = {each.lower(): each for each in among}
    close = get_close_matches(name.lower(), by_lower, n=1)
    return by_lower[close[0]] if close else None
