"""From the probability of each label for each token to detections: whole words, each detection of one type.

One token is enough for its word. A capitalised word next to a person's name, or before a place, counts at a far lower
probability than one on its own: if the tagger finds "Siobhan" and doubts "Ní Bhriain", the whole name is masked. (Two
thresholds of which the lower applies only next to the upper are known as hysteresis; Canny 1986.)

If a label sequence is not well formed (an `I-` after nothing, a word whose tokens disagree), the interpretation that
masks more is taken: one token is enough for its word, and an `I-` may begin a detection.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from sprat_inference.artefact import BrokenArtefact
from sprat_inference.heads import Floats
from sprat_inference.windows import TokenizedText
from sprat_privacy.boundaries import widen
from sprat_privacy.detection import Detection
from sprat_privacy.normalisation import FoldedText

OUTSIDE: Final = "O"

TYPES: Final[Mapping[str, str]] = {
    "GIVEN_NAME": "PERSON",
    "SURNAME": "PERSON",
    "BUILDING_NUMBER": "ADDRESS",
    "STREET_NAME": "ADDRESS",
    "SECONDARY_ADDRESS": "ADDRESS",
    "ZIP_CODE": "ADDRESS",
    "CITY": "LOCATION",
    "STATE": "LOCATION",
    "EMAIL": "EMAIL",
    "PHONE": "PHONE",
    "URL": "URL",
    "TAX_ID": "TAX_ID",
    "GOVERNMENT_ID": "GOVERNMENT_ID",
    "PASSPORT": "PASSPORT",
    "DRIVERS_LICENSE": "DRIVERS_LICENSE",
    "BANK_ACCOUNT": "BANK_ACCOUNT",
    "ROUTING_NUMBER": "ROUTING_NUMBER",
}
"""Label without `B-` or `I-` → entity type.

A given name and a surname next to each other are one value; so are a street, its number and its post code. The type of
a number is a guess from its context: a card or an IBAN is found as another type of number, or as two. The validators
decide.
"""

LEAST_NEXT_TO_NAME: Final = 0.005
"""Probability of being personal from which a capitalised word next to a name is part of it. On presidio-research (even
templates) it raises the names found whole from 97.6 to 98.0 %, without more false positives."""

JOINING_SIGNS: Final = frozenset("-'’._@")
"""One of these between two spans of one type, without white space, joins them: Jean-Luc, O'Neill."""

EXTENDED_AFTER: Final = frozenset({"PERSON"})
EXTENDED_BEFORE: Final = frozenset({"PERSON", "LOCATION"})
"""Types that include a doubtful word after or before them. Places too: the tagger takes the end of some rare family
names for a place."""

DETECTOR: Final = "tagger"

SENTENCE_PUNCTUATION: Final = '.,;:!?"“”„«»…'
"""Trimmed from the ends of a span: it belongs to the sentence, not to the value."""


@dataclass(frozen=True, slots=True)
class Labels:
    """The labels of a head, in its order; all sequences but `types` are parallel to them."""

    types: tuple[str, ...]
    """The entity types of the labels, sorted."""
    outside: int
    """Index of `O`."""
    to_types: NDArray[np.float32]
    """Labels × types, 1 if the label means the type: converts probabilities of labels into those of types."""
    names: tuple[str, ...]
    """Each label without `B-` or `I-`."""
    begins: tuple[bool, ...]
    """Whether each label has `B-`."""

    @classmethod
    def of(cls, labels: Sequence[str]) -> Self:
        """Map the labels to entity types.

        Raises:
            BrokenArtefact: there is no `O`, or a label is not in :data:`TYPES`.
        """
        names = tuple(label[2:] if label[:2] in {"B-", "I-"} else label for label in labels)
        if unknown := sorted({*names} - {OUTSIDE, *TYPES}):
            raise BrokenArtefact(f"the tagger has labels without a type: {', '.join(unknown)}; add them to TYPES")
        if OUTSIDE not in names:
            raise BrokenArtefact("the tagger has no label O for what is not personal; run the recipe again")
        types = tuple(sorted({TYPES[name] for name in names if name != OUTSIDE}))
        to_types = [[TYPES.get(name) == type for type in types] for name in names]
        begins = tuple(label.startswith("B-") for label in labels)
        return cls(types, names.index(OUTSIDE), np.array(to_types, np.float32), names, begins)


