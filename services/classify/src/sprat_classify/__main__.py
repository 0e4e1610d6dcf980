"""The classification service: settings → task file → model → handler → run."""

from difflib import get_close_matches
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

from pydantic import Field

from sprat.context import ServiceContext, Subscription
from sprat.errors import UserError
from sprat.model import DEFAULT_MODEL
from sprat.runtime import run_service
from sprat.settings import Section
from sprat_classify.handler import ClassifyHandler
from sprat_classify.model import ClassifyModel, for_task
from sprat_inference.serving import ModelSection, load_model, serve_model
from sprat_policy import TaskFile, TaskSettings


class ClassifySection(Section):
    """The settings `SPRAT_CLASSIFY__…`."""

    task: Annotated[str | None, Field(description="The task that it answers: the name of its file.")] = None
    artefact: Annotated[Path | None, Field(description="Folder of the model. Default: the one of the task's file.")] = (
        None
    )
    model: Annotated[str, Field(description="The name by which texts ask for it.")] = DEFAULT_MODEL
    threads: Annotated[int, Field(ge=1, le=64, description="Threads that run the model.")] = 1


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
            return task
        known = f"known are {', '.join(files)}" if files else "there is no task file: `sprat task init` writes one"
        near = get_close_matches(task or "", files, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        named = f"there is no task file of the name {task!r}" if task else "it names no task"
        raise UserError(f"SPRAT_CLASSIFY__TASK: {named}; {hint}{known}")

    @property
    def artefact(self) -> Path:
        """The folder of its model.

        Raises:
            UserError: as `task_file`, or none is named.
        """
        task = self.task
        found = self.classify.artefact or self.task_files.artefact(task)
        if found is None:
            raise UserError(f"the task {task} names no model: add `artefact: DIR` to its file; `sprat train` makes one")
        return found


def task_of(settings: ClassifySettings) -> str:
    """Return the task that a process answers, whose name it bears.

    Raises:
        UserError: none is named, or it has no file.
    """
    return settings.task


async def build(context: ServiceContext, settings: ClassifySettings) -> Subscription:
    """Load the model, announce it, and return its subscription."""
    own = settings.classify
    section = ModelSection(artefact=settings.artefact, model=own.model, threads=own.threads)
    model = for_task(load_model(ClassifyModel.load, section, "classify"), settings.task, settings.task_file)
    return await serve_model(context, model, section.model, ClassifyHandler)


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
