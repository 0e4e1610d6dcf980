"""Fits the lexical stage of a label model: multinomial logistic regression on tf-idf of n-grams, in numpy alone."""

import itertools
from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from sprat_inference.heads import Floats
from sprat_inference.lexical import LexicalModel, NGramTable
from sprat_inference.ngrams import NGrams
from sprat_training.fitting.regression import Array, log_loss, minimise
from sprat_training.thresholds.rows import Integers

REGULARISATION_C: Final = 30.0
MAX_BYTES: Final = 12_000_000
"""Of the artefact's file."""
_MIN_TEXTS: Final = 2
"""An n-gram of one text says nothing of others."""
_BYTES_PER_NGRAM: Final = 12
_SHARED_CURVATURE: Final = 0.1
_OWN_CURVATURE: Final = 0.1
_TOLERANCE: Final = 1e-2
_MAX_STEPS: Final = 40


Entries = tuple[list[int], Integers, Floats]
"""Of a sparse matrix by row: the bounds of each row, then the column and the value of each entry."""


@dataclass(frozen=True, slots=True)
class TfIdf:
    """The tf-idf of some texts, a sparse matrix of texts × n-grams.

    A product is a sum of few rows of the other matrix for each row. Dense columns for the frequent n-grams are no
    faster.
    """

    by_text: Entries
    by_ngram: Entries

    @classmethod
    def of(cls, texts: Integers, places: Integers, values: Floats, shape: tuple[int, int]) -> Self:
        """Make it of its entries, sorted by text; entries of one text and n-gram add up."""
        order = np.argsort(places, kind="stable")
        return cls(
            _entries(texts, places, values, shape[0]), _entries(places[order], texts[order], values[order], shape[1])
        )

    def add_scores(self, weights: Array, out: Array) -> None:
        """Add to `out`, texts × labels, the product with `weights`, n-grams × labels."""
        _add_product(self.by_text, weights, out)

    def add_gradient(self, by_score: Array, out: Array) -> None:
        """Add to `out`, n-grams × labels, the product of the transposed matrix with `by_score`, texts × labels."""
        _add_product(self.by_ngram, by_score, out)


def _entries(rows: Integers, columns: Integers, values: Floats, count: int) -> Entries:
    return np.searchsorted(rows, np.arange(count + 1)).tolist(), columns, values


def _add_product(entries: Entries, matrix: Array, out: Array) -> None:
    bounds, places, values = entries
    for row, (start, end) in enumerate(itertools.pairwise(bounds)):
        if start < end:
            out[row] += values[start:end] @ matrix.take(places[start:end], axis=0)


def select_ngrams(ngrams: NGrams, count: int, labels: int) -> NGramTable:
    """Return the n-grams that enough of `count` texts have; if too many for the file, the more frequent ones."""
    pairs = np.unique(ngrams.hashes.astype(np.uint64) << np.uint64(32) | ngrams.texts.astype(np.uint64))
    hashes, texts = np.unique((pairs >> np.uint64(32)).astype(np.uint32), return_counts=True)
    most = MAX_BYTES // (labels + _BYTES_PER_NGRAM)
    least = _MIN_TEXTS
    if (texts >= least).sum() > most:
        least = int(np.sort(texts)[-most]) + 1
    kept = texts >= least
    idf = np.log((1 + count) / (1 + texts[kept])) + 1
    return NGramTable(hashes[kept], idf.astype(np.float32), float(np.log((1 + count) / 2) + 1))


def fit_lexical(ngrams: NGrams, gold: Integers, labels: int, *, c: float = REGULARISATION_C) -> LexicalModel:
    """Fit the stage on texts with labels.

    Args:
        ngrams: of the texts.
        gold: index of each text's label, 0 to labels - 1.
        labels: how many labels there are.
        c: weight of the texts against the penalty on large coefficients.
    """
    table = select_ngrams(ngrams, len(gold), labels)
    places = table.find(ngrams.hashes)
    known = places >= 0
    values = table.weigh(ngrams, places, len(gold))[known]
    rows = TfIdf.of(ngrams.texts[known], places[known], values, (len(gold), len(table.hashes)))
    weights = np.full(len(gold), c)

    def loss(coefficients: Array) -> tuple[float, Array]:
        scores = np.tile(coefficients[-1], (len(gold), 1))
        rows.add_scores(coefficients[:-1], scores)
        value, by_score = log_loss(scores, gold, weights)
        gradient = coefficients.copy()
        gradient[-1] = by_score.sum(axis=0)
        rows.add_gradient(by_score, gradient[:-1])
        return value + 0.5 * float(np.vdot(coefficients[:-1], coefficients[:-1])), gradient

    start = np.zeros((len(table.hashes) + 1, labels), np.float32)
    inverse = _inverse_curvature(ngrams.texts[known], places[known], values, gold, start.shape, c)
    coefficients = minimise(loss, start, lambda slope: slope * inverse, tolerance=_TOLERANCE, max_steps=_MAX_STEPS)
    return LexicalModel.quantised(table, coefficients[:-1].astype(np.float32), coefficients[-1].astype(np.float32))


def _inverse_curvature(
    texts: Integers, places: Integers, values: Floats, gold: Integers, shape: tuple[int, ...], c: float
) -> Floats:
    """Return an approximation of the inverse of the Hessian's diagonal, in the shape of the coefficients.

    As in :func:`sprat_training.fitting.regression.curvature_preconditioner`: a share for all texts, one for
    the label's own.
    """
    count, labels = shape
    squares = values.astype(np.float64) ** 2
    own = np.bincount(places * labels + gold[texts], squares, (count - 1) * labels).reshape(count - 1, labels)
    own = np.vstack([own, np.bincount(gold, minlength=labels)])
    every = own.sum(axis=1, keepdims=True)
    inverse: Floats = (1 / (1 + c * (_SHARED_CURVATURE / labels * every + _OWN_CURVATURE * own))).astype(np.float32)
    return inverse
