"""Multinomial logistic regression with a quadratic penalty, by preconditioned L-BFGS, in numpy alone.

Written by hand because scikit-learn needs two to three times the CPU for the same minimum, and a training has sixteen
to 31 fits. In one run, on one thread, CPU seconds of a fit: CLINC150 (15,000 × 384, 150 labels) 1.0 here and 2.0 by
`LogisticRegression` (lbfgs, float32, tol=5e-5), BANKING77 (10,003 × 384, 77 labels) 0.45 and 1.5. A looser tolerance is
as fast and costs accuracy (tol=2e-4: -0.4 and -0.3 points); newton-cg, sag and saga are slower still. Accuracy and mean
confidence are the same (95.6 and 95.7 %, 92.3 and 92.2 %). A whole training would take 48 instead of 37 CPU seconds, or
39 instead of 31, and would install scikit-learn and SciPy. A test compares the coefficients with scikit-learn's.

The result depends on the arguments alone: the same numbers on one thread give the same bytes.
"""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32] | NDArray[np.float64]
Function = Callable[[Array], tuple[float, Array]]
"""A point to the value and the gradient there."""
Preconditioner = Callable[[Array], Array]
"""A gradient to an approximation of the inverse Hessian times it; linear, symmetric and positive definite."""

TOLERANCE: Final = 1e-4
"""For a head: more digits change no answer."""
MAX_STEPS: Final = 300

_MEMORY: Final = 10
_SUFFICIENT: Final = 1e-4
"""Share of the predicted descent that a step must achieve (Armijo)."""
_MIN_STEP: Final = 1e-6
_FLAT: Final = 1e-12
_BLOCK: Final = 16_384
"""Rows at a time, so that a hundred thousand need no more memory than a few."""
_SHARED_CURVATURE: Final = 0.1
"""p (1 - p) of any row, as a share of its value at the start, where all classes have the same probability."""
_OWN_CURVATURE: Final = 0.1
"""p (1 - p) of the rows of the class itself."""


def fit_multinomial(
    rows: Array,
    classes: NDArray[np.int64],
    count: int,
    *,
    c: float,
    weights: NDArray[np.float64] | None = None,
    tolerance: float = TOLERANCE,
) -> tuple[Array, Array]:
    """Minimise c × Σ weight × log-loss + ½ × Σ squared coefficients, without a penalty on the bias.

    Args:
        rows: texts × features; the result has the same precision.
        classes: the class of each row, 0 to count - 1.
        count: how many classes there are.
        c: weight of the data against the penalty.
        weights: one per row; 1 each where there are none.
        tolerance: stop when a step lowers the value by less than this share of it.

    Returns:
        Features × classes, and one bias per class.
    """
    wide = np.concatenate([rows, np.ones((len(rows), 1), rows.dtype)], axis=1)
    penalties = np.ones((wide.shape[1], 1), rows.dtype)
    penalties[-1] = 0
    row_weights = np.full(len(rows), c) if weights is None else c * weights
    blocks = [slice(start, start + _BLOCK) for start in range(0, len(rows), _BLOCK)]

    def loss(coefficients: Array) -> tuple[float, Array]:
        penalised = penalties * coefficients
        value, gradient = 0.5 * float(np.vdot(penalised, penalised)), penalised.copy()
        for block in blocks:
            block_value, by_score = log_loss(wide[block] @ coefficients, classes[block], row_weights[block])
            value += block_value
            gradient += wide[block].T @ by_score
        return value, gradient

    start = np.zeros((wide.shape[1], count), rows.dtype)
    precondition = curvature_preconditioner(wide, classes, row_weights, penalties, count, blocks)
    minimum = minimise(loss, start, precondition, tolerance=tolerance, max_steps=MAX_STEPS)
    return minimum[:-1], minimum[-1]


