"""Which folders are served under which names, and what the policy asks of their answers."""

import math
from dataclasses import dataclass
from pathlib import Path

from sprat.base.model import DEFAULT_MODEL, display_name
from sprat_operations import local_run
from sprat_operations.chosen_policy import chosen_policy, chosen_tasks, tasks_beside
from sprat_policy import TaskFiles, TaskRules, load_policy
from sprat_training.evaluation.decision import Goal


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
