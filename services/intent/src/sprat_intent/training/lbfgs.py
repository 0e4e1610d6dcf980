"""Limited-memory BFGS (Nocedal & Wright, algorithms 7.4 and 7.5) for smooth convex functions, in numpy alone.

Written out because it is sixty lines, and the packages that hold it weigh more than the whole service. It has no other
state than its arguments, so the same numbers on one thread give the same bytes.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32] | NDArray[np.float64]
Function = Callable[[Array], tuple[float, Array]]
"""A point to the value and the gradient there."""
Inverse = Callable[[Array], Array]
"""A gradient to about the inverse of the second derivative times it; linear, symmetric, always downhill."""

_MEMORY: Final = 10
_ENOUGH: Final = 1e-4
"""Share of the promised descent that a step must bring (Armijo)."""
_SMALLEST_STEP: Final = 1e-6
_FLAT: Final = 1e-12


def minimise(function: Function, start: Array, inverse: Inverse, *, tolerance: float, most: int) -> Array:
    """Give a point at which a further step would lower the value by less than `tolerance` of itself.

    It stops after `most` steps, too; then the point is the best so far. The better `inverse` is, the fewer it takes.
    """
    point = start
    value, gradient = function(point)
    pairs: deque[tuple[Array, Array, float]] = deque(maxlen=_MEMORY)
    for _ in range(most):
        direction = _direction(gradient, pairs, inverse)
        slope = float(np.vdot(gradient, direction))
        if slope >= -_FLAT:
            break
        step = 1.0
        while True:
            moved = point + point.dtype.type(step) * direction
            lower, turned = function(moved)
            if lower <= value + _ENOUGH * step * slope or step < _SMALLEST_STEP:
                break
            step /= 2
        way, change = moved - point, turned - gradient
        curvature = float(np.vdot(way, change))
        if curvature > _FLAT:
            pairs.append((way, change, 1.0 / curvature))
        gained = (value - lower) / max(abs(lower), 1.0)
        if gained < 0:
            break
        point, value, gradient = moved, lower, turned
        if gained < tolerance:
            break
    return point


def _direction(gradient: Array, pairs: deque[tuple[Array, Array, float]], inverse: Inverse) -> Array:
    """The way down, by the curvature that the last steps have seen."""
    way = -gradient
    factors = []
    for step, change, curved in reversed(pairs):
        factor = curved * float(np.vdot(step, way))
        factors.append(factor)
        way -= way.dtype.type(factor) * change
    way = inverse(way)
    if pairs:
        _, change, curved = pairs[-1]
        way *= way.dtype.type(1.0 / (curved * float(np.vdot(change, inverse(change)))))
    for (step, change, curved), factor in zip(pairs, reversed(factors), strict=True):
        back = curved * float(np.vdot(change, way))
        way += way.dtype.type(factor - back) * step
    return way
