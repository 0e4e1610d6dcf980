"""The classification service: any task with labels, from its file."""

from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from sprat.base.errors import UserError
from sprat.base.thresholds import THRESHOLDS, ThresholdsFile
from sprat_encoder.label_set_model import TaskModel, load_task_model
from sprat_encoder.networks import NETWORKS
from sprat_encoder.zero_shot import default_thresholds, load_zero_shot
from sprat_inference.artefact import BrokenArtefact
from sprat_inference.card import Card, SpecialistModel
from sprat_inference.label_sets import MULTI_LABEL
from sprat_inference.serving import ModelSection, Specialist, find_thresholds_file
from sprat_inference.specialist import SpecialistHandler
from sprat_policy import PrivacyPolicy, TaskFile, TaskSettings, check_model_fits, load_policy


class ClassifySection(ModelSection):
    """The settings `SPRAT_CLASSIFY__…`."""

    task: Annotated[str | None, Field(description="The task that it answers: the name of its file.")] = None
    artefact: Annotated[Path | None, Field(description="Folder of the model. Default: the one of the task's file.")] = (
        None
    )
    thresholds: Annotated[
        Path | None,
        Field(
            description="File of its thresholds. Default: `thresholds.json` in the model's folder; without one, "
            "`thresholds/TASK.json` beside the task's file."
        ),
    ] = None


class ClassifySettings(TaskSettings):
    """All settings of the service."""

    classify: ClassifySection = ClassifySection()

    @property
    def task_file(self) -> TaskFile:
        """The file of its task.

        Raises:
            UserError: no task is named, or it has no file.
        """
        return self.task_files[self.task]

    @property
    def task(self) -> str:
        """The name of its task.

        Raises:
            UserError: as `task_file`.
        """
        task, files = self.classify.task, self.task_files
        if task is not None and task in files:
            if files[task].kind == "text":
                raise UserError(f"SPRAT_CLASSIFY__TASK: the task {task} has no labels: a large model alone answers it")
            return task
        known = f"known are {', '.join(files)}" if files else "there is no task file: `sprat task init` writes one"
        near = get_close_matches(task or "", files, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        named = f"there is no task file of the name {task!r}" if task else "it names no task"
        raise UserError(f"SPRAT_CLASSIFY__TASK: {named}; {hint}{known}")

    @property
    def artefact(self) -> Path | None:
        """The folder of its model; None where neither setting nor file names one.

        Raises:
            UserError: as `task_file`.
        """
        return self.classify.artefact or self.task_files.artefact(self.task)


class ClassifyService(Specialist[TaskModel]):
    """The service of any task from a file; its process bears the name of the task."""

    def settings_type(self) -> type[ClassifySettings]:
        """Return the class of the settings."""
        return ClassifySettings

    def process_name(self, settings: ClassifySettings) -> str:
        """Return the name of the task.

        Raises:
            UserError: the settings name none, or it has no file.
        """
        return settings.task

    def model_of(self, settings: ClassifySettings) -> SpecialistModel:
        """Load the model of the task; without one, make one of the names of its labels and what they mean.

        Raises:
            UserError: as `task_file`, or the model cannot be used for the task.
        """
        task, file, threads = settings.task, settings.task_file, settings.classify.threads
        if file.kind == "pii":
            return _pii_model(settings, task, file, threads)
        if settings.artefact is not None:
            return for_task(self.load_named(settings.artefact, threads), task, file)
        if file.kind == "multi_label":
            raise UserError(
                f"the task {task} has no model, and where several labels may apply, their names alone make none: train "
                "one (sprat train multi-label) and name its folder as `artefact`; until then, the frontier answers"
            )
        try:
            return load_zero_shot(task, file.labels, file.languages, threads=threads)
        except BrokenArtefact as error:
            raise UserError(f"the task {task}: {error}") from None

    def handler_of(self, settings: ClassifySettings) -> type[SpecialistHandler]:
        """Return the handler of the task.

        Raises:
            UserError: as `task_file`.
        """
        if settings.task_file.kind != "pii":
            return self.handler
        from sprat_classify.pii import PiiHandler  # noqa: PLC0415 - its dependencies are an extra

        return PiiHandler

    def thresholds_of(self, settings: ClassifySettings, card: Card) -> ThresholdsFile:
        """Return the file of its model's thresholds; without examples, those of all such models hold until it is there.

        Raises:
            UserError: the setting names a file that is not there.
        """
        has_examples = settings.artefact is not None or settings.task_file.kind == "pii"
        folder = settings.artefact
        beside = settings.task_files.thresholds(settings.task) if folder is None else folder / THRESHOLDS
        default = None if has_examples else default_thresholds()
        return find_thresholds_file(card, settings.classify.thresholds, beside, self.name, default)


def _pii_model(settings: ClassifySettings, task: str, file: TaskFile, threads: int) -> SpecialistModel:
    try:
        from sprat_classify.pii import PiiModel  # noqa: PLC0415 - its dependencies are an extra
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith(("sprat_privacy", "phonenumbers", "stdnum")):
            raise
        raise UserError(
            f"the task {task}: a task of the kind pii needs the package {error.name}: pip install 'sprat-classify[pii]'"
        ) from None
    perimeter = PrivacyPolicy() if settings.policy is None else load_policy(settings.policy).perimeter
    try:
        return PiiModel.load(task, file, perimeter, threads)
    except BrokenArtefact as error:
        raise UserError(f"the task {task}: {error}") from None


def for_task(model: TaskModel, task: str, file: TaskFile) -> TaskModel:
    """Return a model as that of a task: its card names the task, and the languages of the file.

    Raises:
        UserError: it is of another kind than the file, or its labels are not those of the file.
    """
    check_model_fits(task, file, model.card.labels or (), several=model.card.kind == MULTI_LABEL)
    return model.with_card(task=task, languages=file.languages or model.card.languages)


SERVICE: Final = ClassifyService("classify", dict.fromkeys(NETWORKS, load_task_model))

if __name__ == "__main__":
    raise SystemExit(SERVICE.run())
