"""A training as the options of its command."""

import codecs
import re
import shlex
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from sprat.errors import UserError
from sprat.settings import language_of_files
from sprat_cli.terminal import remark
from sprat_contracts.languages import FALLBACK_LANGUAGE, primary_subtag
from sprat_training.config import TrainingConfig
from sprat_training.record import Reading

_OUTSIDE_A_NAME: Final = re.compile(r"[^A-Za-z0-9._-]+")
_MAX_NAME: Final = 64
_FOUND_ENCODINGS: Final = ("utf-8", "utf-8-sig", "utf-16", "cp1252")
"""Those that are found where none is named. A file of corrections beside such a file is UTF-8 always."""


def model_name(name: str | None, files: Sequence[Path]) -> str:
    """Return the name of the model: the one given, else that of the first file.

    Raises:
        UserError: texts cannot ask for it.
    """
    if name is not None and (_OUTSIDE_A_NAME.search(name) or not name[:1].isalnum() or len(name) > _MAX_NAME):
        raise UserError(f"--name {name}: texts cannot ask for it; use letters, digits, `.`, `_` and `-`, at most 64")
    return name or _OUTSIDE_A_NAME.sub("-", files[0].stem).strip("-._")[:_MAX_NAME] or "mine"


def languages_of(given: Sequence[str] | None, named_by: str = "--language") -> tuple[str, ...]:
    """Return the languages to train for: those given, else the default one; say where that is not English.

    Args:
        given: what the user named.
        named_by: where users name them.

    Raises:
        UserError: none is given, and `SPRAT_DEFAULT_LANGUAGE` is wrong.
    """
    if given:
        return tuple(given)
    (language,) = languages = _default_languages()
    if language != FALLBACK_LANGUAGE:
        remark(f"the texts count as {language}, by SPRAT_DEFAULT_LANGUAGE; {named_by} says otherwise")
    return languages


def _default_languages() -> tuple[str, ...]:
    """Return the default language, without its region: a model for `de` answers texts in `de-AT`, not the other way."""
    return (primary_subtag(language_of_files()),)


def reading_options(reading: Reading, languages: Sequence[str], without: Iterable[str] = ()) -> list[str]:
    """Return the options, quoted for a shell, that differ from the default.

    Args:
        reading: the options of a training.
        languages: of its texts.
        without: names of fields of `reading` that are left out.
    """
    default = asdict(Reading())
    return [
        *([] if tuple(languages) == _default_languages() else [_option("language", tag) for tag in languages]),
        *(
            _option(name, value)
            for name, value in asdict(reading).items()
            if value != default[name] and name not in {*without}
        ),
    ]


def training_command(config: TrainingConfig, folder: Path, *, several: bool) -> str:
    """Return the command that trains on the files, quoted for a shell.

    Args:
        config: of a training with corrections, which `sprat retrain` began.
        folder: which the command writes anew.
        several: whether a text may have several labels.
    """
    words = ["sprat", "train", "multi-label" if several else "intent", *map(str, config.files)]
    if config.name != model_name(None, config.files):
        words += ["--name", config.name]
    options = reading_options(Reading.of(config), config.languages, ["encoding"] if _is_found(config.encoding) else [])
    named = {"out_of_scope": config.outside_file, "encoder": config.encoder}
    options += [_option(name, value) for name, value in named.items() if value is not None]
    return " ".join([shlex.join(words), *options, _option("output", folder), "--force"])


def _is_found(encoding: str) -> bool:
    with suppress(LookupError):
        return codecs.lookup(encoding).name in _FOUND_ENCODINGS
    return False


def _option(name: str, value: Any) -> str:
    if name == "lexical":
        return "--no-lexical"
    option = f"--{name.replace('_', '-')}"
    return option if value is True else f"{option} {shlex.quote(str(value))}"
