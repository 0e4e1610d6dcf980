"""A small model that is evaluated: that of a folder, or the one that the labels of a task alone make."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from sprat.base import plugins
from sprat.base.errors import UserError
from sprat.base.thresholds import THRESHOLDS
from sprat_contracts import BUILT_IN
from sprat_encoder.zero_shot import load_zero_shot
from sprat_inference.artefact import BrokenArtefact, load_artefact
from sprat_inference.card import Card
from sprat_inference.label_sets import MULTI_LABEL
from sprat_policy import TaskFile
from sprat_training.datasets.record import TrainingRecord, read_record

_THREADS: Final = 2
_CLASSIFY: Final = "classify"
_INTENT: Final = "intent"


@dataclass(frozen=True, slots=True)
class SmallModel:
    """A model that can be loaded."""

    task: str
    """That it is evaluated for: the one of its card, or of the file that names it."""
    name: str
    """Of its folder; without one, of its task."""
    card: Card
    folder: Path | None
    """Its artefact; None where the labels of its task alone make it."""
    thresholds: Path
    """Where its thresholds are written. Until that file is there, those in its folder hold."""
    load: Callable[[], Any]
    """Loads it. Raises UserError where it cannot be loaded, or where the service that serves it is not installed."""

    @property
    def thresholds_now(self) -> Path:
        """Return the file of thresholds that holds now; it may not be there."""
        return self.thresholds if self.folder is None or self.thresholds.exists() else self.folder / THRESHOLDS

    def check_version(self) -> None:
        """Check that its folder still holds this version: it may have been promoted, or trained again.

        Raises:
            UserError: it holds another one, or none that can be read.
        """
        if self.folder is None:
            return
        try:
            version = load_artefact(self.folder).card.version
        except BrokenArtefact as error:
            raise UserError(f"{error}; nothing was written") from None
        if version != self.card.version:
            raise UserError(
                f"{self.folder}: holds version {version} now, not {self.card.version} that was evaluated; nothing was "
                "written: evaluate again"
            )

    def record(self) -> TrainingRecord | None:
        """Return what it was trained on; None where that is not known, or nothing.

        Raises:
            UserError: the record cannot be read.
        """
        return None if self.folder is None else read_record(self.folder)


def model_of_folder(folder: Path, task: str | None = None) -> SmallModel:
    """Return the model of an artefact.

    Args:
        folder: of the artefact.
        task: whose file names it; None: the one of its card.

    Raises:
        UserError: the artefact cannot be read.
    """
    try:
        card = load_artefact(folder).card
    except BrokenArtefact as error:
        raise UserError(str(error)) from None
    name = folder.resolve().name
    return SmallModel(task or card.task, name, card, folder, folder / THRESHOLDS, partial(_load, folder, card))


def model_of_labels(task: str, file: TaskFile, thresholds: Path) -> SmallModel:
    """Return the model that the labels of a task make: the nearest of them.

    Args:
        task: name of the task.
        file: what its file says.
        thresholds: where they are written.

    Raises:
        UserError: no small model answers the task.
    """
    if file.kind != "classification":
        raise UserError(
            f"the task {task} has no small model: its file names no `artefact`, and labels alone make one for the kind "
            f"classification only, not for {file.kind}"
        )
    try:
        model = load_zero_shot(task, file.labels, file.languages, threads=_THREADS)
    except BrokenArtefact as error:
        raise UserError(f"the task {task}: {error}") from None
    return SmallModel(task, task, model.card, None, thresholds, lambda: model)


def _load(folder: Path, card: Card) -> Any:
    service = card.task if card.task in BUILT_IN else _CLASSIFY if card.kind == MULTI_LABEL else _INTENT
    try:
        return plugins.load_specialist(service).load(folder, threads=_THREADS)
    except BrokenArtefact as error:
        raise UserError(str(error)) from None
