"""Fit the calibration on development texts, single and joined, so that it also covers long texts."""

import random
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from recipes.ner.gold import Sentence, laid_on
from recipes.ner.quality import canonical, read
from sprat_ner.calibration import NAME, TEXT, NameCalibrator, name_features, text_features
from sprat_ner.model import NerModel

CALIBRATION_C = 100.0
"""Inverse strength of the regularisation; so weak that it only keeps the parameters finite."""
TOGETHER = (1, 2, 3, 5, 8, 13, 21)
"""Numbers of neighbouring texts joined into one; the joined texts of each size have a third of all words."""

SHIFT_PRIOR = 1.0
"""Precision of the prior on the shift of a language: mean 0, standard deviation 1."""

Doubles = NDArray[np.float64]
Flags = NDArray[np.bool_]


def texts_for(sets: Sequence[list[Sentence]], chance: random.Random) -> Iterator[Sentence]:
    """Yield all sentences, and groups of neighbours, as texts."""
    for sentences in sets:
        for many in TOGETHER:
            groups = [sentences[first : first + many] for first in range(0, len(sentences), many)]
            for group in groups:
                if many == 1 or chance.random() < 1 / 3:
                    yield joined(group)


def joined(group: Sequence[Sentence]) -> Sentence:
    """Return several sentences as one text."""
    words = [word for sentence in group for word in sentence.words]
    return Sentence.of(words, [label for sentence in group for label in sentence.labels])


def fit(model: NerModel, sentences: Sequence[Sentence], others: Mapping[str, Sequence[Sentence]]) -> NameCalibrator:
    """Fit both calibrations on texts that the model was not trained on.

    Args:
        model: with any calibration; it is not used.
        sentences: English.
        others: language → texts of it, for its shift.
    """
    english = NameCalibrator(
        {what: _logistic(rows, right) for what, (rows, right) in features(model, sentences).items()}
    )
    shifts = {}
    for language, texts in others.items():
        for what, (rows, right) in features(model, texts).items():
            weights = english.weights[what]
            shifts[f"{what}_{language}"] = _shift(rows @ weights[1:] + weights[0], right)
    return NameCalibrator(english.weights, shifts)


def features(model: NerModel, sentences: Sequence[Sentence]) -> dict[str, tuple[Doubles, Flags]]:
    """Return features and correctness, for the names that were found and for the texts."""
    names, names_right, rows, rows_right = [], [], [], []
    for sentence, recognition in zip(sentences, read(model, [each.text for each in sentences]), strict=True):
        found = [(entity.start, entity.end, entity.label) for entity in recognition.names]
        if len(recognition.decoding.labels):
            rows.append(text_features(recognition.decoding))
            rows_right.append(canonical(laid_on(sentence.bounds, found)) == canonical(sentence.labels))
        wanted = {(span.start, span.end, span.label) for span in sentence.spans()}
        names += recognition.decoding.names
        names_right += [each in wanted for each in found]
    return {NAME: (name_features(names), np.array(names_right)), TEXT: (np.array(rows), np.array(rows_right))}


def _shift(log_odds: Doubles, right: Flags) -> float:
    """Return the shift of the log-odds that fits best, with a prior around 0 (Newton's method)."""
    shift = 0.0
    for _ in range(50):
        chances = 1 / (1 + np.exp(-(log_odds + shift)))
        slope = float((right - chances).sum()) - SHIFT_PRIOR * shift
        shift += slope / (float((chances * (1 - chances)).sum()) + SHIFT_PRIOR)
    return shift


def _logistic(rows: Doubles, right: Flags) -> Doubles:
    """Fit a logistic regression; return bias and weights for unscaled features."""
    middle, spread = rows.mean(axis=0), rows.std(axis=0) + 1e-9
    regression = LogisticRegression(C=CALIBRATION_C, max_iter=1000).fit((rows - middle) / spread, right)
    weights = regression.coef_[0] / spread
    return np.concatenate([regression.intercept_ - weights @ middle, weights])
