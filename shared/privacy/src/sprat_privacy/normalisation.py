"""Other readings of a text, each with the origin of every character.

*Folding* is for detectors. It works character by character, so that every offset has an exact origin: NFKC (full-width
and other compatibility forms), digits of every script to 0–9, spaces of every kind to a space, hyphens and dashes of
every kind to `-`. Invisible characters (zero-width characters, soft hyphens, direction marks, variation selectors,
fillers, controls) and combining marks are dropped, so that they cannot split a number; characters that look blank are
spaces. Letters do not change: a Cyrillic `А` is not an `A`.

The *normal form* is for comparing values: two spans of a text are the same value if their normal forms are equal.

What hides a value by other means than single characters, as escapes do, is read in `readings`.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Final, Literal

from sprat_privacy.entity_types import ADDRESSES, NUMBERS, SECRETS

Comparison = Literal["exact", "caseless", "compact"]
"""What a comparison of values ignores: nothing; case; case and separators."""

_LINE_BREAKS = frozenset("\n\r\v\f\x85\u2028\u2029")
BLANKS: Final = frozenset("\u2800\U0001d159")
"""Signs without ink: BRAILLE PATTERN BLANK and MUSICAL SYMBOL NULL NOTEHEAD."""
IGNORABLE: Final = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff"
)
"""Content of a regular expression's character class: what Unicode 16 calls Default_Ignorable_Code_Point. Nothing is
drawn for these, whatever their category."""
_IGNORED: Final = re.compile(f"[{IGNORABLE}]")
_NO_INK: Final = re.compile(rf"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f{IGNORABLE}]")
"""Controls but tabs, separators and line breaks; and all that is ignorable."""
_NAME_SEPARATORS: Final = frozenset(" -'’.·_/")
"""May be between the words of one name, or be left out. `&` and a separator between digits may not."""


@dataclass(frozen=True, slots=True)
class FoldedText:
    """A normalised text with the origin of each of its characters."""

    text: str
    origins: tuple[int, ...] | None
    """For each character its offset in the original; None if both texts are the same."""
    ends: tuple[int, ...] | None
    """For each character the end of its origin, including marks dropped directly after it."""

    def original(self, start: int, end: int) -> tuple[int, int]:
        """Return the span of the original that `text[start:end]` comes from; it must not be empty."""
        if self.origins is None or self.ends is None:
            return start, end
        return self.origins[start], self.ends[end - 1]

    def with_spaces(self, offsets: Sequence[int]) -> "FoldedText":
        """Return the text with a space before each of these offsets, which ascend and are neither 0 nor its end.

        A span of it that begins or ends with such a space has no origin.
        """
        origins = self.origins or range(len(self.text))
        ends = self.ends or range(1, len(self.text) + 1)
        pieces: list[str] = []
        from_: list[int] = []
        to: list[int] = []
        last = 0
        for offset in (*offsets, len(self.text)):
            pieces.append(self.text[last:offset])
            from_ += (*origins[last:offset], origins[offset - 1])
            to += (*ends[last:offset], ends[offset - 1])
            last = offset
        return FoldedText(" ".join(pieces), tuple(from_[:-1]), tuple(to[:-1]))

    def within(self, source: "FoldedText") -> "FoldedText":
        """Return this reading of `source.text` with the origins of `source`."""
        if self.origins is None or self.ends is None or source.origins is None or source.ends is None:
            return source if self.origins is None else self
        origins = tuple(source.origins[at] for at in self.origins)
        return FoldedText(self.text, origins, tuple(source.ends[end - 1] for end in self.ends))


@dataclass(frozen=True, slots=True)
class SeenText:
    """A text without what nobody sees of it, with the offset of each character in the whole text."""

    text: str
    origins: Sequence[int]
    places: Sequence[int]
    """For each offset of the whole text, its end included, the number of characters seen before it."""


def seen(text: str) -> SeenText:
    """Return the text without its default-ignorable characters, which nobody sees and a large model reads."""
    if text.isascii() or _IGNORED.search(text) is None:
        whole = range(len(text) + 1)
        return SeenText(text, whole[:-1], whole)
    origins = [at for at, character in enumerate(text) if _IGNORED.match(character) is None]
    places = [0] * (len(text) + 1)
    for at in origins:
        places[at + 1] = 1
    return SeenText("".join(text[at] for at in origins), origins, list(accumulate(places)))


def is_invisible(character: str) -> bool:
    """Return whether nothing is drawn for a character, and it is neither a space nor a mark."""
    return unicodedata.category(character) == "Cf" or _NO_INK.match(character) is not None


def fold(text: str) -> FoldedText:
    """Fold a text for detectors. Time and memory are linear in its length."""
    if text.isascii() and _NO_INK.search(text) is None:
        return FoldedText(text, None, None)
    folded: list[str] = []
    origins: list[int] = []
    ends: list[int] = []
    for offset, character in enumerate(text):
        form = _fold_character(character)
        if not form and ends and unicodedata.category(character)[0] == "M":
            # An accent belongs to the letter before it; an invisible character belongs to no other.
            ends[-1] = offset + 1
        for piece in form:
            folded.append(piece)
            origins.append(offset)
            ends.append(offset + 1)
    return FoldedText("".join(folded), tuple(origins), tuple(ends))


def folded_exceeds(text: str, limit: int) -> bool:
    """Return whether the folded text has more characters than this: one code point may fold to 18."""
    if text.isascii():
        return len(text) > limit
    length = 0
    for character in text:
        length += len(_fold_character(character))
        if length > limit:
            return True
    return False


@lru_cache(maxsize=8192)
def _fold_character(character: str) -> str:
    """Return the folded form of one character; empty if it is invisible."""
    if is_invisible(character):
        return ""
    if character.isascii():
        return character
    if character in _LINE_BREAKS:
        return "\n"
    category = unicodedata.category(character)
    if category in {"Mn", "Me"}:
        return ""
    if category == "Zs" or character in BLANKS:
        return " "
    form = "".join(_fold_piece(piece) for piece in unicodedata.normalize("NFKC", character))
    return form if form.strip() else " "


def _fold_piece(piece: str) -> str:
    """Fold one character of a compatibility form; it may again be a mark, a digit of its script or a dash."""
    category = unicodedata.category(piece)
    if category in {"Mn", "Me"} or is_invisible(piece):
        return ""
    if category == "Nd":
        return str(unicodedata.decimal(piece))
    return "-" if category == "Pd" or piece == "−" else piece


def comparison_for(value: str, type: str) -> Comparison:
    """Return how a value of a type is compared.

    Separators carry meaning in secrets and addresses, and in everything with digits that is not a known type of number:
    `12-3` and `1-23` are two house numbers.
    """
    if type in SECRETS:
        return "exact"
    if type in ADDRESSES:
        return "caseless"
    if type in NUMBERS:
        return "compact"
    return "caseless" if any(character.isdigit() for character in value) else "compact"


def normal_form(value: str, comparison: Comparison) -> str:
    """Return what two equal values have in common; empty for a value of separators alone."""
    return "".join(normal_character(character, comparison) for character in value)


def normal_text(text: str, comparison: Comparison) -> FoldedText:
    """Return the normal form of a text, in which the normal form of a value occurs wherever the value does."""
    forms: list[str] = []
    origins: list[int] = []
    ends: list[int] = []
    for offset, character in enumerate(text):
        form = normal_character(character, comparison)
        if form:
            forms.append(form)
            origins.extend([offset] * len(form))
            ends.extend([offset + 1] * len(form))
    return FoldedText("".join(forms), tuple(origins), tuple(ends))


@lru_cache(maxsize=16384)
def normal_character(character: str, comparison: Comparison) -> str:
    """Return the normal form of one character.

    Decomposed (NFKD), so that a letter with an accent equals its precomposed character.
    """
    if is_invisible(character):
        return ""
    form = " " if character in BLANKS else unicodedata.normalize("NFKD", character)
    if comparison == "exact":
        return form
    form = "".join(str(unicodedata.decimal(piece, piece)) for piece in form.casefold())
    return "".join(piece for piece in form if not _is_separator(piece)) if comparison == "compact" else form


def _is_separator(piece: str) -> bool:
    return piece.isspace() or piece in _NAME_SEPARATORS or piece in "()" or unicodedata.category(piece) == "Pd"
