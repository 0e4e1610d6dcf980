"""What `sprat assess --write` changes in a policy: the `keep_at` of the model that was assessed, and of no other."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sprat.errors import UserError
from sprat.model import DEFAULT_MODEL
from sprat_policy import keep_at_location, load_policy, set_keep_at

_TASK: Final = "intent"


@dataclass(frozen=True, slots=True)
class Written:
    """A number that was changed."""

    file: Path
    field: str
    now: float
    was: str | None
    """As it stood there; None where nothing did."""

    def __str__(self) -> str:
        return f"{self.file}: {self.field} is now {self.now:.2f}, was {self.was or 'not set'}; restart the router"

    @property
    def as_json(self) -> dict[str, Any]:
        """Give it for machines."""
        was = None if self.was is None else float(self.was)
        return {"file": str(self.file), "field": self.field, "now": self.now, "was": was}


def check_meant(policy: Path, model: str) -> None:
    """See that the task's own `keep_at` is that of the model, where a person did not say `--as`.

    It is where the model is the one that texts get without naming any, and the policy has no section for it.

    Args:
        policy: the file.
        model: the name on the model's card.

    Raises:
        UserError: it is that of other models, too, or not that of this one; it says what to write. Or the file is no
            policy.
    """
    own = model in load_policy(policy).tasks.intent.models
    if model == DEFAULT_MODEL and not own:
        return
    why = f"{policy} has a section for it" if own else f"{_place(None)} holds for the shipped model, too"
    said = f"--write: the model assessed is {model}, and {why}; add --as {model} to write {_place(model)}"
    if model != DEFAULT_MODEL:
        said += (
            f", or --as and the name that texts ask for it by; where it serves in the shipped one's place, "
            f"--as {DEFAULT_MODEL}"
        )
    raise UserError(said)


def write_keep_at(policy: Path, keep_at: float, name: str | None) -> Written:
    """Write it.

    Raises:
        UserError: see :func:`sprat.policy.editing.set_keep_at`.
    """
    return Written(policy, _place(name), keep_at, set_keep_at(policy, _TASK, keep_at, name))


def _place(name: str | None) -> str:
    return ".".join(keep_at_location(_TASK, name))
