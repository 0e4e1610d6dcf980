"""The `keep_at` that holds for a model of the user's own, beside the one that its card recommends."""

from dataclasses import dataclass
from pathlib import Path

from sprat.errors import UserError
from sprat_cli.which_keep_at import CardKeepAt, is_assessed, keep_at_advice, place_of_keep_at, written_name
from sprat_inference.artefact import BrokenArtefact, load_artefact
from sprat_local.options import Options
from sprat_operations.services import ServedModel
from sprat_policy import load_policy


@dataclass(frozen=True, slots=True)
class KeepAtInForce:
    """The `keep_at` of a model, as the policy or the file of its task says it."""

    keep_at: float
    place: str
    """Where one for this model alone is written."""
    is_own: bool
    """Whether it was written for this model alone."""
    is_assessed: bool
    """Whether `sprat assess` takes this model."""

    def advice(self, folder: Path, router: float | None = None) -> str | None:
        """Return which one to write for the model in a folder; None where its card recommends what is in force.

        Args:
            folder: of the model.
            router: what the router read when it started; None: this.
        """
        try:
            card = load_artefact(folder).card
        except BrokenArtefact:  # the service that reads it has said so
            return None
        found = keep_at_advice(
            self.keep_at, CardKeepAt.of(card), self.place, may_be_shown=self.is_own, assessed=self.is_assessed
        )
        if router is None or f"{router:.2f}" == f"{self.keep_at:.2f}":
            return None if found is None else found.said
        its = f"{self.keep_at:.2f}, the card's keep_at, is written under {self.place}"
        said = its if found is None else found.said
        return f"{said}; the router has {router:.2f} until `sprat up` is stopped and started again"


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
            place_of_keep_at(model.task, written_name(policy, model.task, model.name), files),
            policy.sets_keep_at(model.task, model.name),
            is_assessed(model.task, files),
        )
        for model in options.models
        if model.task in policy.task_names
    }
