"""What was observed on each text: the small model's answer and confidence, the frontier's answer and cost."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Observed:
    """One row a text; the arrays are parallel."""

    small_right: Flags
    confidence: Doubles
    """Of the small model's answer. A text that is escalated whatever it says has −1."""
    frontier_right: Doubles
    """1 or 0; or, where no answers were at hand, the share that is assumed to be right, for every text."""
    frontier_eur: Doubles
    """What the frontier's answer costs."""

    def __len__(self) -> int:
        return len(self.confidence)
