"""From the probability of each label for each token to the words that are personal.

One token is enough for its word. A capitalised word beside a person's name, or before a place, is believed at a far
lower chance than one that stands alone: a model that has found "Siobhan" and doubts "Ní Bhriain" is not to leave half
of a name. (Two thresholds of which the lower one holds only beside the upper one are known as hysteresis; Canny 1986.)
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sprat.models.windows import Pieces
from sprat.perimeter.head import Floats
from sprat.perimeter.labels import Labels

LEAST_BESIDE: Final = 0.005
"""The chance of being personal from which a capitalised word beside a name is part of it. On presidio-research (even
templates) names found whole rise from 97.6 to 98.0 % with it, and no more is masked in vain."""

JOINS: Final = frozenset("-'’._@")
"""One of these between two finds of one type, without white space, belongs to both: Jean-Luc, O'Neill."""

TAKES_THE_WORD_AFTER: Final = frozenset({"PERSON"})
TAKES_THE_WORD_BEFORE: Final = frozenset({"PERSON", "LOCATION"})
"""A place takes the word before it along, too: with rare family names the tagger reads a place's name in their end."""


@dataclass(frozen=True, slots=True)
class Run:
    """Words without white space between them, or what has been joined of them. Offsets are those of the folded text."""

    start: int
    end: int
    masses: Floats
    """Probability of each type, summed over the tokens."""
    chances: tuple[float, ...]
    """Of each word, the chance that it is personal."""
    begins: str | None
    """The kind, where the first token is labelled as a beginning."""
    kind: str
    """Of the last word."""

    def joined(self, other: "Run") -> "Run":
        """Give both as one; `other` comes after."""
        masses, chances = self.masses + other.masses, self.chances + other.chances
        return Run(self.start, other.end, masses, chances, self.begins, other.kind)


@dataclass(frozen=True, slots=True)
class _Words:
    """All words of a text; the arrays are parallel."""

    firsts: NDArray[np.int64]
    """Place of each word's first token."""
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    chances: Floats
    """Of being personal."""
    masses: Floats
    """Words × types."""


def personal_words(text: str, pieces: Pieces, probabilities: Floats, labels: Labels, least: float) -> Iterator[Run]:
    """Give the words that are personal, each as a run of its own.

    Args:
        text: the text as the tokenizer got it.
        pieces: its tokens, at least one.
        probabilities: tokens × labels.
        labels: what the columns mean.
        least: the chance of being personal from which a word is, wherever it stands.
    """
    words = _read(pieces, probabilities, labels)
    personal = (words.chances >= least) & (words.ends > words.starts)
    taken = _take_neighbours(text, words, labels, personal)
    for word in np.flatnonzero(personal):
        label = _likeliest(probabilities[words.firsts[word]], labels.outside)
        kind = labels.kinds[label]
        begins = kind if labels.begins[label] else None
        if word in taken:  # doubted by itself, so it is no beginning, and the word after it is none either
            begins, kind = None, ""
        start, end, chance = int(words.starts[word]), int(words.ends[word]), float(words.chances[word])
        yield Run(start, end, words.masses[word], (chance,), begins, kind)


def _read(pieces: Pieces, probabilities: Floats, labels: Labels) -> _Words:
    firsts = np.flatnonzero(np.diff(pieces.words, prepend=-1))
    return _Words(
        firsts,
        np.minimum.reduceat(pieces.starts, firsts),
        np.maximum.reduceat(pieces.ends, firsts),
        np.maximum.reduceat(1 - probabilities[:, labels.outside], firsts),
        np.add.reduceat(probabilities @ labels.to_types, firsts),
    )


def _take_neighbours(text: str, words: _Words, labels: Labels, personal: NDArray[np.bool_]) -> set[int]:
    """Make personal what belongs to a name, of its neighbour's type, and give the places of these words."""
    taken: set[int] = set()

    def take(word: int, neighbour: int, takes: frozenset[str]) -> None:
        joined = _beside(text, words, min(word, neighbour)) and bool(personal[neighbour])
        if joined and labels.types[int(words.masses[neighbour].argmax())] in takes:
            personal[word], words.masses[word] = True, words.masses[neighbour]
            taken.add(word)

    doubted = ~personal & (words.chances >= LEAST_BESIDE) & (words.ends > words.starts)
    may = [
        word
        for word in map(int, np.flatnonzero(doubted))
        if _is_capitalised(text[words.starts[word] : words.ends[word]])
    ]
    for word in may:  # rising, so that one that is taken takes the next one
        if word > 0:
            take(word, word - 1, TAKES_THE_WORD_AFTER)
    for word in reversed(may):
        if word not in taken and word + 1 < len(personal):
            take(word, word + 1, TAKES_THE_WORD_BEFORE)
    return taken


def _beside(text: str, words: _Words, word: int) -> bool:
    """Stands nothing but one space or a joining sign between a word and the next one?"""
    gap = text[words.ends[word] : words.starts[word + 1]]
    return gap in {"", " "} or gap in JOINS


def _is_capitalised(word: str) -> bool:
    return len(word) > 1 and word[0].isupper()


def _likeliest(row: NDArray[np.float32], outside: int) -> int:
    inside = row.copy()
    inside[outside] = -1
    return int(inside.argmax())
