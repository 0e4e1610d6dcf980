"""The user's own models of an installation: parsed from options and settings, and compared with what is announced."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import Field, TypeAdapter, ValidationError
from pydantic_settings import SettingsError

from sprat.base.errors import UserError
from sprat.base.model import DEFAULT_MODEL
from sprat.base.settings import VariableSettings
from sprat_contracts import BUILT_IN, ModelAnnounced, TaskTable
from sprat_contracts.texts import ModelName
from sprat_inference.artefact import BrokenArtefact, load_artefact
from sprat_inference.label_sets import MULTI_LABEL
from sprat_local.installation.lifecycle import Installation
from sprat_operations.models import read_registered_models
from sprat_operations.services import CLASSIFY, ServedModel, program_of

SETTING = "SPRAT_MODELS"
_MODEL_NAME: TypeAdapter[str] = TypeAdapter(ModelName)


class _Models(VariableSettings):
    models: dict[str, str] = Field(default_factory=dict, description="TASK/NAME → folder.")


def served_models(options: Iterable[str], tasks: TaskTable = BUILT_IN) -> tuple[ServedModel, ...]:
    """Parse the options `TASK/NAME=DIR` of a command line, in addition to the variable `SPRAT_MODELS`.

    Raises:
        UserError: the task does not exist, texts cannot use the name, or the folder cannot be served.
    """
    from_options = _by_name(("--model", *_split(option)) for option in options)
    from_settings = _by_name((SETTING, name, folder) for name, folder in _read_setting().items())
    return tuple(_served_model(*each, tasks) for each in (from_settings | from_options).values())


def version_in(folder: Path, task: str) -> str:
    """Return the version of the model in `folder` after checking its files against its card.

    Raises:
        UserError: it cannot be served, or is for another task.
    """
    try:
        card = load_artefact(folder).card
    except BrokenArtefact as error:
        raise UserError(str(error)) from None
    fits = {task} if program_of(task) != CLASSIFY else {task, "intent", MULTI_LABEL}
    if card.task not in fits:
        raise UserError(f"{folder}: a model for {card.task}, not for {task}")
    return card.version


async def announced_models(installation: Installation) -> tuple[ModelAnnounced, ...]:
    """Return the models that are announced on the installation's Kafka.

    Raises:
        Fatal: the topic of models does not exist.
        Retryable: Kafka does not answer.
    """
    return (await read_registered_models(installation.kafka, None)).announced


def is_served(installation: Installation, announced: ModelAnnounced) -> bool:
    """Return whether this installation serves a model.

    If not, an earlier run may have announced it. Another installation on the same Kafka may serve it.
    """
    names, running = installation.models, installation.processes
    served = {f"{name.partition('.')[0]}/{names[name]}" for name in names if name in running}
    return f"{announced.task}/{announced.model}" in served


def _split(option: str) -> tuple[str, str]:
    name, equals, folder = option.partition("=")
    if not equals or not folder:
        raise UserError(f"--model {option}: write TASK/NAME=DIR, for example intent/hr=./hr")
    return name, folder


def _by_name(models: Iterable[tuple[str, str, str]]) -> dict[str, tuple[str, str, str]]:
    """Index (origin, name, folder) by the full name `TASK/NAME`."""
    indexed: dict[str, tuple[str, str, str]] = {}
    for origin, name, folder in models:
        task, _, model = name.partition("/")
        full = f"{task}/{model or DEFAULT_MODEL}"
        if full in indexed:
            raise UserError(f"{origin} {full}: named twice; each needs a name of its own, such as {task}/other=DIR")
        indexed[full] = (origin, name, folder)
    return indexed


def _served_model(origin: str, name: str, folder: str, tasks: TaskTable) -> ServedModel:
    task, _, model = name.partition("/")
    model = model or DEFAULT_MODEL
    if task not in tasks:
        raise UserError(f"{origin} {name}: no such task; write TASK/NAME=DIR, where TASK is one of {', '.join(tasks)}")
    try:
        _MODEL_NAME.validate_python(model)
    except ValidationError:
        raise UserError(
            f"{origin} {name}: texts cannot use this name; letters, digits, `.`, `_` and `-`, at most 64"
        ) from None
    path = Path(folder).expanduser().absolute()
    # Only then: a link to the folder of the current version stays a link, which may come to point to another one.
    path = path.resolve() if ".." in path.parts else path
    try:
        return ServedModel(task, model, path, version_in(path, task))
    except UserError as error:
        raise UserError(f"{origin} {name}: {error}") from None


def _read_setting() -> Mapping[str, str]:
    try:
        return _Models().models
    except (ValidationError, SettingsError):
        raise UserError(
            f'{SETTING}: not a JSON object of folders by TASK/NAME, for example {{"intent/hr": "./hr"}}'
        ) from None
