"""The `keep_at` that holds for a model of the user's own, beside the one that its card recommends."""

from dataclasses import dataclass
from pathlib import Path

from sprat.errors import UserError
from sprat_cli.which_keep_at import CardKeepAt, KeepAtInForce, is_assessed, keep_at_advice, place_of_keep_at
from sprat_inference.artefact import BrokenArtefact, load_artefact
from sprat_local.options import Options
from sprat_operations.services import ServedModel
from sprat_policy import load_policy


@dataclass(frozen=True, slots=True)
class WrittenKeepAt:
    """The `keep_at` of a model, as the policy or the file of its task says it."""

    in_force: KeepAtInForce
    place: str
    """Where one for this model alone is written."""
    is_assessed: bool
    """Whether `sprat assess` takes this model."""

    def is_chosen_for(self, version: str) -> bool:
        """Return whether it was written for this model, and not by `sprat assess` for another version."""
        source = self.in_force.source_for(version)
        return self.in_force.is_own and (source is None or source.version == version)

    def advice(self, folder: Path, router: float | None = None) -> str | None:
        """Return which one to write for the model in a folder; None where what is in force holds for it.

        Args:
            folder: of the model.
            router: what the router read when it started; None: this.
        """
        try:
            card = CardKeepAt.of(load_artefact(folder).card, folder=folder)
        except BrokenArtefact:  # the service that reads it has said so
            return None
        now = f"{self.in_force.value:.2f}"
        found = keep_at_advice(self.in_force, card, self.place, assessed=self.is_assessed)
        if router is None or f"{router:.2f}" == now:
            return None if found is None else found.said
        whose = "the card's keep_at" if now == f"{card.value:.2f}" else "shown by `sprat assess` for this version"
        said = f"{now}, {whose}, is written under {self.place}" if found is None else found.said
        return f"{said}; the router has {router:.2f} until `sprat up` is stopped and started again"


def keep_ats_in_force(options: Options) -> dict[ServedModel, WrittenKeepAt]:
    """Return the `keep_at` of each model of the user's own whose task has one.

    Empty where policy or task files cannot be read: the services that read them say so.
    """
    files = options.task_files
    try:
        policy = load_policy(options.policy, files.table).with_added(files)
    except UserError:
        return {}
    found = {
        model: KeepAtInForce.of(policy, model.task, model.name)
        for model in options.models
        if model.task in policy.task_names
    }
    return {
        model: WrittenKeepAt(held, place_of_keep_at(model.task, held.name, files), is_assessed(model.task, files))
        for model, held in found.items()
    }
