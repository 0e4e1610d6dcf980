"""From what a model says of overlapping windows to what it says of each token of a text; and texts in rounds."""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sprat.models.windows import Pieces, Window

Floats = NDArray[np.float32]

ROUND_CODE_POINTS: Final = 100_000
"""Texts are computed in rounds of about so many code points, so that many texts need no more memory than a few."""


def averaged(
    pieces: Sequence[Pieces], windows: Sequence[Window], outcomes: Sequence[Floats], labels: int
) -> list[Floats]:
    """For each text tokens × labels. Near its edge a window has seen little, and counts little.

    Args:
        pieces: of each text.
        windows: of all texts.
        outcomes: for each window tokens × labels, the special tokens left out.
        labels: how many there are.
    """
    sums = [np.zeros((len(each.ids), labels), np.float32) for each in pieces]
    weights = [np.zeros((len(each.ids), 1), np.float32) for each in pieces]
    for window, outcome in zip(windows, outcomes, strict=True):
        count = len(outcome)
        rising = np.arange(1, count + 1, dtype=np.float32)
        weight = np.minimum(rising, rising[::-1])[:, None]
        here = slice(window.first, window.first + count)
        sums[window.text][here] += outcome * weight
        weights[window.text][here] += weight
    return [total / weight for total, weight in zip(sums, weights, strict=True)]


def rounds(texts: Sequence[str]) -> Iterator[list[str]]:
    """Give the texts in order, some at a time."""
    some: list[str] = []
    length = 0
    for text in texts:
        if some and length + len(text) > ROUND_CODE_POINTS:
            yield some
            some, length = [], 0
        some.append(text)
        length += len(text)
    if some:
        yield some
