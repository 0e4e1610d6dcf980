"""Texts that repeat another one but for opening, ending, numbers or a few words, as rows from a template do.

"Hello, I lost my badge, please" and "Could you tell me what to do, I lost my badge" are two texts, but a model that was
fitted on the one has seen the other; so are "move 100 euros" and "move 250 euros". An opening or ending is a run of
words with which several texts begin or end. What is left without them, with each number as 0, is the core. Texts are
doubles if their cores are equal, or if most pairs of neighbouring words are the same.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sprat_training.datasets.distinct import MIN_TEXTS, TrainingData
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
_NUMBER: Final = re.compile(r"\d+")
_ALIKE: Final = 0.6
"""Share of the pairs of neighbouring words, those of both texts counted once, that two doubles have in common.

Of 160 rows made of 16 sentences and 10 numbers it leaves 16 groups; of BANKING77's 10,003 texts, which people wrote, it
calls 6.7 % doubles of another one of their label ("I want to choose a new PIN.", "I want to create a new pin.")."""


def cores_of(texts: Sequence[str]) -> list[str]:
    """Return the core of the first text that each text is a double of, its own where it is the first."""
    cores = [*_cores(texts)]
    return [" ".join(cores[first]) for first in _first_alike(cores)]


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

    def is_most(self, data: TrainingData) -> bool:
        """Return whether more than half of the texts repeat another one of their label."""
        return 2 * self.different < len(data.texts)


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
    split = [tuple(_WORD.findall(_NUMBER.sub("0", normalised_text(text)))) for text in texts]
    openings, endings = _frequent(split), _frequent([words[::-1] for words in split])
    for words in split:
        left = _without(words, openings)
        yield _without(left[::-1], endings)[::-1]


def _first_alike(cores: Sequence[Words]) -> list[int]:
    """Return of each core the index of the first one that it is like; that one is like no earlier one.

    Only cores that share one of their rarest pairs are compared: two that have so many in common cannot share the
    frequent ones alone (prefix filter, Chaudhuri et al. 2006).
    """
    pairs = [frozenset(zip(("", *core), (*core, ""), strict=True)) for core in cores]
    counts = Counter(pair for each in pairs for pair in each)
    with_pair: dict[tuple[str, str], list[int]] = {}
    first: list[int] = []
    for place, own in enumerate(pairs):
        rarest = sorted(own, key=lambda pair: (counts[pair], pair))[: len(own) - math.ceil(_ALIKE * len(own)) + 1]
        near = dict.fromkeys(other for pair in rarest for other in with_pair.get(pair, ()))
        found = next((other for other in near if len(own & pairs[other]) >= _ALIKE * len(own | pairs[other])), place)
        first.append(found)
        if found == place:
            for pair in rarest:
                with_pair.setdefault(pair, []).append(place)
    return first


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
