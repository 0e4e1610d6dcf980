"""Texts that repeat another one but for their opening and ending, as rows that were made from a template do.

"Hello, I lost my badge, please" and "Could you tell me what to do, I lost my badge" are two texts, but a model that was
fitted on the one has seen the other. An opening or ending is a run of words with which several texts begin or end. What
is left without them is the core; texts with one core are doubles.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sprat_training.data import MIN_TEXTS, TrainingData
from sprat_training.datasets.rows import normalised_text

Words = tuple[str, ...]

_WORD: Final = re.compile(r"\w+")
_LONGEST: Final = 6
"""Words of an opening or ending that are taken off at once."""
_LEAST_TEXTS: Final = 5
_LEAST_SHARE: Final = 0.01
"""So many texts, and so many of all, begin with an opening: less is no habit and no template."""
_LEAST_NEXT: Final = 5
"""So many different words follow an opening: after its first words, or after one and a part of the core, few do."""
_LEAST_CORE: Final = 3
"""Words that are left of a text: fewer say too little to be called the same."""


def cores_of(texts: Sequence[str]) -> list[str]:
    """Return the core of each text: doubles have the same one."""
    return [" ".join(core) for core in _cores(texts)]


def core_numbers(texts: Sequence[str]) -> NDArray[np.int64]:
    """Return the number of each text's core."""
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(core, len(numbers)) for core in cores_of(texts)], dtype=np.int64)


def doubles_of(texts: Sequence[str], others: Sequence[str]) -> NDArray[np.bool_]:
    """Return of each text whether one of the others is its double."""
    cores = core_numbers((*texts, *others))
    return np.isin(cores[: len(texts)], cores[len(texts) :])


@dataclass(frozen=True, slots=True)
class DoublesFound:
    """Doubles among the texts of a training, and between them and its test."""

    different: int
    """Texts without their doubles: the different sentences of each label, added up."""
    few: Mapping[str, int]
    """Labels with fewer than `MIN_TEXTS` different sentences → how many."""
    test: NDArray[np.bool_]
    """Of each text of the test, whether it is a double of one that is trained on."""


def find_doubles(data: TrainingData, cores: NDArray[np.int64], test: Sequence[str]) -> DoublesFound:
    """Return the doubles.

    Args:
        data: what is fitted.
        cores: of its texts.
        test: the texts of the test that have a label.
    """
    pairs = np.unique(np.stack([data.gold, cores]), axis=1)
    sentences = np.bincount(pairs[0], minlength=len(data.labels))
    few = {label: int(count) for label, count in zip(data.labels, sentences, strict=True) if count < MIN_TEXTS}
    return DoublesFound(int(sentences.sum()), few, doubles_of(test, data.texts))


def _cores(texts: Sequence[str]) -> Iterator[Words]:
    split = [tuple(_WORD.findall(normalised_text(text))) for text in texts]
    openings, endings = _frequent(split), _frequent([words[::-1] for words in split])
    for words in split:
        left = _without(words, openings)
        yield _without(left[::-1], endings)[::-1]


def _frequent(split: Sequence[Words]) -> set[Words]:
    """Return the runs of words with which many of the texts begin, and after which they go on differently."""
    least = max(_LEAST_TEXTS, _LEAST_SHARE * len(split))
    found: set[Words] = set()
    known: set[Words] = {()}
    for length in range(1, _LONGEST + 1):  # a run is frequent only where the run that it goes on is
        longer = [words for words in split if len(words) > length and words[: length - 1] in known]
        counts = Counter(words[:length] for words in longer)
        following = Counter(run[:length] for run in {words[: length + 1] for words in longer})
        known = {run for run, count in counts.items() if count >= least}
        found |= {run for run in known if following[run] >= _LEAST_NEXT}
    return found


def _without(words: Words, frequent: set[Words]) -> Words:
    """Return the words without the frequent runs at their beginning, the longest first, as long as enough are left."""
    while True:
        most = min(_LONGEST, len(words) - _LEAST_CORE)
        length = next((length for length in range(most, 0, -1) if words[:length] in frequent), 0)
        if length == 0:
            return words
        words = words[length:]
