"""The classification service: settings → task file → model → handler → run."""

from difflib import get_close_matches
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

from pydantic import Field

from sprat.base.errors import UserError
from sprat.base.model import DEFAULT_MODEL
from sprat.base.settings import Section
from sprat.base.thresholds import THRESHOLDS, ThresholdsFile
from sprat.context import ServiceContext, Subscription
from sprat.runtime import run_service
from sprat_classify.handler import ClassifyHandler
from sprat_classify.model import ClassifyModel, for_task
from sprat_encoder.zero_shot import default_thresholds, load_zero_shot
from sprat_inference.artefact import BrokenArtefact
from sprat_inference.card import Card, SpecialistModel
from sprat_inference.serving import ModelSection, find_thresholds_file, load_model, serve_model
from sprat_policy import PrivacyPolicy, TaskFile, TaskSettings, load_policy


class ClassifySection(Section):
    """The settings `SPRAT_CLASSIFY__…`."""

    task: Annotated[str | None, Field(description="The task that it answers: the name of its file.")] = None
    artefact: Annotated[Path | None, Field(description="Folder of the model. Default: the one of the task's file.")] = (
        None
    )
    model: Annotated[str, Field(description="The name by which texts ask for it.")] = DEFAULT_MODEL
    threads: Annotated[int, Field(ge=1, le=64, description="Threads that run the model.")] = 1
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

    def find_thresholds_file(self, card: Card) -> ThresholdsFile:
        """Return the file of its model's thresholds; without examples, those of all such models hold until it is there.

        Raises:
            UserError: the setting names a file that is not there.
        """
        has_examples = self.artefact is not None or self.task_file.kind == "pii"
        beside = self.task_files.thresholds(self.task) if self.artefact is None else self.artefact / THRESHOLDS
        default = None if has_examples else default_thresholds()
        return find_thresholds_file(card, self.classify.thresholds, beside, "classify", default)

    def load_model(self) -> SpecialistModel:
        """Load the model of the task; see :func:`model_of`."""
        return model_of(self)

    @property
    def handler(self) -> type[ClassifyHandler]:
        """The handler of the task; see :func:`handler_of`."""
        return handler_of(self)


def task_of(settings: ClassifySettings) -> str:
    """Return the task that a process answers, whose name it bears.

    Raises:
        UserError: none is named, or it has no file.
    """
    return settings.task


def model_of(settings: ClassifySettings) -> SpecialistModel:
    """Load the model of the task; without one, make one of the names of its labels and what they mean.

    Raises:
        UserError: as `task_file`, or the model cannot be used for the task.
    """
    task, file, threads = settings.task, settings.task_file, settings.classify.threads
    if file.kind == "pii":
        return _pii_model(settings, task, file, threads)
    if settings.artefact is None:
        if file.kind == "multi_label":
            raise UserError(
                f"the task {task} has no model, and where several labels may apply, their names alone make none: train "
                "one (sprat train multi-label) and name its folder as `artefact`; until then, the frontier answers"
            )
        try:
            return load_zero_shot(task, file.labels, file.languages, threads=threads)
        except BrokenArtefact as error:
            raise UserError(f"the task {task}: {error}") from None
    section = ModelSection(artefact=settings.artefact, threads=threads)
    return for_task(load_model(ClassifyModel.load, section, "classify"), task, file)


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


def handler_of(settings: ClassifySettings) -> type[ClassifyHandler]:
    """Return the handler of the task.

    Raises:
        UserError: as `task_file`.
    """
    if settings.task_file.kind != "pii":
        return ClassifyHandler
    from sprat_classify.pii import PiiHandler  # noqa: PLC0415 - its dependencies are an extra

    return PiiHandler


async def build(context: ServiceContext, settings: ClassifySettings) -> Subscription:
    """Load the model, announce it, and return its subscription."""
    model = model_of(settings)
    thresholds = settings.find_thresholds_file(model.card)
    return await serve_model(context, model, settings.classify.model, handler_of(settings), thresholds)


if __name__ == "__main__":
    raise SystemExit(
        run_service(
            "classify",
            version("sprat-classify"),
            ClassifySettings,
            build,
            lambda settings: settings.classify.model,
            task_of,
        )
    )
