"""The `keep_at` that holds for a model of the user's own, beside the one that its card recommends."""

from dataclasses import dataclass
from pathlib import Path

from sprat.errors import UserError
from sprat_inference.artefact import BrokenArtefact, load_artefact
from sprat_local.options import Options
from sprat_operations.services import ServedModel
from sprat_policy import keep_at_location, load_policy


@dataclass(frozen=True, slots=True)
class KeepAtInForce:
    """The `keep_at` of a model, as the router read it when it started."""

    keep_at: float
    whose: str
    """Where it stands: "policy" or "task"."""
    place: str
    """Where one for this model alone is written."""
    is_own: bool
    """Whether it was written for this model alone."""

    def unlike_card(self, folder: Path) -> str | None:
        """Return what to say where the card of the model in a folder recommends another one; None where it does not."""
        try:
            recommended = load_artefact(folder).card.keep_at
        except BrokenArtefact:  # the service that reads it has said so
            return None
        if f"{self.keep_at:.2f}" == f"{recommended:.2f}":
            return None
        said = f"the {self.whose}'s keep_at {self.keep_at:.2f} holds; its card recommends {recommended:.2f}"
        if self.is_own:
            return f"{said}: `sprat assess` on new texts says which one to write under {self.place}"
        return f"{said}: write it under {self.place}"


def keep_ats_in_force(options: Options) -> dict[ServedModel, KeepAtInForce]:
    """Return the `keep_at` of each model of the user's own whose task has one.

    Empty where policy or task files cannot be read: the services that read them say so.
    """
    files = options.task_files
    try:
        policy = load_policy(options.policy, files.table).with_added(files)
    except UserError:
        return {}
    return {
        model: KeepAtInForce(
            policy.task(model.task, model.name).keep_at,
            "task" if model.task in files else "policy",
            _place(options, model),
            policy.sets_keep_at(model.task, model.name),
        )
        for model in options.models
        if model.task in policy.task_names
    }


def _place(options: Options, model: ServedModel) -> str:
    files = options.task_files
    in_file = model.task in files
    field = ".".join(keep_at_location(None if in_file else model.task, model.name)[:-1])
    return f"{field} in {(files.folder or Path()) / model.task}.yaml" if in_file else field
