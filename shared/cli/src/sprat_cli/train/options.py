"""The name and the languages of a training."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sprat.base.errors import UserError
from sprat.base.settings import language_of_files
from sprat_cli.terminal import remark
from sprat_contracts.languages import FALLBACK_LANGUAGE, primary_subtag

_OUTSIDE_A_NAME: Final = re.compile(r"[^A-Za-z0-9._-]+")
_MAX_NAME: Final = 64


def model_name(name: str | None, files: Sequence[Path]) -> str:
    """Return the name of the model: the one given, else that of the first file.

    Raises:
        UserError: texts cannot ask for it.
    """
    if name is not None and (_OUTSIDE_A_NAME.search(name) or not name[:1].isalnum() or len(name) > _MAX_NAME):
        raise UserError(f"--name {name}: texts cannot ask for it; use letters, digits, `.`, `_` and `-`, at most 64")
    return name or _OUTSIDE_A_NAME.sub("-", files[0].stem).strip("-._")[:_MAX_NAME] or "mine"


def languages_of(given: Sequence[str] | None) -> tuple[str, ...]:
    """Return the languages to train for: those given, else the default one; say where that is not English.

    Raises:
        UserError: none is given, and `SPRAT_DEFAULT_LANGUAGE` is wrong.
    """
    if given:
        return tuple(given)
    (language,) = languages = _default_languages()
    if language != FALLBACK_LANGUAGE:
        remark(f"the texts count as {language}, by SPRAT_DEFAULT_LANGUAGE; --language says otherwise")
    return languages


def _default_languages() -> tuple[str, ...]:
    """Return the default language, without its region: a model for `de` answers texts in `de-AT`, not the other way."""
    return (primary_subtag(language_of_files()),)
