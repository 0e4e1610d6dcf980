"""The small model that is assessed: that of a folder, or the one that the labels of a task alone make."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sprat import plugins
from sprat.errors import UserError
from sprat_cli.chosen_policy import tasks_beside
from sprat_cli.terminal import remark
from sprat_encoder.zero_shot import load_zero_shot
from sprat_inference.artefact import BrokenArtefact, load_artefact
from sprat_inference.card import Card
from sprat_inference.label_sets import MULTI_LABEL
from sprat_operations.services import CLASSIFY
from sprat_policy import TaskFile, TaskFiles
from sprat_training.record import TrainingRecord, read_record


@dataclass(frozen=True, slots=True)
class SmallModel:
    """A model that can be loaded."""

    folder: Path | None
    """Its artefact; None where the labels of its task alone make it."""
    card: Card
    load: Callable[[], Any]
    """Loads it. Raises UserError where it cannot be loaded, or where the service that serves it is not installed."""

    @property
    def name(self) -> str:
        """Return what its report is called by: its folder, else its task."""
        return self.card.task if self.folder is None else self.folder.resolve().name

    def record(self) -> TrainingRecord | None:
        """Return what it was trained on; None where that is not known, or nothing.

        Raises:
            UserError: the record cannot be read.
        """
        return None if self.folder is None else read_record(self.folder)


def model_of_folder(folder: Path, threads: int, said: str = "--model: ") -> SmallModel:
    """Return the model of an artefact: one label a text, or several.

    Args:
        folder: of the artefact.
        threads: that run the model.
        said: how an error begins.

    Raises:
        UserError: the artefact cannot be read.
    """
    return SmallModel(folder, card_of(folder, said), partial(load_model, folder, threads, said))


def card_of(folder: Path, said: str = "--model: ") -> Card:
    """Return the card of the model of an artefact.

    Raises:
        UserError: the artefact cannot be read.
    """
    try:
        return load_artefact(folder).card
    except BrokenArtefact as error:
        raise UserError(f"{said}{error}") from None


def load_model(folder: Path, threads: int, said: str = "--model: ") -> Any:
    """Load the model of an artefact.

    Raises:
        UserError: it cannot be loaded, or the service that serves it is not installed.
    """
    model = plugins.load(plugins.MODELS, CLASSIFY if card_of(folder, said).kind == MULTI_LABEL else "intent")
    try:
        return model.load(folder, threads=threads)
    except BrokenArtefact as error:
        raise UserError(f"{said}{error}") from None


def model_of_task(task: str | None, policy: Path | None, threads: int) -> SmallModel:
    """Return the model that answers a task: the artefact that its file names, or else the nearest of its labels.

    Raises:
        UserError: no task is named, or no small model with labels answers it.
    """
    files = tasks_beside(policy) if task is not None else TaskFiles()
    if task is None or task not in files:
        raise UserError("name the model to assess: --model DIR; or --task NAME, a task with a file")
    artefact = files.artefact(task)
    if artefact is not None:
        return model_of_folder(artefact, threads)
    return _of_labels(task, files[task], threads)


def _of_labels(task: str, file: TaskFile, threads: int) -> SmallModel:
    if file.kind == "multi_label":
        raise UserError(
            f"the task {task} has no model (no `artefact` in its file), and where several labels may apply, their "
            "names alone make none: train one (sprat train multi-label FILE), and name its folder with --model"
        )
    if file.kind != "classification":
        raise UserError(f"the task {task} is of the kind {file.kind}: only answers that are labels are assessed")
    try:
        model = load_zero_shot(task, file.labels, file.languages, threads=threads)
    except BrokenArtefact as error:
        raise UserError(f"the task {task}: {error}") from None
    remark(f"the task {task} has no `artefact` in its file: the nearest of its labels is measured, which answers it")
    return SmallModel(None, model.card, lambda: model)
