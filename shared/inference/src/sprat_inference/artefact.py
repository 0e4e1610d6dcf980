"""What can go wrong with a model, as branches of the chassis' tree of errors.

* SpratError
  + Fatal
    x BrokenArtefact   the folder cannot be served; raised while loading
  + ModelError        a batch could not be answered; the chassis looks for the text that causes it
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from sprat.errors import Fatal, SpratError
from sprat_inference.card import Card, PartCard


class BrokenArtefact(Fatal):
    """The folder is not what its card says, or cannot compute. The message says what, where, and what to do."""


class ModelError(SpratError):
    """The model raised, or computed nonsense, on a batch. The message holds no text."""


# An artefact is a folder: CTranslate2 files, `tokenizer.json`, a head, and `card.json`, which names them all.
#
# The version is a hash of the card, and the card holds a hash of every file: one changed byte is another version.

CARD = "card.json"
_MEND = "restore the folder, or make it again"
AnyCard = TypeVar("AnyCard", bound=PartCard)
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class Artefact:
    """A folder whose content has been compared with its card."""

    folder: Path
    card: Card


def load_artefact(folder: Path, *, reader: str | None = None) -> Artefact:
    """Read the card of `folder` and compare it with the files.

    Args:
        folder: where the artefact lies.
        reader: the `Card.reader` that the caller implements; None takes any.

    Raises:
        BrokenArtefact: when anything is missing, changed, or meant for other code.
    """
    return Artefact(folder, _checked(folder, Card, reader))


def load_part(folder: Path, *, reader: str | None = None) -> PartCard:
    """Read the card of a part that models share and compare it with the files of `folder`; see :func:`load_artefact`.

    Raises:
        BrokenArtefact: when anything is missing, changed, or meant for other code.
    """
    return _checked(folder, PartCard, reader)


def _checked(folder: Path, kind: type[AnyCard], reader: str | None) -> AnyCard:
    stated = _read_card(folder / CARD)
    try:
        card = kind.model_validate(stated)
    except ValidationError as error:
        fields = ", ".join(".".join(map(str, each["loc"])) or each["msg"] for each in error.errors(include_input=False))
        raise BrokenArtefact(f"{folder / CARD}: not a card, look at {fields}; {_MEND}") from None
    _compare_files(folder, card.files)
    if (version := _version(stated)) != card.version:
        raise BrokenArtefact(f"{folder / CARD}: says version {card.version} but its content is {version}; {_MEND}")
    if reader is not None and card.reader != reader:
        raise BrokenArtefact(
            f"{folder / CARD}: made for {card.reader}, this program is {reader}; install the release that fits"
        )
    return card


def write_artefact(folder: Path, card: Mapping[str, Any]) -> Card:
    """Write `card.json` over the files that lie in `folder`; `version` and `files` are filled in here.

    Raises:
        ValidationError: when `card` lacks a field.
    """
    return _written(folder, card, Card)


def write_part(folder: Path, card: Mapping[str, Any]) -> PartCard:
    """Do the same for a part that models share.

    Raises:
        ValidationError: when `card` lacks a field.
    """
    return _written(folder, card, PartCard)


def _written(folder: Path, card: Mapping[str, Any], kind: type[AnyCard]) -> AnyCard:
    filled = {**card, "version": "0" * 16, "files": _hashes(folder)}
    whole = kind.model_validate(filled).model_dump(mode="json")
    whole["version"] = _version(whole)
    text = json.dumps(whole, ensure_ascii=False, indent=1)
    (folder / CARD).write_text(text + "\n", encoding="utf-8", newline="\n")
    return kind.model_validate(whole)


def content_hash(folder: Path) -> str:
    """Give the version that the content of `folder` has now, whatever its card says.

    Raises:
        BrokenArtefact: when there is no card that can be read.
    """
    card = _read_card(folder / CARD)
    return _version({**card, "files": _hashes(folder)})


def _version(card: Mapping[str, Any]) -> str:
    """16 hexadecimal digits over the card without its version, independent of white space and order of fields."""
    content = {name: value for name, value in card.items() if name != "version"}
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _read_card(path: Path) -> dict[str, Any]:
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BrokenArtefact(f"{path}: not found; {_MEND}") from None
    except (OSError, ValueError) as error:
        raise BrokenArtefact(f"{path}: cannot be read ({error}); {_MEND}") from error
    if not isinstance(card, dict):
        raise BrokenArtefact(f"{path}: not a card, but a {type(card).__name__}; {_MEND}")
    return card


def _compare_files(folder: Path, files: Mapping[str, str]) -> None:
    for name, expected in files.items():
        if not _PLAIN_NAME.fullmatch(name):
            raise BrokenArtefact(f"{folder / CARD}: lists a file outside its own folder; {_MEND}")
        path = folder / name
        if not path.is_file():
            raise BrokenArtefact(f"{path}: missing; {_MEND}")
        if (found := _hash(path)) != expected:
            raise BrokenArtefact(f"{path}: has sha256 {found[:16]}…, the card says {expected[:16]}…; {_MEND}")


def _hashes(folder: Path) -> dict[str, str]:
    paths = sorted(path for path in folder.iterdir() if path.is_file() and path.name != CARD)
    return {path.name: _hash(path) for path in paths if _PLAIN_NAME.fullmatch(path.name)}


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
