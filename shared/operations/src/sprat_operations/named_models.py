"""The small model that a command means by a name, its folder, and what the policy asks of its answers."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from sprat.base import plugins
from sprat.base.errors import UserError
from sprat.base.model import DEFAULT_MODEL, display_name
from sprat_contracts import TASKS
from sprat_operations import local_run
from sprat_operations.chosen_policy import chosen_policy, chosen_tasks, tasks_beside
from sprat_policy import TaskFiles, TaskRules, load_policy
from sprat_training.evaluation.decision import Goal
from sprat_training.evaluation.models import SmallModel, model_of_folder, model_of_labels


@dataclass(frozen=True, slots=True)
class ServedFolder:
    """A folder, and the name by which texts ask for its model."""

    task: str
    model: str
    folder: Path
    policy: Path | None = None
    """The file that the router of a `sprat up` reads; None where that is not known."""

    @property
    def name(self) -> str:
        """Return the name as commands write it."""
        return display_name(self.task, self.model)


def served_folders(files: TaskFiles | None = None) -> list[ServedFolder]:
    """Return the folders of this user's `sprat up`, and those that task files name."""
    files = chosen_tasks() if files is None else files
    found = [
        ServedFolder(task, model or DEFAULT_MODEL, _from_here(Path(place)), Path(run.policy) if run.policy else None)
        for run in local_run.for_commands()
        for (task, _, model), place in ((name.partition("/"), place) for name, place in run.models.items())
    ]
    of_files = [ServedFolder(task, DEFAULT_MODEL, place) for task in files if (place := files.artefact(task))]
    known = {(each.task, each.model) for each in found}
    return [*found, *(each for each in of_files if (each.task, each.model) not in known)]


def goal_of(served: ServedFolder, recommended: float, given: Path | None = None) -> Goal:
    """Return what the policy asks of the answers of a model, over all languages.

    Args:
        served: the model.
        recommended: the goal where the policy names none.
        given: the policy; None: that of `SPRAT_POLICY`, else of the `sprat up` that serves the model.

    Raises:
        UserError: the policy or the file of a task cannot be read.
    """
    return next(iter(goals_of(served, recommended, given)))


def goals_of(served: ServedFolder, recommended: float, given: Path | None = None) -> list[Goal]:
    """Return what the policy asks over all languages, then what it asks in each language with rules of its own.

    Raises:
        UserError: as `goal_of`.
    """
    rules = _rules_of(served, given)
    if rules is None:
        return [Goal(recommended)]
    found = (rules.rule(served.model, language) for language in ("", *rules.named_languages(served.model)))
    return [
        Goal(
            recommended if rule.goal is None else rule.goal,
            rule.evidence,
            math.inf if rule.out_of_scope == "escalate" else rule.none_goal,
            rule.keep_at,
        )
        for rule in found
    ]


def _rules_of(served: ServedFolder, given: Path | None) -> TaskRules | None:
    """Return the rules of the policy for a task, else those of its own file; None where there are none."""
    files = chosen_tasks() if given is None else tasks_beside(given)
    path = chosen_policy(given) or served.policy
    if path is None:
        return files.get(served.task)
    policy = load_policy(path, files.table).with_added(files)
    return policy.task(served.task) if served.task in policy.task_names else None


def _from_here(folder: Path) -> Path:
    """Return a folder from the working folder, where it lies in it."""
    here = Path.cwd()
    return folder.relative_to(here) if folder.is_relative_to(here) else folder


@dataclass(frozen=True, slots=True)
class NamedModel:
    """A small model, and how it is served."""

    model: SmallModel
    served: ServedFolder
    is_shipped: bool = False
    """Whether its folder is one of an installed service, in which nothing is written."""


def named_model(word: str, files: TaskFiles) -> NamedModel:
    """Return the model that is meant.

    Args:
        word: a folder; or a name as `hr`, `intent/hr`, or a task's.
        files: the tasks from files.

    Raises:
        UserError: there is none of that name, or it cannot be read.
    """
    known = served_folders(files)
    folder = Path(word)
    if folder.is_dir():
        served = next((each for each in known if each.folder.resolve() == folder.resolve()), None)
        if served is not None:
            return _of(served, folder)
        shipped = next((each for each in _shipped() if each.folder.resolve() == folder.resolve()), None)
        if shipped is not None:
            return _of_shipped(shipped, files)
        model = model_of_folder(folder)
        return NamedModel(model, ServedFolder(model.task, model.card.name, folder))
    places = {each.folder.resolve(): each for each in known if word in _names(each)}
    if len(places) > 1:
        raise UserError(f"--model {word}: several are served by this name; name its folder, one of {_list(places)}")
    for served in places.values():
        return _of(served, served.folder)
    if word in files:
        model = model_of_labels(word, files[word], files.thresholds(word))
        return NamedModel(model, ServedFolder(word, DEFAULT_MODEL, files.folder or Path()))
    for shipped in _shipped():
        if word in _names(shipped):
            return _of_shipped(shipped, files)
    names = dict.fromkeys([*(f"{each.task}/{each.model}" for each in (*known, *_shipped())), *files])
    raise UserError(f"{word}: no folder, and no model that is served or shipped here has this name: {', '.join(names)}")


def _of(served: ServedFolder, folder: Path) -> NamedModel:
    return NamedModel(model_of_folder(folder, served.task), served)


def _of_shipped(shipped: ServedFolder, files: TaskFiles) -> NamedModel:
    """Return a shipped model; its owner's thresholds stand beside those of tasks, as nothing is written into wheels."""
    model = model_of_folder(shipped.folder, shipped.task)
    own = "" if shipped.model in {DEFAULT_MODEL, "en-de"} else f".{shipped.model}"
    path = files.thresholds(f"{shipped.task}{own}")
    return NamedModel(replace(model, thresholds=path), shipped, is_shipped=True)


def _names(served: ServedFolder) -> set[str]:
    names = {served.name, f"{served.task}/{served.model}"}
    return names if served.model == DEFAULT_MODEL else {*names, served.model}


def _list(places: dict[Path, ServedFolder]) -> str:
    return ", ".join(map(str, places))


def _shipped() -> Iterator[ServedFolder]:
    """Yield the models of the installed services."""
    for task in TASKS:
        entry = plugins.find(plugins.SERVICES, task)
        found = None if entry is None else find_spec(entry.value)
        for place in (found.submodule_search_locations or ()) if found is not None else ():
            for card in sorted(Path(place).glob("artefacts/*/card.json")):
                yield ServedFolder(task, card.parent.name, card.parent)
