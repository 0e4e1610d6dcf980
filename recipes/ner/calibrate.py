"""Fit the calibration on development texts, single and joined, so that it also covers long texts."""

import random
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from recipes.ner.gold import Sentence, laid_on
from recipes.ner.quality import FoundName, canonical, read
from recipes.ner.sets import DEVELOPMENT, read_set
from sprat_ner.calibration import (
    MISSED,
    NAME,
    NONE,
    TEXT,
    WIDTHS,
    NameCalibrator,
    missed_features,
    name_features,
    text_features,
)
from sprat_ner.decoding import TYPES
from sprat_ner.model import NerModel

CALIBRATION_C = 100.0
"""Inverse strength of the regularisation; so weak that it only keeps the parameters finite."""
TOGETHER = (1, 2, 3, 5, 8, 13, 21)
"""Numbers of neighbouring texts joined into one; the joined texts of each size have a third of all words."""

SHIFT_PRIOR = 1.0
"""Precision of the prior on the shift of a language: mean 0, standard deviation 1."""

SEED: Final = 20261125
PARTS: Final = (NAME, TEXT, NONE, MISSED)
"""What is calibrated."""

Doubles = NDArray[np.float64]
Flags = NDArray[np.bool_]
FeaturesOf = Mapping[str, tuple[Doubles, Flags]]
"""Each of :data:`PARTS` → features, float64, rows × features, and whether each row is right."""


def development_texts(data: Path) -> dict[str, list[Sentence]]:
    """Return for each set all its development sentences, and then groups of neighbours, as texts.

    Raises:
        FileNotFoundError: when `data` does not hold them.
    """
    chance = random.Random(SEED)  # noqa: S311 - repeatable, no secret
    return {name: list(_texts_of(read_set(data, parts), chance)) for name, parts in DEVELOPMENT.items()}


def _texts_of(sentences: list[Sentence], chance: random.Random) -> Iterator[Sentence]:
    for many in TOGETHER:
        groups = [sentences[first : first + many] for first in range(0, len(sentences), many)]
        for group in groups:
            if many == 1 or chance.random() < 1 / 3:
                yield joined(group)


def joined(group: Sequence[Sentence]) -> Sentence:
    """Return several sentences as one text."""
    words = [word for sentence in group for word in sentence.words]
    return Sentence.of(words, [label for sentence in group for label in sentence.labels])


@dataclass(frozen=True, slots=True)
class Fitted:
    """The calibration of all sets, and that of all but one."""

    of_all: NameCalibrator
    without: Mapping[str, NameCalibrator]
    """Set → the calibration that was fitted without it: what the levels are measured by."""


def fit(model: NerModel, sets: Mapping[str, Sequence[Sentence]], others: Mapping[str, Sequence[Sentence]]) -> Fitted:
    """Fit the calibrations on texts that the model was not trained on.

    Args:
        model: with any calibration; it is not used.
        sets: name → its texts, English.
        others: language → texts of it, for its shift.
    """
    read = {name: features(model, texts) for name, texts in sets.items()}
    shifted = {language: features(model, texts) for language, texts in others.items()}
    without = {name: _fitted([each for other, each in read.items() if other != name], shifted) for name in read}
    return Fitted(_fitted([*read.values()], shifted), without)


def _fitted(sets: Sequence[FeaturesOf], others: Mapping[str, FeaturesOf]) -> NameCalibrator:
    weights = {what: _logistic([each[what] for each in sets]) for what in PARTS}
    shifts = {}
    for language, found in others.items():
        for what, (rows, right) in found.items():
            shifts[f"{what}_{language}"] = _shift(rows @ weights[what][1:] + weights[what][0], right)
    return NameCalibrator(weights, shifts)


def features(model: NerModel, sentences: Sequence[Sentence]) -> FeaturesOf:
    """Return features and correctness: of the names found, of the texts with some and with none, of what is missed."""
    rows: dict[str, list[tuple[float, ...]]] = {what: [] for what in PARTS}
    right: dict[str, list[bool]] = {what: [] for what in PARTS}
    for sentence, recognition in zip(sentences, read(model, [each.text for each in sentences]), strict=True):
        decoding = recognition.decoding
        found = [(entity.start, entity.end, entity.label) for entity in recognition.names]
        wanted = served(sentence)
        right[NAME] += [each in wanted for each in found]
        rows[NAME] += map(tuple, name_features(decoding.names))
        if found:
            rows[TEXT].append(text_features(decoding))
            right[TEXT].append(canonical(laid_on(sentence.bounds, found)) == canonical(sentence.labels))
        if len(decoding.labels):
            what = MISSED if found else NONE
            rows[what].append(missed_features(decoding))
            right[what].append(misses_nothing(wanted, found))
    return {
        what: (np.array(rows[what], np.float64).reshape(-1, WIDTHS[what]), np.array(right[what], np.bool_))
        for what in PARTS
    }


def served(sentence: Sentence) -> set[FoundName]:
    """Return the names of a sentence that are of a served type."""
    return {(span.start, span.end, span.label) for span in sentence.spans() if span.label in TYPES}


def misses_nothing(wanted: Collection[FoundName], found: Sequence[FoundName]) -> bool:
    """Return whether each wanted name overlaps one found: what is wrong of that is the probability of the one found."""
    return all(any(first < end and start < last for first, last, _ in found) for start, end, _ in wanted)


def weights_of(counts: Sequence[int]) -> Doubles:
    """Return the weight of a row of each set, 1 on average of all rows: in all, a set weighs the root of its rows.

    So the largest set decides less than it would by its rows, and the smallest less than if all sets weighed the same.
    """
    numbers = np.maximum(counts, 1).astype(np.float64)
    return numbers.sum() / np.sqrt(numbers).sum() / np.sqrt(numbers)


def _shift(log_odds: Doubles, right: Flags) -> float:
    """Return the shift of the log-odds that fits best, with a prior around 0 (Newton's method)."""
    shift = 0.0
    for _ in range(50):
        chances = 1 / (1 + np.exp(-(log_odds + shift)))
        slope = float((right - chances).sum()) - SHIFT_PRIOR * shift
        shift += slope / (float((chances * (1 - chances)).sum()) + SHIFT_PRIOR)
    return shift


def _logistic(sets: Sequence[tuple[Doubles, Flags]]) -> Doubles:
    """Fit a logistic regression on weighted sets; return bias and weights for unscaled features."""
    rows, right = (np.concatenate(each) for each in zip(*sets, strict=True))
    counts = [len(each) for _, each in sets]
    middle, spread = rows.mean(axis=0), rows.std(axis=0) + 1e-9
    regression = LogisticRegression(C=CALIBRATION_C, max_iter=1000)
    regression.fit((rows - middle) / spread, right, np.repeat(weights_of(counts), counts))
    weights = regression.coef_[0] / spread
    return np.concatenate([regression.intercept_ - weights @ middle, weights])
