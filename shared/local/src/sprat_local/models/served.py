"""Models that a person names for an installation: which task, under which name, from which folder."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from sprat.errors import UserError
from sprat.model import DEFAULT_MODEL
from sprat_contracts import TASKS
from sprat_contracts.texts import ModelName
from sprat_inference.artefact import BrokenArtefact, load_artefact
from sprat_operations.services import ServedModel

SETTING = "SPRAT_MODELS"
_MODEL_NAME: TypeAdapter[str] = TypeAdapter(ModelName)


class _Models(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="SPRAT_", env_file=".env", extra="ignore", hide_input_in_errors=True)

    models: Annotated[dict[str, str], Field(description="TASK/NAME → folder.")] = {}


def served_models(options: Iterable[str]) -> tuple[ServedModel, ...]:
    """Read `TASK/NAME=DIR` as given on a command line, on top of what the variable `SPRAT_MODELS` says.

    Raises:
        UserError: no such task, a name that texts cannot ask for, or a folder that cannot be served.
    """
    asked = _by_name(("--model", *_split(option)) for option in options)
    settings = _by_name((SETTING, named, folder) for named, folder in _from_settings().items())
    return tuple(_served(*said) for said in (settings | asked).values())


def _split(option: str) -> tuple[str, str]:
    named, equals, folder = option.partition("=")
    if not equals or not folder:
        raise UserError(f"--model {option}: write TASK/NAME=DIR, as intent/hr=./hr")
    return named, folder


def _by_name(given: Iterable[tuple[str, str, str]]) -> dict[str, tuple[str, str, str]]:
    """Give where a model was named, how, and its folder, by its full name."""
    found: dict[str, tuple[str, str, str]] = {}
    for where, named, folder in given:
        task, _, name = named.partition("/")
        full = f"{task}/{name or DEFAULT_MODEL}"
        if full in found:
            raise UserError(f"{where} {full}: named twice; give each a name of its own, as {task}/other=DIR")
        found[full] = (where, named, folder)
    return found


def version_in(folder: Path, task: str) -> str:
    """Give the version of the model that lies in `folder`, its files compared with its card.

    Raises:
        UserError: it cannot be served, or is for another task.
    """
    try:
        card = load_artefact(folder).card
    except BrokenArtefact as error:
        raise UserError(str(error)) from None
    if card.task != task:
        raise UserError(f"{folder}: a model for {card.task}, not for {task}")
    return card.version


def _served(where: str, named: str, folder: str) -> ServedModel:
    task, _, name = named.partition("/")
    name = name or DEFAULT_MODEL
    if task not in TASKS:
        raise UserError(f"{where} {named}: no such task; write TASK/NAME=DIR, where TASK is one of {', '.join(TASKS)}")
    try:
        _MODEL_NAME.validate_python(name)
    except ValidationError:
        raise UserError(
            f"{where} {named}: no name that a text can ask for; letters, digits, `.`, `_` and `-`, at most 64"
        ) from None
    path = Path(folder).expanduser().absolute()
    try:
        return ServedModel(task, name, path, version_in(path, task))
    except UserError as error:
        raise UserError(f"{where} {named}: {error}") from None


def _from_settings() -> Mapping[str, str]:
    try:
        return _Models().models
    except (ValidationError, SettingsError):
        raise UserError(f'{SETTING}: not a JSON object of folders by TASK/NAME, as {{"intent/hr": "./hr"}}') from None
