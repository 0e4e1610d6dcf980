"""From the probability of each label for each word to names: well-formed, and the likeliest sequence as a whole.

The labels are IOB2 (`B-` begins a name, `I-` continues it). Where the likeliest label of each word gives an ill-formed
sequence (an `I-` that continues nothing), the best well-formed one is found by the Viterbi algorithm. So a name has one
type, and begins where its words together are likeliest to begin.

The head also learns MISC (works, products, events, peoples, …), because that improves the three other types. MISC is
not served: the data sets disagree on what belongs to it.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sprat_inference.words import WordUnits, paragraph_starts

TYPES: Final = ("PER", "ORG", "LOC")
"""The types that are served."""

HEAD_LABELS: Final = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC", "B-MISC", "I-MISC")
"""The columns of the head."""

SERVED_LABELS: Final = HEAD_LABELS[:7]
"""The columns after :func:`merge_misc`: what is no person, organisation or place is outside."""

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Integers = NDArray[np.int64]

SMALLEST_CHANCE: Final = 1e-6
"""The smallest probability used: below it, the head's rounding errors dominate."""

_CERTAIN: Final = float(np.log(0.99))
"""A word with this log-probability to be outside splits a sequence in two."""

_TYPE_OF: Final = np.array([0, 1, 1, 2, 2, 3, 3])
"""Type of each of :data:`SERVED_LABELS`; 0 is outside."""
_CONTINUES: Final = np.array([False, False, True, False, True, False, True])
_NEVER: Final = -1e9


def _transitions() -> Doubles:
    table = np.zeros((len(SERVED_LABELS), len(SERVED_LABELS)))
    for after in np.flatnonzero(_CONTINUES):
        table[_TYPE_OF[after] != _TYPE_OF, after] = _NEVER
    return table


_TRANSITIONS: Final = _transitions()


@dataclass(frozen=True, slots=True)
class DecodedName:
    """One name. `start` and `end` are code points."""

    start: int
    end: int
    type: str
    log_chance: float
    """Natural logarithm of the chance that all its words are labelled right and the next word does not continue it."""
    least_log_chance: float
    """Natural logarithm of the chance of its least certain word."""
    words: int
    """Number of words."""


@dataclass(frozen=True, slots=True)
class Decoding:
    """The labels and names of one text."""

    names: tuple[DecodedName, ...]
    logs: Doubles
    """float64, words × labels: natural logarithms of the probabilities."""
    labels: Integers
    """int64, words: index of the label of each word."""


def merge_misc(chances: Floats) -> Floats:
    """Return words × 7 from words × 9: the probability of MISC is added to `O`."""
    merged: Floats = chances[..., : len(SERVED_LABELS)].copy()
    merged[..., 0] += chances[..., len(SERVED_LABELS) :].sum(axis=-1)
    return merged


def decode(text: str, units: WordUnits, chances: Floats) -> Decoding:
    """Find the names of a text.

    Args:
        text: the text.
        units: its words.
        chances: probabilities, float32, words × :data:`SERVED_LABELS`.
    """
    logs = np.log(np.maximum(chances.astype(np.float64), SMALLEST_CHANCE))
    starts = paragraph_starts(text, units)
    labels = logs.argmax(axis=1) if len(logs) else np.zeros(0, np.int64)
    _make_well_formed(labels, logs, starts)
    return Decoding(tuple(_names(units, logs, labels, starts)), logs, labels)


def _ill_formed(labels: Integers, starts: NDArray[np.bool_]) -> Integers:
    """Return the indices of the words whose label continues nothing."""
    before = np.concatenate([[0], _TYPE_OF[labels[:-1]]]) if len(labels) else labels
    return np.flatnonzero(_CONTINUES[labels] & ((before != _TYPE_OF[labels]) | starts))


def _make_well_formed(labels: Integers, logs: Doubles, starts: NDArray[np.bool_]) -> None:
    """Replace each ill-formed section of `labels`, in place, by its best well-formed sequence."""
    if not len(wrong := _ill_formed(labels, starts)):
        return
    edges = np.flatnonzero((labels == 0) & (logs[:, 0] > _CERTAIN))
    done = 0
    for place in wrong:
        if place < done:
            continue
        after = int(np.searchsorted(edges, place))
        start = int(edges[after - 1]) if after else 0
        done = int(edges[after]) + 1 if after < len(edges) else len(labels)
        labels[start:done] = _best_sequence(logs[start:done], starts[start:done])


def _best_sequence(logs: Doubles, starts: NDArray[np.bool_]) -> Integers:
    """Return the best labels of a section by the Viterbi algorithm; the word before the section is outside."""
    no_continuation = np.where(_CONTINUES, _NEVER, 0.0)
    score = logs[0] + no_continuation
    back = np.zeros((len(logs), logs.shape[1]), dtype=np.int64)
    for place in range(1, len(logs)):
        paths = score[:, None] + _TRANSITIONS
        back[place] = paths.argmax(axis=0)
        score = paths.max(axis=0) + logs[place] + (no_continuation if starts[place] else 0.0)
    labels = np.zeros(len(logs), dtype=np.int64)
    labels[-1] = int(score.argmax())
    for place in range(len(logs) - 1, 0, -1):
        labels[place - 1] = back[place, labels[place]]
    return labels


def _names(units: WordUnits, logs: Doubles, labels: Integers, starts: NDArray[np.bool_]) -> list[DecodedName]:
    inside = labels != 0
    firsts = np.flatnonzero(inside & ~_CONTINUES[labels])
    stops = np.flatnonzero(~inside | ~_CONTINUES[labels])
    names = []
    for first in firsts:
        place = int(np.searchsorted(stops, first, side="right"))
        stop = int(stops[place]) if place < len(stops) else len(labels)
        each = logs[np.arange(first, stop), labels[first:stop]]
        continuing = SERVED_LABELS.index("I" + SERVED_LABELS[labels[first]][1:])
        ends = 0.0
        if stop < len(labels) and not starts[stop]:
            ends = float(np.log1p(-min(np.exp(logs[stop, continuing]), 1 - SMALLEST_CHANCE)))
        start, end = int(units.starts[first]), int(units.ends[stop - 1])
        type = SERVED_LABELS[labels[first]][2:]
        names.append(DecodedName(start, end, type, float(each.sum()) + ends, float(each.min()), stop - int(first)))
    return names
