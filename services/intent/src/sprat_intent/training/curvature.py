"""About how a multinomial loss bends, so that its minimum is found in half the steps (a preconditioner for L-BFGS).

Seen from one class, the second derivative is the penalty plus Σ weight × p (1 - p) × row rowᵀ, with p the chance of the
class. Two things make it up, and each has a part here: over all rows p is small, whatever the class, which bends the
loss by the rows' second moments; and for the rows of the class itself p (1 - p) is large, which bends it along their
mean. The shares only say how much of each; the minimum is the same for all of them. A head on CLINC150 takes 25
evaluations instead of 50, one on BANKING77 26 instead of 60.
"""

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sprat_intent.training.lbfgs import Array, Inverse

_OF_ALL: Final = 0.1
"""p (1 - p) of any row, as a share of what it is at the start, where all classes are alike."""
_OF_OWN: Final = 0.1
"""p (1 - p) of the rows of the class itself."""


def inverse_curvature(
    rows: Array,
    classes: NDArray[np.int64],
    weights: NDArray[np.float64],
    penalties: Array,
    count: int,
    blocks: Iterable[slice],
) -> Inverse:
    """Give what divides a gradient, features × classes, by the curvature.

    What it gives adds up to 0 over the classes, as gradients do: what all classes share changes no chance, and would
    drift.

    Args:
        rows: texts × features.
        classes: the class of each.
        weights: one a text.
        penalties: one a feature; a feature without one must be the same in all rows.
        count: how many classes there are.
        blocks: the rows in parts, for the sake of memory.
    """
    moments = np.diag(penalties.ravel()).astype(np.float64)
    sums = np.zeros((rows.shape[1], count))
    for block in blocks:
        weighed = (rows[block] * weights[block, None].astype(rows.dtype)).T
        moments += _OF_ALL / count * (weighed @ rows[block])
        sums += weighed @ (classes[block, None] == np.arange(count)).astype(rows.dtype)
    shared = np.linalg.inv(moments)
    own = sums * np.sqrt(_OF_OWN / np.maximum(np.bincount(classes, weights, count), np.finfo(np.float64).tiny))
    # Sherman and Morrison: what adding own ownᵀ of its class does to the inverse.
    bent = shared @ own
    bent /= np.sqrt(1 + (own * bent).sum(axis=0))
    shared, bent = shared.astype(rows.dtype), bent.astype(rows.dtype)

    def inverse(gradient: Array) -> Array:
        way: Array = shared @ gradient
        way -= bent * (bent * gradient).sum(axis=0)
        way -= way.mean(axis=1, keepdims=True)
        return way

    return inverse
