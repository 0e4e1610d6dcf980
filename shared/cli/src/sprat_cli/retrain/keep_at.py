"""At which `keep_at` two versions are compared, and which to write for the new one once it replaces the served one."""

from dataclasses import dataclass
from typing import Literal

from sprat.model import DEFAULT_MODEL
from sprat_cli.chosen_policy import chosen_policy
from sprat_cli.retrain.corrections import AskedModel
from sprat_cli.which_keep_at import CardKeepAt, KeepAtAdvice, keep_at_advice
from sprat_inference.card import Card
from sprat_policy import TaskFile, TaskPolicy, keep_at_location, load_policy


@dataclass(frozen=True, slots=True)
class ComparedAt:
    """The one `keep_at` at which both versions are compared: else one would keep more by its threshold alone."""

    keep_at: float
    origin: Literal["in_force", "served_card", "new_card"]
    said: str
    """Whose it is, as "the one in force (FILE)"."""

    def __str__(self) -> str:
        return f"keep_at {self.keep_at:.2f}"

    def is_of(self, card: Card) -> bool:
        """Return whether it is the one of a card, as both are printed."""
        return f"{self.keep_at:.2f}" == f"{card.keep_at:.2f}"


def compared_at(asked: AskedModel, file: TaskFile | None, served: Card, new: Card) -> ComparedAt:
    """Return at which `keep_at` both versions are compared: the one in force, else that of the served version's card.

    Where nothing is kept at that one, it is that of the new version: no version would keep anything.

    Args:
        asked: the model, as texts ask for it.
        file: of the task; None for the task `intent`.
        served: the card of the served version.
        new: the card of the new one.

    Raises:
        UserError: the policy cannot be read.
    """
    rules, place = in_force(asked, file)
    if rules is None:
        found = ComparedAt(
            served.keep_at, "served_card", "that of the card of the served version, as no policy is known"
        )
    else:
        found = ComparedAt(rules.keep_at, "in_force", f"the one in force ({place})")
    if found.keep_at < 1.0:
        return found
    return ComparedAt(
        new.keep_at, "new_card", f"that of the new version: at {found.keep_at:.2f}, {found.said}, nothing is kept"
    )


def advice_for_new(asked: AskedModel, file: TaskFile | None, new: Card) -> KeepAtAdvice | None:
    """Return what to do about the `keep_at` of a new version; None where its own is in force already.

    What is in force is that of the task's file, or of the policy of SPRAT_POLICY; without one it is not known.

    Args:
        asked: the model, as texts ask for it.
        file: of the task; None for the task `intent`.
        new: the card of the new version.

    Raises:
        UserError: the policy cannot be read.
    """
    rules, place = in_force(asked, file)
    return keep_at_advice(None if rules is None else rules.keep_at, CardKeepAt.of(new), place)


def in_force(asked: AskedModel, file: TaskFile | None) -> tuple[TaskPolicy | None, str]:
    """Return the rules whose `keep_at` is in force, None where no policy is known, and the place of that keep_at.

    Args:
        asked: the model, as texts ask for it.
        file: of the task; None for the task `intent`.

    Raises:
        UserError: the policy cannot be read.
    """
    name = None if asked.name == DEFAULT_MODEL else asked.name
    if file is not None:
        place = f"{'.'.join(keep_at_location(None, name))} in the file of the task {asked.task}"
        return (file if name is None else file.of(name)), place
    policy = chosen_policy(None)
    rules = None if policy is None else load_policy(policy).task(asked.task, asked.name)
    return rules, f"{'.'.join(keep_at_location(asked.task, name))} in {policy or 'your policy file'}"
