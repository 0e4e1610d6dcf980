"""The task that a model is assessed for: what a large model is asked, and which of its tiers are for it."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from sprat.errors import UserError
from sprat_cli.chosen_policy import tasks_beside
from sprat_cli.terminal import remark
from sprat_contracts import TASKS
from sprat_inference.label_sets import MULTI_LABEL
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
    is_beside: bool = False
    """Whether the file names another model as its artefact, or none: this one is served beside it, by its own name."""

    def as_one_label(self, labels: Iterable[str], outside_label: str) -> str:
        """Return the labels that a large model gave as one; none as the label that means outside every label."""
        return one_label(labels, outside_label) if self.several else next(iter(labels), outside_label)


def asked_task(
    named: str | None,
    policy: Path | None,
    folder: Path | None,
    model: TaskOfModel,
    *,
    of_card: str = INTENT,
    asks: bool = True,
    writes: bool = False,
) -> TaskOfModel:
    """Return the task that a model is assessed for, and say which it is where it is one from a file.

    It is the one named, else the one whose file names the model as its artefact, else the one on the model's card. A
    trained model has no task of a file on its card: one that gives one label a text is then assessed as `intent`.

    Args:
        named: the task that the user names.
        policy: the policy file, beside which the task files are; None: there is none, they are beside the folder here.
        folder: the artefact of the model; None: the labels of the named task alone make it.
        model: its labels, as of the task `intent`.
        of_card: the task on its card.
        asks: whether a large model is asked.
        writes: whether something found for the task is written.

    Raises:
        UserError: no file has the task, or it is not of the model's kind, or has other labels than the model; or
            something is to be written for another task than that of the card.
    """
    stated = None if of_card in {*TASKS, MULTI_LABEL} else of_card
    done = "asked" if asks else "measured"
    if named == INTENT and not model.several:
        _check_card(named, stated, folder, writes=writes)
        return model
    if named is None and stated is None and policy is None:
        return model
    files = tasks_beside(policy)
    if named is not None:
        task, of, how = named, f"--task {named}", ""
    elif found := _named_by_file(files, folder, model):
        task, of, how = found, f"the task {found}", f", whose file names {folder}"
    elif stated is not None:
        task, of, how = stated, f"the task {stated}, that of the card of {folder}", f", that of the card of {folder}"
        if stated not in files and not (asks or writes):
            remark(f"{done} as the task {task}{how}; there is no file of it")
            return replace(model, name=stated)
    elif model.several and asks:
        raise _not_named(f"no file of a task names {folder}")
    else:
        return model
    own = _check_fits(of, files, task, folder, model)
    if not own:
        _check_card(task, stated, folder, writes=writes)
    remark(f"{done} as the task {task}{how}")
    return replace(model, name=task, files=TaskFiles({task: files[task]}, files.folder), is_beside=not own)


def _named_by_file(files: TaskFiles, folder: Path | None, model: TaskOfModel) -> str | None:
    """Return the task of the model's kind whose file names the model as its artefact; None where none does.

    Raises:
        UserError: several do.
    """
    found = [name for name in files if files[name].kind == _kind(model) and _is_of(files.artefact(name), folder)]
    if len(found) > 1:
        raise _not_named(f"the files of {' and '.join(found)} name {folder}")
    return found[0] if found else None


def _not_named(what: str) -> UserError:
    return UserError(
        f"{what} as its artefact, and what a large model is told stands in the file of the task: name the task with "
        "--task NAME"
    )


def _check_fits(of: str, files: TaskFiles, task: str, folder: Path | None, model: TaskOfModel) -> bool:
    """Check that there is a file of the task which fits the model; return whether it names the model as its artefact.

    Args:
        of: the task, as the message calls it.
        files: those of the tasks.
        task: its name.
        folder: the artefact of the model; None: the labels of the task alone make it.
        model: its labels.

    Raises:
        UserError: there is none, or it does not fit.
    """
    if task not in files:
        known = ", ".join(files) or "none"
        raise UserError(f"{of}: there is no file of such a task; there are: {known} (SPRAT_TASKS)")
    if files[task].kind != _kind(model):
        raise UserError(f"{of}: its kind is {files[task].kind}, and {folder} is a model for {_kind(model)}")
    if {*files[task].labels} != {*model.labels}:
        raise UserError(f"{of}: its file has other labels than {folder}; the service would not serve it")
    return _is_of(files.artefact(task), folder)


def _check_card(task: str, stated: str | None, folder: Path | None, *, writes: bool) -> None:
    """Check that nothing is written for another task than that of the card; say so where nothing is to be written.

    Raises:
        UserError: something is to be written.
    """
    if stated in {None, task}:
        return
    differs = f"--task {task}: the card of {folder} says that the model is for the task {stated}"
    if writes:
        raise UserError(f"{differs}; nothing is written for another one: leave --task out, or name --task {stated}")
    remark(differs)


def _kind(model: TaskOfModel) -> str:
    return "multi_label" if model.several else "classification"


def _is_of(artefact: Path | None, folder: Path | None) -> bool:
    if artefact is None or folder is None:
        return artefact is folder
    return artefact.resolve() == folder.resolve()
