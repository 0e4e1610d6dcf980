"""The `keep_at` that holds for each model, and for one of the user's own the one that its card recommends."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sprat.errors import UserError
from sprat.model import DEFAULT_MODEL
from sprat_cli.which_keep_at import OF_CARD, CardKeepAt, KeepAtInForce, is_assessed, keep_at_advice, place_of_keep_at
from sprat_inference.artefact import BrokenArtefact, load_artefact
from sprat_local.options import Options, choose_services, model_names
from sprat_operations.services import ServedModel
from sprat_policy import KeepAtSource, Policy, TaskFiles, load_policy


def _by(source: KeepAtSource) -> str:
    """Return in few words what wrote a number, and what is to be known of it."""
    if source.but == OF_CARD:
        return "its card's"
    return "provisional" if source.but.startswith("provisional") else "by sprat assess"


@dataclass(frozen=True, slots=True)
class WrittenKeepAt:
    """The `keep_at` of a model, as the policy or the file of its task says it."""

    in_force: KeepAtInForce
    place: str
    """Where one for this model alone is written."""
    is_assessed: bool
    """Whether `sprat assess` takes this model."""
    origin: str
    """Of the number, in few words."""
    by_language: Mapping[str, float]
    """Those of languages that have one of their own."""

    @property
    def languages(self) -> str:
        """Return the numbers of languages; empty where none has one."""
        return ", ".join(f"{language} {value:.2f}" for language, value in sorted(self.by_language.items()))

    def said(self, version: str) -> str:
        """Return the number for a version of this model, and where it comes from."""
        source = self.in_force.source_for(version)
        by = "" if source is None or source.version != version else f", {_by(source)}"
        return f"{self.in_force.value:.2f} ({'; '.join(filter(None, [f'{self.origin}{by}', self.languages]))})"

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
        whose = "the card's keep_at" if now == f"{card.value:.2f}" else "found by `sprat assess` for this version"
        said = f"{now}, {whose}, is written under {self.place}" if found is None else found.said
        return f"{said}; the router has {router:.2f} until `sprat up` is stopped and started again"


def keep_ats_in_force(options: Options) -> dict[ServedModel, WrittenKeepAt]:
    """Return the `keep_at` of each model of the user's own whose task has one.

    Empty where policy or task files cannot be read: the services that read them say so.
    """
    policy = _policy(options)
    if policy is None:
        return {}
    return {
        model: _written(policy, model.task, model.name, options.task_files)
        for model in options.models
        if model.task in policy.task_names
    }


def other_keep_ats(options: Options) -> str:
    """Return the `keep_at` of each model that runs and was not named by the user, by where it comes from.

    Empty where there is none, or where policy or task files cannot be read.
    """
    policy, names = _policy(options), model_names(options)
    found: dict[str, list[str]] = {}
    for spec in choose_services(options)[0]:
        if policy is None or spec.model is not None or spec.service not in policy.task_names:
            continue
        model = names[spec.service]
        held = _written(policy, spec.service, model, options.task_files)
        name = spec.service if model == DEFAULT_MODEL else f"{spec.service}/{model}"
        languages = f" ({held.languages})" if held.languages else ""
        found.setdefault(held.origin, []).append(f"{name} {held.in_force.value:.2f}{languages}")
    return "; ".join(f"{origin}: {', '.join(each)}" for origin, each in found.items())


def _policy(options: Options) -> Policy | None:
    """Return the policy with the tasks from files; None where it cannot be read."""
    files = options.task_files
    try:
        return load_policy(options.policy, files.table).with_added(files)
    except UserError:
        return None


def _written(policy: Policy, task: str, model: str, files: TaskFiles) -> WrittenKeepAt:
    held, rules = KeepAtInForce.of(policy, task, model), policy.task(task, model)
    origin = f"{task}.yaml" if task in files else "policy"
    if not held.is_own:
        origin = f"{origin}, for all of {task}" if "keep_at" in rules.model_fields_set else "built in"
    place = place_of_keep_at(task, held.name, files)
    return WrittenKeepAt(held, place, is_assessed(task, files), origin, rules.keep_at_by_language)
