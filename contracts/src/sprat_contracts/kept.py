"""From which confidence an answer is kept: the one reading of a `keep_at`."""

import math


def least_kept(keep_at: float) -> float:
    """Return the least confidence that a `keep_at` keeps: itself; of 1, infinity, which no confidence reaches.

    A card whose model is not good enough says 1, and confidences may round to 1: nothing is kept of it all the same.
    """
    return keep_at if keep_at < 1.0 else math.inf