def minimise(
    function: Function, start: Array, precondition: Preconditioner, *, tolerance: float, max_steps: int
) -> Array:
    """Minimise a smooth convex function by L-BFGS (Nocedal & Wright, Numerical Optimization, algorithms 7.4 and 7.5).

    Returns:
        A point from which a further step lowers the value by less than `tolerance` of itself, or the best one after
        `max_steps`.
    """
    point = start
    value, gradient = function(point)
    pairs: deque[tuple[Array, Array, float]] = deque(maxlen=_MEMORY)
    for _ in range(max_steps):
        direction = _direction(gradient, pairs, precondition)
        slope = float(np.vdot(gradient, direction))
        if slope >= -_FLAT:
            break
        step = 1.0
        while True:
            next_point = point + point.dtype.type(step) * direction
            next_value, next_gradient = function(next_point)
            if next_value <= value + _SUFFICIENT * step * slope or step < _MIN_STEP:
                break
            step /= 2
        moved, change = next_point - point, next_gradient - gradient
        curvature = float(np.vdot(moved, change))
        if curvature > _FLAT:
            pairs.append((moved, change, 1.0 / curvature))
        gain = (value - next_value) / max(abs(next_value), 1.0)
        if gain < 0:
            break
        point, value, gradient = next_point, next_value, next_gradient
        if gain < tolerance:
            break
    return point


def curvature_preconditioner(
    rows: Array,
    classes: NDArray[np.int64],
    weights: NDArray[np.float64],
    penalties: Array,
    count: int,
    blocks: Iterable[slice],
) -> Preconditioner:
    """Return an approximate inverse Hessian of the loss, which halves the evaluations that L-BFGS needs.

    For one class the Hessian is the penalty plus Σ weight × p (1 - p) × row rowᵀ, where p is the probability of the
    class. Two parts approximate it: over all rows p is small, which gives a share of the rows' second moments; for the
    rows of the class itself p (1 - p) is large, which adds curvature along their mean. The shares affect only the
    speed, not the minimum. A head on CLINC150 takes 25 evaluations instead of 50, one on BANKING77 26 instead of 60.

    The results add up to 0 over the classes, as gradients do: a component that all classes share changes no
    probability, and would drift.

    Args:
        rows: texts × features.
        classes: the class of each row.
        weights: one per row.
        penalties: one per feature; a feature without one must be the same in all rows.
        count: how many classes there are.
        blocks: the rows in parts, to bound the memory.
    """
    moments = np.diag(penalties.ravel()).astype(np.float64)
    sums = np.zeros((rows.shape[1], count))
    for block in blocks:
        weighted = (rows[block] * weights[block, None].astype(rows.dtype)).T
        moments += _SHARED_CURVATURE / count * (weighted @ rows[block])
        sums += weighted @ (classes[block, None] == np.arange(count)).astype(rows.dtype)
    shared = np.linalg.inv(moments)
    own = sums * np.sqrt(_OWN_CURVATURE / np.maximum(np.bincount(classes, weights, count), np.finfo(np.float64).tiny))
    # The inverse after adding own ownᵀ of each class (Sherman-Morrison).
    update = shared @ own
    update /= np.sqrt(1 + (own * update).sum(axis=0))
    shared, update = shared.astype(rows.dtype), update.astype(rows.dtype)

    def precondition(gradient: Array) -> Array:
        result: Array = shared @ gradient
        result -= update * (update * gradient).sum(axis=0)
        result -= result.mean(axis=1, keepdims=True)
        return result

    return precondition


def _direction(gradient: Array, pairs: deque[tuple[Array, Array, float]], precondition: Preconditioner) -> Array:
    """Return the direction of descent, by the curvature along the last steps (two-loop recursion)."""
    direction = -gradient
    factors = []
    for moved, change, inverse_curvature in reversed(pairs):
        factor = inverse_curvature * float(np.vdot(moved, direction))
        factors.append(factor)
        direction -= direction.dtype.type(factor) * change
    direction = precondition(direction)
    if pairs:
        _, change, inverse_curvature = pairs[-1]
        scale = 1.0 / (inverse_curvature * float(np.vdot(change, precondition(change))))
        direction *= direction.dtype.type(scale)
    for (moved, change, inverse_curvature), factor in zip(pairs, reversed(factors), strict=True):
        correction = inverse_curvature * float(np.vdot(change, direction))
        direction += direction.dtype.type(factor - correction) * moved
    return direction


def log_loss(scores: Array, classes: NDArray[np.int64], weights: NDArray[np.float64]) -> tuple[float, Array]:
    """Return the weighted log-loss of some rows and its gradient by their scores, which are overwritten."""
    indexes = np.arange(len(scores))
    scores -= scores.max(axis=1, keepdims=True)
    own = scores[indexes, classes].astype(np.float64)
    np.exp(scores, out=scores)
    sums = scores.sum(axis=1)
    value = float(weights @ (np.log(sums.astype(np.float64)) - own))
    scores *= (weights / sums).astype(scores.dtype)[:, None]
    scores[indexes, classes] -= weights.astype(scores.dtype)
    return value, scores
