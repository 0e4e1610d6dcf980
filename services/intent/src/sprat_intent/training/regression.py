"""Multinomial logistic regression with a quadratic penalty, for heads and for calibrations."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from sprat_intent.training.curvature import inverse_curvature
from sprat_intent.training.lbfgs import Array, minimise

TOLERANCE: Final = 1e-4
"""Of a head: a further digit changes no answer."""
MOST_STEPS: Final = 300
_BLOCK: Final = 16_384
"""Rows at a time, so that a hundred thousand of them need no more memory than a few."""


def fit_multinomial(
    rows: Array,
    classes: NDArray[np.int64],
    count: int,
    *,
    c: float,
    weights: NDArray[np.float64] | None = None,
    tolerance: float = TOLERANCE,
) -> tuple[Array, Array]:
    """Minimise c × Σ weight × log-loss + ½ × Σ squared coefficients; the bias costs nothing.

    Args:
        rows: texts × features; the answer has the same precision.
        classes: the class of each, 0 to count - 1.
        count: how many classes there are.
        c: how much the data weigh against the penalty.
        weights: one a text; 1 each where there are none.
        tolerance: stop when a step gains less than this share of the whole.

    Returns:
        Features × classes, and one bias a class.
    """
    wide = np.concatenate([rows, np.ones((len(rows), 1), rows.dtype)], axis=1)
    penalised = np.ones((wide.shape[1], 1), rows.dtype)
    penalised[-1] = 0
    each = np.full(len(rows), c) if weights is None else c * weights
    blocks = [slice(begin, begin + _BLOCK) for begin in range(0, len(rows), _BLOCK)]

    def loss(coefficients: Array) -> tuple[float, Array]:
        kept = penalised * coefficients
        value, slope = 0.5 * float(np.vdot(kept, kept)), kept.copy()
        for block in blocks:
            surprise, turned = _surprise(wide[block] @ coefficients, classes[block], each[block])
            value += surprise
            slope += wide[block].T @ turned
        return value, slope

    start = np.zeros((wide.shape[1], count), rows.dtype)
    inverse = inverse_curvature(wide, classes, each, penalised, count, blocks)
    found = minimise(loss, start, inverse, tolerance=tolerance, most=MOST_STEPS)
    return found[:-1], found[-1]


def _surprise(scores: Array, classes: NDArray[np.int64], weights: NDArray[np.float64]) -> tuple[float, Array]:
    """Give the weighted log-loss of some rows and its gradient by their scores, which are overwritten."""
    places = np.arange(len(scores))
    scores -= scores.max(axis=1, keepdims=True)
    own = scores[places, classes].astype(np.float64)
    np.exp(scores, out=scores)
    sums = scores.sum(axis=1)
    value = float(weights @ (np.log(sums.astype(np.float64)) - own))
    scores *= (weights / sums).astype(scores.dtype)[:, None]
    scores[places, classes] -= weights.astype(scores.dtype)
    return value, scores
