"""What the head says of a word, and what is served of it.

The head tells names of other things (MISC: works, products, events, peoples, …) from persons, organisations and places,
because that sharpens the three. It does not serve them: no two of the data sets agree on what belongs there.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

TYPES: Final = ("PER", "ORG", "LOC")
"""What is served."""

OUTSIDE: Final = "O"

HEAD: Final = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC", "B-MISC", "I-MISC")
"""The head's columns."""

SERVED: Final = HEAD[:7]
"""The columns after :func:`served`: what is no person, organisation or place is outside."""

Floats = NDArray[np.float32]


def served(chances: Floats) -> Floats:
    """Words × 7 from words × 9: the chance of MISC goes to `O`."""
    merged: Floats = chances[..., : len(SERVED)].copy()
    merged[..., 0] += chances[..., len(SERVED) :].sum(axis=-1)
    return merged


def begins(type: str) -> int:
    """Give the column of the first word of a name."""
    return SERVED.index(f"B-{type}")
