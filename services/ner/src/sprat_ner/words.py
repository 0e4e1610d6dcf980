"""A text's words, and which token of the model speaks for each. Training and serving read texts in this one way.

A word is a run of letters and digits with their accents, or one other visible character: `Jean-Luc's` is five. The
model speaks of a word by the token that holds its first character. Words that share that token are one unit: its name
cannot begin or end between them.
"""

import re
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]

_MARKS: Final = "\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20f0\ufe00-\ufe0f\ufe20-\ufe2f\u200c\u200d"
"""Accents and joiners: they belong to the character before them. Python does not count them to `\\w`."""

_WORD: Final = re.compile(rf"\w[\w{_MARKS}]*+|[^\w\s][{_MARKS}]*+")


@dataclass(frozen=True, slots=True)
class Units:
    """Parallel arrays, one entry a unit, in the order of the text."""

    starts: Integers
    """First code point."""
    ends: Integers
    """Behind the last one."""
    tokens: Integers
    """Place of the token that speaks for it."""


def word_spans(text: str) -> Integers:
    """Words × 2: first code point, and the one behind the last."""
    return np.array([match.span() for match in _WORD.finditer(text)], dtype=np.int64).reshape(-1, 2)


def units(text: str, starts: Integers, ends: Integers) -> Units:
    """Find the units of a text.

    Args:
        text: the text.
        starts: of each token, in code points of `text`, rising.
        ends: of each token.
    """
    spans = word_spans(text)
    if not len(spans) or not len(starts):
        return _NONE
    # The last token that begins at or before the word; its offset may include the space before it.
    places = starts.searchsorted(spans[:, 0], side="right") - 1
    # A word that the tokenizer drops (control characters) lies in no token: it belongs to no unit.
    seen = (places >= 0) & (ends[places] > spans[:, 0])
    if not seen.all():
        spans, places = spans[seen], places[seen]
        if not len(spans):
            return _NONE
    changes = np.flatnonzero(places[1:] != places[:-1]) + 1
    firsts, lasts = np.concatenate([[0], changes]), np.concatenate([changes - 1, [len(places) - 1]])
    return Units(spans[firsts, 0], spans[lasts, 1], places[firsts])


_NONE: Final = Units(*(np.zeros(0, np.int64) for _ in range(3)))
