"""Parts of the data that take turns in being held out."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

_SMALL: Final = 3_000
"""Up to so many texts ten folds cost little; above, five tell as much."""

Integers = NDArray[np.int64]


def fold_count(texts: int) -> int:
    """Give how many folds there should be."""
    return 10 if texts <= _SMALL else 5


def text_folds(gold: Integers, count: int, *, seed: int = 0) -> Integers:
    """Give the fold of each text; every label is spread over the folds as evenly as can be."""
    random = np.random.default_rng(seed)
    folds = np.empty(len(gold), np.int64)
    start = 0
    for label in np.unique(gold):
        places = random.permutation(np.flatnonzero(gold == label))
        folds[places] = (np.arange(len(places)) + start) % count
        start += len(places)
    return folds


def label_folds(labels: int, count: int, *, seed: int = 0) -> Integers:
    """Give the fold of each label."""
    return np.random.default_rng(seed).permutation(labels) % count
