"""From the chance of each label for each word to names: well formed, and the likeliest as a whole.

Where the likeliest label of each word makes no well-formed row (an `I-` that continues nothing), the best row there is
found by Viterbi's method. So a name has one type, and begins where the words together say.
"""

import re
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sprat_ner.labels import SERVED, Floats
from sprat_ner.words import Units

Doubles = NDArray[np.float64]
Integers = NDArray[np.int64]

LEAST: Final = 1e-6
"""No chance is taken for smaller: the head's rounding says no more."""

_CERTAIN: Final = float(np.log(0.99))
"""A word outside that is so likely to be it cuts a row in two."""

_BREAK: Final = re.compile(r"\n\s*\n")
"""A name goes on in the next line, but not in the next paragraph."""

_KINDS: Final = np.array([0, 1, 1, 2, 2, 3, 3])
"""Type of each column of :data:`~sprat_ner.labels.SERVED`; 0 is outside."""
_CONTINUES: Final = np.array([False, False, True, False, True, False, True])
_NEVER: Final = -1e9


def _transitions() -> Doubles:
    table = np.zeros((len(SERVED), len(SERVED)))
    for after in np.flatnonzero(_CONTINUES):
        table[_KINDS[after] != _KINDS, after] = _NEVER
    return table


_TRANSITIONS: Final = _transitions()


@dataclass(frozen=True, slots=True)
class Name:
    """A name that was found."""

    start: int
    """In code points."""
    end: int
    type: str
    whole: float
    """Log of the chance that all its words are labelled right and the next one does not continue it."""
    least: float
    """Log of the chance of its least certain word."""
    words: int


@dataclass(frozen=True, slots=True)
class Row:
    """What was made of one text."""

    names: tuple[Name, ...]
    logs: Doubles
    """Words × labels: logs of the chances."""
    labels: Integers
    """The label taken for each word."""


def decode(text: str, units: Units, chances: Floats) -> Row:
    """Find the names of a text.

    Args:
        text: the text.
        units: its words.
        chances: words × :data:`~sprat_ner.labels.SERVED`.
    """
    logs = np.log(np.maximum(chances.astype(np.float64), LEAST))
    fresh = _fresh(text, units)
    labels = logs.argmax(axis=1) if len(logs) else np.zeros(0, np.int64)
    _mend(labels, logs, fresh)
    return Row(tuple(_names(units, logs, labels, fresh)), logs, labels)


def _fresh(text: str, units: Units) -> NDArray[np.bool_]:
    """Words that cannot continue a name, because a paragraph begins with them."""
    fresh = np.zeros(len(units.starts), dtype=bool)
    fresh[:1] = True
    if "\n" not in text:
        return fresh
    for match in _BREAK.finditer(text):
        place = int(np.searchsorted(units.starts, match.end()))
        fresh[place : place + 1] = True
    return fresh


def _wrong(labels: Integers, fresh: NDArray[np.bool_]) -> Integers:
    """Places whose label continues nothing."""
    before = np.concatenate([[0], _KINDS[labels[:-1]]]) if len(labels) else labels
    return np.flatnonzero(_CONTINUES[labels] & ((before != _KINDS[labels]) | fresh))


def _mend(labels: Integers, logs: Doubles, fresh: NDArray[np.bool_]) -> None:
    """Put the best well-formed row wherever the row is not well formed."""
    if not len(wrong := _wrong(labels, fresh)):
        return
    edges = np.flatnonzero((labels == 0) & (logs[:, 0] > _CERTAIN))
    done = 0
    for place in wrong:
        if place < done:
            continue
        after = int(np.searchsorted(edges, place))
        start = int(edges[after - 1]) if after else 0
        done = int(edges[after]) + 1 if after < len(edges) else len(labels)
        labels[start:done] = _best_row(logs[start:done], fresh[start:done])


def _best_row(logs: Doubles, fresh: NDArray[np.bool_]) -> Integers:
    """Viterbi over a stretch; what stands before it is outside."""
    shut = np.where(_CONTINUES, _NEVER, 0.0)
    score = logs[0] + shut
    back = np.zeros((len(logs), logs.shape[1]), dtype=np.int64)
    for place in range(1, len(logs)):
        paths = score[:, None] + _TRANSITIONS
        back[place] = paths.argmax(axis=0)
        score = paths.max(axis=0) + logs[place] + (shut if fresh[place] else 0.0)
    row = np.zeros(len(logs), dtype=np.int64)
    row[-1] = int(score.argmax())
    for place in range(len(logs) - 1, 0, -1):
        row[place - 1] = back[place, row[place]]
    return row


def _names(units: Units, logs: Doubles, labels: Integers, fresh: NDArray[np.bool_]) -> list[Name]:
    inside = labels != 0
    firsts = np.flatnonzero(inside & ~_CONTINUES[labels])
    stops = np.flatnonzero(~inside | ~_CONTINUES[labels])
    names = []
    for first in firsts:
        place = int(np.searchsorted(stops, first, side="right"))
        stop = int(stops[place]) if place < len(stops) else len(labels)
        each = logs[np.arange(first, stop), labels[first:stop]]
        going_on = SERVED.index("I" + SERVED[labels[first]][1:])
        ends = 0.0
        if stop < len(labels) and not fresh[stop]:
            ends = float(np.log1p(-min(np.exp(logs[stop, going_on]), 1 - LEAST)))
        start, end = int(units.starts[first]), int(units.ends[stop - 1])
        type = SERVED[labels[first]][2:]
        names.append(Name(start, end, type, float(each.sum()) + ends, float(each.min()), stop - int(first)))
    return names
