"""From the probability of each label for each token to the words that are personal.

One token is enough for its word. A capitalised word beside a person's name, or before a place, is believed at a far
lower chance than one that stands alone: a model that has found "Siobhan" and doubts "Ní Bhriain" is not to leave half
of a name. (Two thresholds of which the lower one holds only beside the upper one are known as hysteresis; Canny 1986.)
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sprat_inference.heads import Floats
from sprat_inference.windows import TokenizedText
from sprat_privacy.boundaries import widen
from sprat_privacy.detection import Detection
from sprat_privacy.detectors.tagger_labels import Labels
from sprat_privacy.normalisation import Folded

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


def personal_words(
    text: str, pieces: TokenizedText, probabilities: Floats, labels: Labels, least: float
) -> Iterator[Run]:
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


def _read(pieces: TokenizedText, probabilities: Floats, labels: Labels) -> _Words:
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


# From the probability of each label for each token to spans: whole words, well formed, each of one type.
#
# Where a label sequence is not well formed (an `I-` with nothing before it, a word whose tokens disagree), the reading
# that masks more is taken: one token is enough for its word, and an `I-` may begin a span.

FINDER: Final = "tagger"

NOT_AT_THE_EDGE: Final = '.,;:!?"“”„«»…'
"""Punctuation of the sentence, not of the value."""


def decode(
    text: str, folded: Folded, pieces: TokenizedText, probabilities: Floats, *, labels: Labels, least: float
) -> list[Detection]:
    """Give what is personal, in the order of the text, without overlaps.

    Args:
        text: the text itself; the offsets are its.
        folded: the text as the tokenizer got it.
        pieces: its tokens.
        probabilities: tokens × labels.
        labels: what the columns mean.
        least: the chance of being personal from which a word is.
    """
    found: list[Detection] = []
    for run in _phrases(folded.text, _runs(personal_words(folded.text, pieces, probabilities, labels, least))):
        if (trimmed := _trim(folded.text, run)) is None:
            continue
        start, end = widen(text, *folded.original(*trimmed))
        one = Detection(start, end, labels.types[int(run.masses.argmax())], FINDER, _mean(run.chances))
        if found and one.start < found[-1].end:  # an invisible character holds them together
            last = found.pop()
            strongest = max(last, one, key=lambda each: each.score)
            one = Detection(last.start, max(last.end, end), strongest.type, FINDER, strongest.score)
        found.append(one)
    return found


def _runs(words: Iterable[Run]) -> Iterator[Run]:
    """Words that touch become one run: an address of e-mail is many words to the tokenizer, and has one type."""
    current: Run | None = None
    for word in words:
        if current is not None and word.start <= current.end:
            current = current.joined(word)
            continue
        if current is not None:
            yield current
        current = word
    if current is not None:
        yield current


def _phrases(text: str, runs: Iterable[Run]) -> Iterator[Run]:
    """Runs of one type become one where nothing but a space or a joining sign parts them, and none begins anew."""
    current: Run | None = None
    for run in runs:
        if current is not None and _belongs(text, current, run):
            current = current.joined(run)
            continue
        if current is not None:
            yield current
        current = run
    if current is not None:
        yield current


def _belongs(text: str, before: Run, run: Run) -> bool:
    if before.masses.argmax() != run.masses.argmax():
        return False
    gap = text[before.end : run.start]
    if gap in JOINS:
        return True
    return gap.isspace() and "\n" not in gap and run.begins != before.kind


def _trim(text: str, run: Run) -> tuple[int, int] | None:
    """The run without the sentence's punctuation; None where nothing is left that could be a value."""
    value = text[run.start : run.end]
    start = run.start + len(value) - len(value.lstrip(NOT_AT_THE_EDGE))
    end = run.start + len(value.rstrip(NOT_AT_THE_EDGE))
    return (start, end) if any(character.isalnum() for character in text[start:end]) else None


def _mean(chances: tuple[float, ...]) -> float:
    return min(sum(chances) / len(chances), 1.0)
