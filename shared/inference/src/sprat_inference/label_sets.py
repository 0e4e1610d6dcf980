"""Several labels a text: one sigmoid per label, calibrated, and the chance that the whole set of them is right.

Source of the method: Platt 1999, Probabilistic Outputs for Support Vector Machines: per label, and once more over the
set. Labels depend on each other, so the product of their chances is no chance of the set; a fit over it is one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from sprat_inference.artefact import BrokenArtefact
from sprat_inference.card import Calibration

Doubles = NDArray[np.float64]

MULTI_LABEL: Final = "multi_label"
"""`kind` of the card of a model whose answers are sets of labels."""

APPLIES_FROM: Final = 0.5
"""A label applies where its calibrated chance is so high: where that is likelier than not."""

CALIBRATED: Final = "one sigmoid per label (Platt), and logistic regression over the whole set"
NOT_CALIBRATED: Final = "none: one sigmoid per label, and the product over the labels, fitted to nothing"

FEATURES: Final = 2

_SLOPES, _OFFSETS, _WHOLE = "slope", "offset", "whole"
_EDGE: Final = 1e-9
"""Keeps log-odds finite."""


def sigmoid(values: NDArray[np.floating]) -> Doubles:
    """Return 1 / (1 + e^-value) of each, float64, without overflow."""
    small = np.exp(-np.abs(values.astype(np.float64)))
    chances: Doubles = np.where(values >= 0, 1.0, small) / (1.0 + small)
    return chances


def set_features(chances: Doubles) -> Doubles:
    """Return what the chance of a set is fitted on, float64, texts × 2.

    The columns are log-odds: of all decisions being right if labels were independent, and of the least sure decision.

    Args:
        chances: texts × labels, that each label applies.
    """
    decided = np.maximum(chances, 1.0 - chances)
    both = np.stack([decided.prod(axis=1), decided.min(axis=1)], axis=1)
    features: Doubles = np.log((both + _EDGE) / (1.0 - both + _EDGE))
    return features


@dataclass(frozen=True, slots=True)
class SetCalibration:
    """The calibration of a model with several labels a text, in the order of the card's labels."""

    slopes: Doubles
    """float64, labels. A label's logit is multiplied by its slope; never negative."""
    offsets: Doubles
    """float64, labels. Then this is added, before the sigmoid."""
    whole: Doubles | None = None
    """float64: bias, and the weight of each of :func:`set_features`; None: the product of the labels' chances."""

    @classmethod
    def none(cls, labels: int) -> Self:
        """Return that of a model that nothing was fitted for: the plain sigmoid of each logit."""
        return cls(np.ones(labels), np.zeros(labels))

    @classmethod
    def of(cls, calibration: Calibration, labels: int) -> Self:
        """Take it from a card: `slope` and `offset` with a value per label, and `whole` with three.

        Raises:
            BrokenArtefact: when it is of another kind, or for another number of labels.
        """
        parameters = {name: np.array(values, np.float64) for name, values in calibration.parameters.items()}
        slopes, offsets, whole = (parameters.get(name) for name in (_SLOPES, _OFFSETS, _WHOLE))
        if (
            slopes is None
            or offsets is None
            or slopes.shape != (labels,)
            or offsets.shape != (labels,)
            or (slopes < 0).any()
            or (whole is not None and whole.shape != (1 + FEATURES,))
        ):
            raise BrokenArtefact("card.json: no calibration of several labels a text; write the artefact again")
        return cls(slopes, offsets, whole)

    def parameters(self) -> Mapping[str, tuple[float, ...]]:
        """Return it as a card states it."""
        named = {_SLOPES: self.slopes, _OFFSETS: self.offsets} | ({} if self.whole is None else {_WHOLE: self.whole})
        return {name: tuple(map(float, values)) for name, values in named.items()}

    def chances(self, logits: NDArray[np.floating]) -> Doubles:
        """Return the chance that each label applies, float64, in the shape of `logits`, texts × labels."""
        return sigmoid(logits * self.slopes + self.offsets)

    def all_right(self, chances: Doubles) -> Doubles:
        """Return the chance that every label of a text is decided rightly, float64, texts.

        Args:
            chances: texts × labels, of :meth:`chances`.
        """
        if self.whole is None:
            product: Doubles = np.maximum(chances, 1.0 - chances).prod(axis=1)
            return product
        return sigmoid(set_features(chances) @ self.whole[1:] + self.whole[0])
