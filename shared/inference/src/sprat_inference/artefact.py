"""Artefacts: the folder of a model, compared with its `card.json` when it is loaded.

An artefact holds CTranslate2 files, a tokenizer, a head, and `card.json`, which lists them all. The version of a model
is a hash of its card, and the card holds a hash of every file: one changed byte makes another version. Beside the card,
and covered by neither, may stand `thresholds.json`: a new measurement makes no new model.

Errors, as branches of the chassis' tree:

* SpratError
  + Fatal
    x BrokenArtefact   the folder cannot be served; raised while loading
  + ModelError        a batch could not be answered; the chassis then searches for the text that causes it
"""

import hashlib
import json
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from sprat.base.errors import Fatal, SpratError, UserError
from sprat.base.file_guard import check_writers
from sprat.base.thresholds import THRESHOLDS
from sprat_inference.card import Card, PartCard

CARD = "card.json"
_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_FIX = "restore the folder, or make it again"
AnyCard = TypeVar("AnyCard", bound=PartCard)
_TASKS = {
    "ForSequenceClassification": "intent",
    "ForTokenClassification": "ner",
    "MTModel": "translation",
    "ForConditionalGeneration": "translation",
}
"""End of the name of a class of transformers → the task that such a model answers."""
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
_READ_BY_LOADERS = re.compile(r".+\.(?:bin|json|model|npz|onnx|spm)|(?:\w+_)?vocabulary\.txt|vmap\.txt", re.IGNORECASE)
"""Names of files that CTranslate2, a tokenizer or a head may read, some of them only where they are there."""


class BrokenArtefact(Fatal):
    """The content of the folder differs from its card, or cannot compute. The message says what, where, and the fix."""


class ModelError(SpratError):
    """The model raised, or computed nonsense, on a batch. The message contains no text of a user."""


@dataclass(frozen=True, slots=True)
class Artefact:
    """A folder whose content matches its card."""

    folder: Path
    card: Card


@contextmanager
def reading(path: Path, fix: str = "write the artefact again") -> Iterator[None]:
    """Turn what reading a file of an artefact raises into an error that says what to do.

    Raises:
        BrokenArtefact: in place of it.
    """
    try:
        yield
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise BrokenArtefact(f"{path}: cannot be read ({type(error).__name__}: {error}); {fix}") from error


def read_json(path: Path) -> Any:
    """Return the content of a JSON file of an artefact.

    Raises:
        BrokenArtefact: it cannot be read.
    """
    with reading(path):
        return json.loads(path.read_text(encoding="utf-8"))


def write_json(path: Path, content: object, *, sort_keys: bool = False) -> None:
    """Write a JSON file of an artefact; equal content gives equal bytes."""
    text = json.dumps(content, ensure_ascii=False, indent=1, sort_keys=sort_keys)
    path.write_text(text + "\n", encoding="utf-8", newline="\n")


def load_artefact(folder: Path, *, reader: str | Sequence[str] | None = None) -> Artefact:
    """Read the card of `folder` and compare it with the files.

    Args:
        folder: the folder of the artefact.
        reader: the `Card.reader` that the caller implements, or several; None accepts any.

    Raises:
        BrokenArtefact: when anything is missing, changed, made for other code, or may be another user's work.
    """
    return Artefact(folder, _load_card(folder, Card, reader))


def reader_of(folder: Path, known: Sequence[str]) -> str:
    """Return the reader that the card of `folder` names; what loads the folder compares it with its files.

    Raises:
        BrokenArtefact: there is no card, or it names none of the `known` readers.
    """
    named = _read_json(folder / CARD).get("reader")
    return (
        next((reader for reader in known if reader == named), None) or load_artefact(folder, reader=known).card.reader
    )


def load_part(folder: Path, *, reader: str | None = None) -> PartCard:
    """Read the card of a part that several models share, and compare it with the files; see :func:`load_artefact`.

    Raises:
        BrokenArtefact: when anything is missing, changed, or made for other code.
    """
    return _load_card(folder, PartCard, reader)


def write_artefact(folder: Path, card: Mapping[str, Any]) -> Card:
    """Write `card.json` for the files in `folder`, with `version` and `files` computed, and return the card.

    The folder and these files lose the right of others to write them, which a umask may have left: with it, they would
    not be read.

    Raises:
        ValidationError: when `card` lacks a field.
    """
    return _write_card(folder, card, Card)


def write_part(folder: Path, card: Mapping[str, Any]) -> PartCard:
    """Do the same for a part that several models share.

    Raises:
        ValidationError: when `card` lacks a field.
    """
    return _write_card(folder, card, PartCard)


