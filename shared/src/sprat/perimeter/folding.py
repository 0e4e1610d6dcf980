"""A text as a validator wants to read it, with the way back to the text as it is, code point by code point.

Character by character, so that every offset keeps an exact origin: NFKC (full-width and other compatibility forms),
digits of every script to 0–9, spaces of every kind to a space, hyphens and dashes of every kind to `-`.
What is invisible (zero-width characters, soft hyphens, direction marks, variation selectors) and
combining marks are left out, so that they cannot split a number. Letters stay as they are: a Cyrillic `А` is no `A`.
"""

import unicodedata
from dataclasses import dataclass
from functools import lru_cache

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
