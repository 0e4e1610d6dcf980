"""The task that a model is assessed for: what a large model is asked, and which of its tiers are for it."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from sprat.errors import UserError
from sprat_cli.chosen_policy import tasks_beside
from sprat_cli.terminal import remark
from sprat_policy import TaskFiles
from sprat_training.label_set_data import one_label

INTENT: Final = "intent"


@dataclass(frozen=True, slots=True)
class TaskOfModel:
    """The task, as the model has it."""

    name: str
    labels: tuple[str, ...]
    """Of the model."""
    several: bool
    """Whether a text may have several labels."""
    files: TaskFiles = field(default_factory=TaskFiles)
    """The file of the task; none for a task of Sprat itself."""

    def as_one_label(self, labels: Iterable[str], outside_label: str) -> str:
        """Return the labels that a large model gave as one; none as the label that means outside every label."""
        return one_label(labels, outside_label) if self.several else next(iter(labels), outside_label)


def asked_task(
    named: str | None, policy: Path | None, folder: Path, model: TaskOfModel, *, asks: bool = True
) -> TaskOfModel:
    """Return the task that a model is assessed for: the one named, else the one whose file names the model.

    Without such a file, a model that gives one label a text is asked about as `intent`.

    Args:
        named: the task that the user names.
        policy: the policy file, beside which the task files are; None: there is none.
        folder: the artefact of the model.
        model: its labels, as of the task `intent`.
        asks: whether a large model is asked; without, a model that no file names has no task.

    Raises:
        UserError: no file has the task, or it is not of the model's kind, or has other labels than the model.
    """
    if policy is None or (named == INTENT and not model.several):
        return model
    files = tasks_beside(policy)
    kind = "multi_label" if model.several else "classification"
    if named is None:
        found = [name for name in files if files[name].kind == kind and _is_of(files.artefact(name), folder)]
        if not found and not (model.several and asks):
            return model
        if len(found) != 1:
            what = f"the files of {' and '.join(found)} name" if found else "no file of a task names"
            raise UserError(
                f"{what} {folder} as its artefact, and what a large model is told stands in the file of the task: name "
                "the task with --task NAME"
            )
        named = found[0]
        remark(f"{'asked' if asks else 'measured'} as the task {named}, whose file names {folder}")
    if named not in files:
        known = ", ".join(files) or "none"
        raise UserError(f"--task {named}: there is no file of such a task; there are: {known} (SPRAT_TASKS)")
    if files[named].kind != kind:
        raise UserError(f"--task {named}: its kind is {files[named].kind}, and {folder} is a model for {kind}")
    if {*files[named].labels} != {*model.labels}:
        raise UserError(f"--task {named}: its file has other labels than {folder}; the service would not serve it")
    return replace(model, name=named, files=TaskFiles({named: files[named]}, files.folder))


def _is_of(artefact: Path | None, folder: Path) -> bool:
    return artefact is not None and artefact.resolve() == folder.resolve()
