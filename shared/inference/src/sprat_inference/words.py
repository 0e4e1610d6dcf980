"""Split a text into words, and find the token that represents each. Training and serving of names share this module.

A word is a run of letters and digits with their accents, or one other visible character: `Jean-Luc's` is five words.
The label of a word is that of the token with its first character. Words that share this token form one unit, within
which no name can begin or end.
"""

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]

_MARKS: Final = "\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20f0\ufe00-\ufe0f\ufe20-\ufe2f\u200c\u200d"
"""Accents and joiners. They belong to the character before them, and `\\w` does not match them."""

_WORD: Final = re.compile(rf"\w[\w{_MARKS}]*+|[^\w\s][{_MARKS}]*+")

_BREAK: Final = re.compile(r"\n\s*\n")
"""A name may continue in the next line, but not in the next paragraph."""


@dataclass(frozen=True, slots=True)
class WordUnits:
    """The units of a text, in its order, as parallel int64 arrays with one entry per unit."""

    starts: Integers
    """The first code point."""
    ends: Integers
    """One past the last code point."""
    tokens: Integers
    """Index of the token whose label is that of the unit."""


def word_spans(text: str) -> Integers:
    """Return words × 2, int64: the first code point, and one past the last."""
    return np.array([match.span() for match in _WORD.finditer(text)], dtype=np.int64).reshape(-1, 2)


def find_units(text: str, starts: Integers, ends: Integers) -> WordUnits:
    """Find the units of a text.

    Args:
        text: the text.
        starts: the first code point of each token, ascending.
        ends: one past the last code point of each token.
    """
    spans = word_spans(text)
    if not len(spans) or not len(starts):
        return _NONE
    # The last token that begins at or before the word; the offset of a token may include the space before it.
    tokens = starts.searchsorted(spans[:, 0], side="right") - 1
    # A word that the tokenizer drops (control characters) is in no token, and belongs to no unit.
    tokenized = (tokens >= 0) & (ends[tokens] > spans[:, 0])
    if not tokenized.all():
        spans, tokens = spans[tokenized], tokens[tokenized]
        if not len(spans):
            return _NONE
    changes = np.flatnonzero(tokens[1:] != tokens[:-1]) + 1
    firsts, lasts = np.concatenate([[0], changes]), np.concatenate([changes - 1, [len(tokens) - 1]])
    return WordUnits(spans[firsts, 0], spans[lasts, 1], tokens[firsts])


def paragraph_starts(text: str, units: WordUnits) -> NDArray[np.bool_]:
    """Return for each unit whether it begins a paragraph: such a one cannot continue a name."""
    starts = np.zeros(len(units.starts), dtype=bool)
    starts[:1] = True
    if "\n" not in text:
        return starts
    for match in _BREAK.finditer(text):
        place = int(np.searchsorted(units.starts, match.end()))
        starts[place : place + 1] = True
    return starts


def end_of_letter(text: str, end: int) -> int:
    """Return the end after the combining marks that follow: they belong to the letter before them."""
    while end < len(text) and not text[end].isascii() and unicodedata.category(text[end])[0] == "M":
        end += 1
    return end


_NONE: Final = WordUnits(*(np.zeros(0, np.int64) for _ in range(3)))
