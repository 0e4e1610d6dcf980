"""From the probability of each label for each token to spans: whole words, well formed, each of one type.

Where a label sequence is not well formed (an `I-` with nothing before it, a word whose tokens disagree), the reading
that masks more is taken: one token is enough for its word, and an `I-` may begin a span.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sprat.models.windows import Pieces
from sprat.perimeter.boundaries import widen
from sprat.perimeter.folding import Folded
from sprat.perimeter.found import Found
from sprat.perimeter.head import Floats
from sprat.perimeter.labels import Labels

FINDER: Final = "tagger"

JOINS: Final = frozenset("-'’._@")
"""One of these between two finds of one type, without white space, belongs to both: Jean-Luc, O'Neill."""

NOT_AT_THE_EDGE: Final = '.,;:!?"“”„«»…'
"""Punctuation of the sentence, not of the value."""


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


def decode(
    text: str, folded: Folded, pieces: Pieces, probabilities: Floats, *, labels: Labels, least: float
) -> list[Found]:
    """Give what is personal, in the order of the text, without overlaps.

    Args:
        text: the text itself; the offsets are its.
        folded: the text as the tokenizer got it.
        pieces: its tokens.
        probabilities: tokens × labels.
        labels: what the columns mean.
        least: the chance of being personal from which a word is.
    """
    found: list[Found] = []
    for run in _phrases(folded.text, _runs(_words(pieces, probabilities, labels, least))):
        if (trimmed := _trim(folded.text, run)) is None:
            continue
        start, end = widen(text, *folded.original(*trimmed))
        one = Found(start, end, labels.types[int(run.masses.argmax())], FINDER, _mean(run.chances))
        if found and one.start < found[-1].end:  # an invisible character holds them together
            last = found.pop()
            strongest = max(last, one, key=lambda each: each.score)
            one = Found(last.start, max(last.end, end), strongest.type, FINDER, strongest.score)
        found.append(one)
    return found


def _words(pieces: Pieces, probabilities: Floats, labels: Labels, least: float) -> Iterator[Run]:
    """The words that are personal, each as a run of its own."""
    firsts = np.flatnonzero(np.diff(pieces.words, prepend=-1))
    personal = np.maximum.reduceat(1 - probabilities[:, labels.outside], firsts)
    masses = np.add.reduceat(probabilities @ labels.to_types, firsts)
    starts, ends = np.minimum.reduceat(pieces.starts, firsts), np.maximum.reduceat(pieces.ends, firsts)
    for word in np.flatnonzero((personal >= least) & (ends > starts)):
        label = _likeliest(probabilities[firsts[word]], labels.outside)
        kind = labels.kinds[label]
        begins = kind if labels.begins[label] else None
        yield Run(int(starts[word]), int(ends[word]), masses[word], (float(personal[word]),), begins, kind)


def _likeliest(row: NDArray[np.float32], outside: int) -> int:
    inside = row.copy()
    inside[outside] = -1
    return int(inside.argmax())


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
