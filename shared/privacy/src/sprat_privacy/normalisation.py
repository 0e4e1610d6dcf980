"""Other readings of a text, each with the origin of every character.

*Folding* is for detectors. It works character by character, so that every offset has an exact origin: NFKC (full-width
and other compatibility forms), digits of every script to 0–9, spaces of every kind to a space, hyphens and dashes of
every kind to `-`. Invisible characters (zero-width characters, soft hyphens, direction marks, variation selectors,
fillers, controls) and combining marks are dropped, so that they cannot split a number; characters that look blank are
spaces. Letters do not change: a Cyrillic `А` is not an `A`.

The *normal form* is for comparing values: two spans of a text are the same value if their normal forms are equal.

*Decoding* replaces HTML's character references, as `&#64;` or `&nbsp;`, by what a browser shows.
"""

import html
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from html.entities import html5
from typing import Final, Literal

from sprat_privacy.entity_types import ADDRESSES, NUMBERS, SECRETS

Comparison = Literal["exact", "caseless", "compact"]
"""What a comparison of values ignores: nothing; case; case and separators."""

_LINE_BREAKS = frozenset("\n\r\v\f\x85\u2028\u2029")
BLANKS: Final = frozenset("\u2800\U0001d159")
"""Signs without ink: BRAILLE PATTERN BLANK and MUSICAL SYMBOL NULL NOTEHEAD."""
_NO_INK: Final = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff]"
)
"""Controls but tabs, separators and line breaks; and what Unicode 16 calls Default_Ignorable_Code_Point: nothing is
drawn for these, whatever their category."""
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


_AMPERSAND: Final = "(?:amp|#0*+38|#[xX]0*+26);"
_WITHOUT_SEMICOLON: Final = "|".join(sorted((name for name in html5 if name[-1] != ";"), key=len, reverse=True))
_REFERENCE: Final = re.compile(
    rf"&(?:{_AMPERSAND})?"
    r"(?:#(?=[0-9])0*+[0-9]{0,7}+;?|#[xX](?=[0-9A-Fa-f])0*+[0-9A-Fa-f]{0,6}+;?|"
    rf"[A-Za-z][A-Za-z0-9]{{1,31}}+;|(?:{_WITHOUT_SEMICOLON}))"
)
"""A character reference, itself written with one for its `&` or not. As browsers do, it takes numbers with any zeros
before them, and numbers and the oldest names without `;`."""


def decode_references(text: str) -> FoldedText | None:
    """Return the text with its character references decoded, those of references once; None if it has none.

    What a browser does not show as a character (surrogates, unknown names) stays as it is.
    """
    pieces: list[str] = []
    origins: list[int] = []
    ends: list[int] = []
    last = 0
    for match in _REFERENCE.finditer(text):
        start, end = match.span()
        shown = _shown(match.group())
        if shown is None:
            continue
        pieces += (text[last:start], shown)
        origins += (*range(last, start), *(start for _ in shown))
        ends += (*range(last + 1, start + 1), *(end for _ in shown))
        last = end
    if not last:
        return None
    pieces.append(text[last:])
    origins += range(last, len(text))
    ends += range(last + 1, len(text) + 1)
    return FoldedText("".join(pieces), tuple(origins), tuple(ends))


@lru_cache(maxsize=1024)
def _shown(reference: str) -> str | None:
    """Return what a character reference stands for; None if for nothing."""
    single = re.sub(rf"^&{_AMPERSAND}(?=.)", "&", reference)
    if single[1] != "#" and single[1:] not in html5:
        return None
    shown = html.unescape(single)
    return shown if shown and "\ufffd" not in shown else None


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
