"""From the probability of each label for each token to spans: whole words, well formed, each of one type.

Where a label sequence is not well formed (an `I-` with nothing before it, a word whose tokens disagree), the reading
that masks more is taken: one token is enough for its word, and an `I-` may begin a span.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from sprat.models.windows import Pieces
from sprat.perimeter.boundaries import widen
from sprat.perimeter.folding import Folded
from sprat.perimeter.found import Found
from sprat.perimeter.head import Floats
from sprat.perimeter.labels import Labels
from sprat.perimeter.words import JOINS, Run, personal_words

FINDER: Final = "tagger"

NOT_AT_THE_EDGE: Final = '.,;:!?"“”„«»…'
"""Punctuation of the sentence, not of the value."""


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
    for run in _phrases(folded.text, _runs(personal_words(folded.text, pieces, probabilities, labels, least))):
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
