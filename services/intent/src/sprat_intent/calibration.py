"""From logits to chances: is the best label right, is another one, or is the text outside all of them?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from sprat.models import BrokenArtefact, Calibration

Doubles = NDArray[np.float64]

OUTCOMES = ("right", "wrong", "outside")
"""The best label is right; another label is; none is."""

METHOD = "multinomial logistic regression over the best logit and the log-odds of the best softmax probability"

_EDGE = 1e-6
"""Keeps the log-odds finite."""


def softmax(logits: NDArray[np.floating]) -> Doubles:
    """Row by row, in double precision."""
    powers: Doubles = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    shares: Doubles = powers / powers.sum(axis=1, keepdims=True)
    return shares


def features(logits: NDArray[np.floating]) -> Doubles:
    """Texts × 2: how strongly the best label speaks, and how clearly it is ahead of the others."""
    best = softmax(logits).max(axis=1)
    return np.stack([logits.max(axis=1).astype(np.float64), np.log((best + _EDGE) / (1 - best + _EDGE))], axis=1)


@dataclass(frozen=True, slots=True)
class Calibrator:
    """Holds for traffic with the share of texts outside that it was fitted to; the card names it."""

    weights: Doubles
    """Features × outcomes."""
    bias: Doubles
    """One an outcome."""

    @classmethod
    def of(cls, calibration: Calibration) -> Self:
        """Take the parameters from a card.

        Raises:
            BrokenArtefact: when they are another calibration's.
        """
        try:
            rows = np.array([calibration.parameters[name] for name in OUTCOMES], dtype=np.float64)
        except (KeyError, ValueError) as error:
            raise BrokenArtefact(f"card.json: no calibration of this kind ({error}); run the recipe again") from error
        if rows.shape != (len(OUTCOMES), 3):
            raise BrokenArtefact(f"card.json: calibration shaped {rows.shape}, not (3, 3); run the recipe again")
        return cls(rows[:, 1:].T, rows[:, 0])

    def parameters(self) -> Mapping[str, tuple[float, ...]]:
        """For the card: outcome → bias, weight of the best logit, weight of the log-odds."""
        rows = np.concatenate([self.bias[:, None], self.weights.T], axis=1)
        return {name: tuple(map(float, row)) for name, row in zip(OUTCOMES, rows, strict=True)}

    def chances(self, logits: NDArray[np.floating]) -> Doubles:
        """Texts × outcomes; each row adds up to 1."""
        return softmax(features(logits) @ self.weights + self.bias)
