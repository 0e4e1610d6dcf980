"""When two stretches of a text are the same value, and the text in which equal values look alike."""

import unicodedata
from functools import lru_cache
from typing import Final, Literal

from sprat.perimeter.folding import Folded
from sprat.perimeter.kinds import ADDRESSES, NUMBERS, SECRETS

Manner = Literal["exact", "cased", "joined"]
"""What a value is compared without: nothing; case; case and separators."""

_JOINED_IN_NAMES: Final = frozenset(" -'’.·_/")
"""What may stand between the words of one name, or be left out. A `&` or a digit's neighbour may not."""


def manner(value: str, type: str) -> Manner:
    """Say how a value of a type is compared.

    Separators carry meaning in secrets and addresses, and in everything with digits that is no known kind of number:
    `12-3` and `1-23` are two house numbers.
    """
    if type in SECRETS:
        return "exact"
    if type in ADDRESSES:
        return "cased"
    if type in NUMBERS:
        return "joined"
    return "cased" if any(character.isdigit() for character in value) else "joined"


def normal_form(value: str, manner: Manner) -> str:
    """Give what two equal values share; it may be empty, for a value of separators alone."""
    return "".join(_normal(character, manner) for character in value)


def normal_text(text: str, manner: Manner) -> Folded:
    """Give a text in which a value's normal form stands wherever the value does, with the way back."""
    forms: list[str] = []
    origins: list[int] = []
    ends: list[int] = []
    for offset, character in enumerate(text):
        form = _normal(character, manner)
        if form:
            forms.append(form)
            origins.extend([offset] * len(form))
            ends.extend([offset + 1] * len(form))
    return Folded("".join(forms), tuple(origins), tuple(ends))


@lru_cache(maxsize=16384)
def _normal(character: str, manner: Manner) -> str:
    """Give one character's part of a normal form.

    Decomposed (NFKD), so that an accent counts the same whether or not it is one character with its letter.
    """
    if unicodedata.category(character) == "Cf":
        return ""
    form = unicodedata.normalize("NFKD", character)
    if manner == "exact":
        return form
    form = "".join(str(unicodedata.decimal(piece, piece)) for piece in form.casefold())
    return "".join(piece for piece in form if not _separates(piece)) if manner == "joined" else form


def _separates(piece: str) -> bool:
    return piece.isspace() or piece in _JOINED_IN_NAMES or piece in "()" or unicodedata.category(piece) == "Pd"