def content_hash(folder: Path) -> str:
    """Return the version of the present content of `folder`, whatever version its card states.

    Raises:
        BrokenArtefact: when there is no readable card.
    """
    card = _read_json(folder / CARD)
    return _version({**card, "files": _hash_files(folder)})


def _load_card(folder: Path, kind: type[AnyCard], reader: str | Sequence[str] | None) -> AnyCard:
    _check_writers(folder, [CARD])
    content = _read_json(folder / CARD)
    try:
        card = kind.model_validate(content)
    except ValidationError as error:
        fields = ", ".join(".".join(map(str, each["loc"])) or each["msg"] for each in error.errors(include_input=False))
        raise BrokenArtefact(f"{folder / CARD}: not a card, look at {fields}; {_FIX}") from None
    _compare_files(folder, card.files)
    _check_writers(folder, card.files)
    if (version := _version(content)) != card.version:
        raise BrokenArtefact(f"{folder / CARD}: says version {card.version} but its content is {version}; {_FIX}")
    implemented = [reader] if isinstance(reader, str) else reader
    if implemented is not None and card.reader not in implemented:
        raise BrokenArtefact(
            f"{folder / CARD}: made for {card.reader}, this program is {' and '.join(implemented)}; "
            "install the release that fits"
        )
    return card


def _check_writers(folder: Path, files: Iterable[str]) -> None:
    """Check that nobody else may have written the folder or these files."""
    try:
        for path in (folder, *(folder / name for name in files)):
            check_writers(path, "change every answer")
    except UserError as error:
        raise BrokenArtefact(str(error)) from None


def _write_card(folder: Path, card: Mapping[str, Any], kind: type[AnyCard]) -> AnyCard:
    draft = {**card, "version": "0" * 16, "files": _hash_files(folder)}
    content = kind.model_validate(draft).model_dump(mode="json")
    content["version"] = _version(content)
    write_json(folder / CARD, content)
    for path in (folder, folder / CARD, *(folder / name for name in draft["files"])):
        if (mode := stat.S_IMODE(path.stat().st_mode)) & _BY_OTHERS:
            path.chmod(mode & ~_BY_OTHERS)
    return kind.model_validate(content)


def _version(card: Mapping[str, Any]) -> str:
    """Return 16 hexadecimal digits over the card without its version; white space and field order do not matter."""
    content = {name: value for name, value in card.items() if name != "version"}
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _read_json(path: Path) -> dict[str, Any]:
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BrokenArtefact(f"{path}: not found; {_how_to_make(path.parent)}") from None
    except (OSError, ValueError) as error:
        raise BrokenArtefact(f"{path}: cannot be read ({error}); {_FIX}") from error
    if not isinstance(card, dict):
        raise BrokenArtefact(f"{path}: not a card, but a {type(card).__name__}; {_FIX}")
    return card


def _how_to_make(folder: Path) -> str:
    """Return what makes an artefact of a folder without a card, by the files that are there."""
    if (folder / "decoder.yml").is_file():
        return f"this is a Marian model; convert it first: sprat models convert opus-mt {folder} --output NEW"
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        kind, architecture = config["model_type"], str((config.get("architectures") or [""])[0])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return _FIX
    task = next((task for suffix, task in _TASKS.items() if architecture.endswith(suffix)), "TASK")
    return f"this is a {kind} model for transformers; convert it first: sprat models add {folder} --task {task}"


def _compare_files(folder: Path, files: Mapping[str, str]) -> None:
    for name, expected in files.items():
        if not _PLAIN_NAME.fullmatch(name):
            raise BrokenArtefact(f"{folder / CARD}: lists a file outside its own folder; {_FIX}")
        path = folder / name
        if not path.is_file():
            raise BrokenArtefact(f"{path}: missing; {_FIX}")
        if (actual := _hash_file(path)) != expected:
            raise BrokenArtefact(f"{path}: has sha256 {actual[:16]}…, the card says {expected[:16]}…; {_FIX}")

    unlisted = {path.name for path in folder.iterdir()} - {*files, CARD, THRESHOLDS}
    for name in sorted(unlisted):
        if _READ_BY_LOADERS.fullmatch(name):
            raise BrokenArtefact(
                f"{folder / name}: the card does not list it, so its version would not cover it; {_FIX}"
            )


def _hash_files(folder: Path) -> dict[str, str]:
    paths = sorted(path for path in folder.iterdir() if path.is_file() and path.name not in {CARD, THRESHOLDS})
    return {path.name: _hash_file(path) for path in paths if _PLAIN_NAME.fullmatch(path.name)}


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
