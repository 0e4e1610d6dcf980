"""Labels that are likely wrong, by confident learning (Northcutt, Jiang & Chuang 2021).

A row is suspected when a head that has not seen it believes in another label at least as much as it does, on average,
in rows that carry that label. Each label is its own measure, so it does not matter how sure heads are on the whole.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sprat_inference.heads import Floats
from sprat_inference.label_calibration import softmax
from sprat_training.preparation import Training

MOST: Final = 5_000
_LEAST_MARGIN: Final = 0.0


@dataclass(frozen=True, slots=True)
class LabelIssue:
    """A row whose label is likely wrong."""

    place: int
    """Among the texts of the training."""
    row: int
    """In the file."""
    given: str
    believed: str
    doubt: float
    """How much more the other label is believed in, 0 to 1."""


def suspects(training: Training, logits: Floats) -> tuple[LabelIssue, ...]:
    """Give the rows, the least believable first.

    Args:
        training: what was fitted.
        logits: of heads that have not seen the texts.
    """
    chances = softmax(logits)
    places = np.arange(len(training.gold))
    own = chances[places, training.gold]
    usual = _usual(own, training.gold, len(training.labels))
    others = np.where(chances >= usual, chances, -1.0)
    others[places, training.gold] = -1.0
    believed = others.argmax(axis=1)
    margin = others[places, believed] - own
    found = np.flatnonzero(margin > _LEAST_MARGIN)
    return tuple(
        LabelIssue(
            place=int(place),
            row=training.rows[place],
            given=training.labels[training.gold[place]],
            believed=training.labels[believed[place]],
            doubt=round(float(margin[place]), 4),
        )
        for place in found[np.argsort(-margin[found], kind="stable")][:MOST]
    )


def _usual(own: NDArray[np.float64], gold: NDArray[np.int64], labels: int) -> NDArray[np.float64]:
    """How much each label is believed in on average where it is given."""
    means: NDArray[np.float64] = np.bincount(gold, own, labels) / np.maximum(np.bincount(gold, minlength=labels), 1)
    return means