def decode(
    text: str, folded: FoldedText, pieces: TokenizedText, probabilities: Floats, *, labels: Labels, least: float
) -> list[Detection]:
    """Return the detections in the order of the text, without overlaps.

    Args:
        text: the original text; offsets of the detections count in it.
        folded: the text that was tokenised.
        pieces: its tokens, at least one.
        probabilities: tokens × labels.
        labels: the columns of `probabilities`.
        least: the probability of being personal from which a word is masked, wherever it is.
    """
    detections: list[Detection] = []
    words = _personal_words(folded.text, pieces, probabilities, labels, least)
    for run in _join_phrases(folded.text, _join_touching(words)):
        if (trimmed := _trim(folded.text, run)) is None:
            continue
        start, end = widen(text, *folded.original(*trimmed))
        detection = Detection(start, end, labels.types[int(run.masses.argmax())], DETECTOR, _mean(run.scores))
        if detections and detection.start < detections[-1].end:  # an invisible character joins them
            last = detections.pop()
            strongest = max(last, detection, key=lambda each: each.score)
            detection = Detection(last.start, max(last.end, end), strongest.type, DETECTOR, strongest.score)
        detections.append(detection)
    return detections


def word_chances(
    folded: FoldedText, pieces: TokenizedText, probabilities: Floats, *, labels: Labels
) -> list[tuple[int, int, float]]:
    """Return start, end and the probability of being personal of each word, in the original text; see :func:`decode`.

    Not calibrated, and before neighbours are taken into account.
    """
    words = _group_tokens(pieces, probabilities, labels)
    return [
        (*folded.original(int(start), int(end)), float(score))
        for start, end, score in zip(words.starts, words.ends, words.scores, strict=True)
        if end > start
    ]


@dataclass(frozen=True, slots=True)
class _Run:
    """One word, or several joined words. Offsets count in the folded text."""

    start: int
    end: int
    masses: Floats
    """Probability of each type, summed over the tokens."""
    scores: tuple[float, ...]
    """Probability of being personal, of each word."""
    begins: str | None
    """Name of the label of the first token, if it is a `B-`."""
    last_label: str
    """Name of the label of the last word; empty if the word was included because of its neighbour."""

    def join(self, other: "_Run") -> "_Run":
        """Return one run of both; `other` comes after."""
        masses, scores = self.masses + other.masses, self.scores + other.scores
        return _Run(self.start, other.end, masses, scores, self.begins, other.last_label)


@dataclass(frozen=True, slots=True)
class _Words:
    """All words of a text, as parallel arrays."""

    firsts: NDArray[np.int64]
    """Index of each word's first token."""
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    scores: Floats
    """Probability of being personal: the highest of the word's tokens."""
    masses: Floats
    """Words × types: probability of each type, summed over the word's tokens."""


def _personal_words(
    text: str, pieces: TokenizedText, probabilities: Floats, labels: Labels, least: float
) -> Iterator[_Run]:
    """Yield each personal word as a run; arguments as for :func:`decode`, `text` folded."""
    words = _group_tokens(pieces, probabilities, labels)
    personal = (words.scores >= least) & (words.ends > words.starts)
    included = _include_neighbours(text, words, labels, personal)
    for word in np.flatnonzero(personal):
        label = _likeliest(probabilities[words.firsts[word]], labels.outside)
        name = labels.names[label]
        begins = name if labels.begins[label] else None
        if word in included:  # doubtful by itself, so neither it nor the word after it begins a span
            begins, name = None, ""
        start, end, score = int(words.starts[word]), int(words.ends[word]), float(words.scores[word])
        yield _Run(start, end, words.masses[word], (score,), begins, name)


