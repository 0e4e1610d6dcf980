"""A text as a validator wants to read it, with the way back to the text as it is, code point by code point.

Character by character, so that every offset keeps an exact origin: NFKC (full-width and other compatibility forms),
digits of every script to 0–9, spaces of every kind to a space, hyphens and dashes of every kind to `-`.
What is invisible (zero-width characters, soft hyphens, direction marks, variation selectors) and
combining marks are left out, so that they cannot split a number. Letters stay as they are: a Cyrillic `А` is no `A`.
"""

import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from sprat_privacy.entity_types import ADDRESSES, NUMBERS, SECRETS

_BREAKS = frozenset("\n\r\v\f\x85\u2028\u2029")


@dataclass(frozen=True, slots=True)
class Folded:
    """The text to read, and where each of its characters comes from."""

    text: str
    origins: tuple[int, ...] | None
    """For each character the offset in the original; None where both are the same."""
    ends: tuple[int, ...] | None
    """For each character the end of its origin, with what was left out directly behind it."""

    def original(self, start: int, end: int) -> tuple[int, int]:
        """Give the span of the original that `text[start:end]` was read from; it must not be empty."""
        if self.origins is None or self.ends is None:
            return start, end
        return self.origins[start], self.ends[end - 1]


def fold(text: str) -> Folded:
    """Fold a text; time and memory grow with its length."""
    if text.isascii():
        return Folded(text, None, None)
    folded: list[str] = []
    origins: list[int] = []
    ends: list[int] = []
    for offset, character in enumerate(text):
        form = _folded(character)
        if not form and ends and unicodedata.category(character)[0] == "M":
            # An accent belongs to the letter before it; an invisible character belongs to nobody.
            ends[-1] = offset + 1
        for piece in form:
            folded.append(piece)
            origins.append(offset)
            ends.append(offset + 1)
    return Folded("".join(folded), tuple(origins), tuple(ends))


@lru_cache(maxsize=8192)
def _folded(character: str) -> str:
    """Give what one character is read as; nothing where it is not to be seen."""
    if character.isascii():
        return character
    if character in _BREAKS:
        return "\n"
    category = unicodedata.category(character)
    if category in {"Cf", "Mn", "Me"}:
        return ""
    if category == "Zs":
        return " "
    form = "".join(_plain(piece) for piece in unicodedata.normalize("NFKC", character))
    return form if form.strip() else " "


def _plain(piece: str) -> str:
    """Give a piece of a compatibility form; it may be a mark, a digit of its script or a dash again."""
    category = unicodedata.category(piece)
    if category in {"Cf", "Mn", "Me"}:
        return ""
    if category == "Nd":
        return str(unicodedata.decimal(piece))
    return "-" if category == "Pd" or piece == "−" else piece


# When two stretches of a text are the same value, and the text in which equal values look alike.

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
