"""The small model that a command means by a name: of a folder, of one that is served, of a task, or a shipped one."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from sprat.base import plugins
from sprat.base.errors import UserError
from sprat.base.model import DEFAULT_MODEL
from sprat_contracts import TASKS
from sprat_operations.served_folders import ServedFolder, served_folders
from sprat_policy import TaskFiles
from sprat_training.evaluation.models import SmallModel, model_of_folder, model_of_labels


@dataclass(frozen=True, slots=True)
class NamedModel:
    """A small model, and how it is served."""

    model: SmallModel
    served: ServedFolder
    is_shipped: bool = False
    """Whether its folder is one of an installed service, in which nothing is written."""


def named_model(word: str, files: TaskFiles) -> NamedModel:
    """Return the model that is meant.

    Args:
        word: a folder; or a name as `hr`, `intent/hr`, or a task's.
        files: the tasks from files.

    Raises:
        UserError: there is none of that name, or it cannot be read.
    """
    known = served_folders(files)
    folder = Path(word)
    if folder.is_dir():
        served = next((each for each in known if each.folder.resolve() == folder.resolve()), None)
        if served is not None:
            return _of(served, folder)
        shipped = next((each for each in _shipped() if each.folder.resolve() == folder.resolve()), None)
        if shipped is not None:
            return _of_shipped(shipped, files)
        model = model_of_folder(folder)
        return NamedModel(model, ServedFolder(model.task, model.card.name, folder))
    places = {each.folder.resolve(): each for each in known if word in _names(each)}
    if len(places) > 1:
        raise UserError(f"--model {word}: several are served by this name; name its folder, one of {_list(places)}")
    for served in places.values():
        return _of(served, served.folder)
    if word in files:
        model = model_of_labels(word, files[word], files.thresholds(word))
        return NamedModel(model, ServedFolder(word, DEFAULT_MODEL, files.folder or Path()))
    for shipped in _shipped():
        if word in _names(shipped):
            return _of_shipped(shipped, files)
    names = dict.fromkeys([*(f"{each.task}/{each.model}" for each in (*known, *_shipped())), *files])
    raise UserError(f"{word}: no folder, and no model that is served or shipped here has this name: {', '.join(names)}")


def _of(served: ServedFolder, folder: Path) -> NamedModel:
    return NamedModel(model_of_folder(folder, served.task), served)


def _of_shipped(shipped: ServedFolder, files: TaskFiles) -> NamedModel:
    """Return a shipped model; its owner's thresholds stand beside those of tasks, as nothing is written into wheels."""
    model = model_of_folder(shipped.folder, shipped.task)
    own = "" if shipped.model in {DEFAULT_MODEL, "en-de"} else f".{shipped.model}"
    path = files.thresholds(f"{shipped.task}{own}")
    return NamedModel(replace(model, thresholds=path), shipped, is_shipped=True)


def _names(served: ServedFolder) -> set[str]:
    names = {served.name, f"{served.task}/{served.model}"}
    return names if served.model == DEFAULT_MODEL else {*names, served.model}


def _list(places: dict[Path, ServedFolder]) -> str:
    return ", ".join(map(str, places))


def _shipped() -> Iterator[ServedFolder]:
    """Yield the models of the installed services."""
    for task in TASKS:
        entry = plugins.find(plugins.SERVICES, task)
        found = None if entry is None else find_spec(entry.value)
        for place in (found.submodule_search_locations or ()) if found is not None else ():
            for card in sorted(Path(place).glob("artefacts/*/card.json")):
                yield ServedFolder(task, card.parent.name, card.parent)
