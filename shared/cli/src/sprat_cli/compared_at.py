"""At which `keep_at` a new version is compared with the served one."""

from dataclasses import dataclass
from typing import Any, Literal

from sprat_cli.keep_at_in_force import in_force
from sprat_inference.card import Card
from sprat_policy import TaskFiles


@dataclass(frozen=True, slots=True)
class ComparedAt:
    """The `keep_at` at which both versions are compared, one for both: else one would keep more by that alone."""

    keep_at: float
    origin: Literal["in_force", "served_card", "new_card", "given"]
    said: str
    """Whose it is, as "the one in force (FILE)"."""
    of_version: str | None = None
    """Another version than the served one for which `sprat assess` found it; None where none is known."""

    of_new: float | None = None
    """At which the new version is compared; None: at the same."""

    @property
    def lower(self) -> float:
        """Return the lower one of the numbers at which both versions are compared."""
        return self.keep_at if self.of_new is None else min(self.keep_at, self.of_new)

    def __str__(self) -> str:
        of_new = "" if self.of_new is None else f", NEW at {self.of_new:.2f}"
        return f"keep_at {self.keep_at:.2f}{of_new}"

    @property
    def as_json(self) -> dict[str, Any]:
        """Return its fields for `--json`."""
        own = {} if self.of_new is None else {"new_keep_at": self.of_new}
        return {"keep_at": self.keep_at, "origin": self.origin, **own}

    def is_of(self, card: Card) -> bool:
        """Return whether it is the one of a card, as both are printed."""
        return f"{self.keep_at:.2f}" == f"{card.keep_at:.2f}"

    def raised_by(self, new: Card) -> float | None:
        """Return the `keep_at` of the new version's card, if it is higher: that is written once it is served.

        A lower one is not returned: the new version would keep more by that alone.
        """
        return new.keep_at if f"{new.keep_at:.2f}" > f"{self.keep_at:.2f}" else None


def compared_at(task: str, name: str, files: TaskFiles, served: Card, new: Card) -> ComparedAt:
    """Return at which `keep_at` both versions are compared: the one in force, else that of the served version's card.

    Where that one is 1, at which nothing is kept, it is that of the new version.

    Args:
        task: name of the task.
        name: of the model, as texts ask for it.
        files: the tasks that have a file.
        served: the card of the served version.
        new: the card of the new one.

    Raises:
        UserError: the policy cannot be read.
    """
    held, place = in_force(task, name, files)
    if held is None:
        found = ComparedAt(
            served.keep_at, "served_card", "that of the card of the served version, as no policy is known"
        )
    else:
        source = held.source_for(served.version)
        other = None if source is None or source.accuracy is None else source.version
        if other == served.version or f"{held.value:.2f}" == f"{served.keep_at:.2f}":
            other = None
        of_other = "" if other is None else f", found for version {other}, not for the served one"
        found = ComparedAt(held.value, "in_force", f"the one in force ({place}{of_other})", other)
    if found.keep_at < 1.0:
        return found
    return ComparedAt(
        new.keep_at, "new_card", f"that of the new version: at {found.keep_at:.2f}, {found.said}, nothing is kept"
    )