def _group_tokens(pieces: TokenizedText, probabilities: Floats, labels: Labels) -> _Words:
    firsts = np.flatnonzero(np.diff(pieces.words, prepend=-1))
    return _Words(
        firsts,
        np.minimum.reduceat(pieces.starts, firsts),
        np.maximum.reduceat(pieces.ends, firsts),
        np.maximum.reduceat(1 - probabilities[:, labels.outside], firsts),
        np.add.reduceat(probabilities @ labels.to_types, firsts),
    )


def _include_neighbours(text: str, words: _Words, labels: Labels, personal: NDArray[np.bool_]) -> set[int]:
    """Mark doubtful words next to a name as personal, with its type; return the indexes of these words."""
    included: set[int] = set()

    def include(word: int, neighbour: int, types: frozenset[str]) -> None:
        is_next = _is_next(text, words, min(word, neighbour)) and bool(personal[neighbour])
        if is_next and labels.types[int(words.masses[neighbour].argmax())] in types:
            personal[word], words.masses[word] = True, words.masses[neighbour]
            included.add(word)

    doubtful = ~personal & (words.scores >= LEAST_NEXT_TO_NAME) & (words.ends > words.starts)
    candidates = [
        word
        for word in map(int, np.flatnonzero(doubtful))
        if _is_capitalised(text[words.starts[word] : words.ends[word]])
    ]
    for word in candidates:  # ascending, so that an included word includes the next one
        if word > 0:
            include(word, word - 1, EXTENDED_AFTER)
    for word in reversed(candidates):
        if word not in included and word + 1 < len(personal):
            include(word, word + 1, EXTENDED_BEFORE)
    return included


def _is_next(text: str, words: _Words, word: int) -> bool:
    """Return whether at most one space or joining sign separates a word from the next one."""
    gap = text[words.ends[word] : words.starts[word + 1]]
    return gap in {"", " "} or gap in JOINING_SIGNS


def _is_capitalised(word: str) -> bool:
    return len(word) > 1 and word[0].isupper()


def _likeliest(row: NDArray[np.float32], outside: int) -> int:
    """Return the index of the likeliest label other than `O`."""
    inside = row.copy()
    inside[outside] = -1
    return int(inside.argmax())


def _join_touching(words: Iterable[_Run]) -> Iterator[_Run]:
    """Join words that touch: an e-mail address is many words to the tokenizer, and has one type."""
    current: _Run | None = None
    for word in words:
        if current is not None and word.start <= current.end:
            current = current.join(word)
            continue
        if current is not None:
            yield current
        current = word
    if current is not None:
        yield current


def _join_phrases(text: str, runs: Iterable[_Run]) -> Iterator[_Run]:
    """Join runs of one type that only white space or a joining sign separates, unless a new span begins."""
    current: _Run | None = None
    for run in runs:
        if current is not None and _continues(text, current, run):
            current = current.join(run)
            continue
        if current is not None:
            yield current
        current = run
    if current is not None:
        yield current


def _continues(text: str, before: _Run, run: _Run) -> bool:
    if before.masses.argmax() != run.masses.argmax():
        return False
    gap = text[before.end : run.start]
    if gap in JOINING_SIGNS:
        return True
    return gap.isspace() and "\n" not in gap and run.begins != before.last_label


def _trim(text: str, run: _Run) -> tuple[int, int] | None:
    """Return the span of a run without the sentence's punctuation; None if no letter or digit is left."""
    value = text[run.start : run.end]
    start = run.start + len(value) - len(value.lstrip(SENTENCE_PUNCTUATION))
    end = run.start + len(value.rstrip(SENTENCE_PUNCTUATION))
    return (start, end) if any(character.isalnum() for character in text[start:end]) else None


def _mean(scores: tuple[float, ...]) -> float:
    return min(sum(scores) / len(scores), 1.0)
