"""Fits a head on vectors, and a calibration on what heads say of texts that they have not seen."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from sprat_inference.heads import Floats, LabelHead
from sprat_inference.label_calibration import OUTCOMES, OUTSIDE, RIGHT, WRONG, LabelCalibrator, features
from sprat_training.regression import fit_multinomial

REGULARISATION_C: Final = 10.0
CALIBRATION_C: Final = 100.0
"""So weak that it only keeps the nine parameters finite."""

_EXACT: Final = 1e-10

Integers = NDArray[np.int64]
Doubles = NDArray[np.float64]


def fit_head(vectors: Floats, gold: Integers, labels: int, *, c: float = REGULARISATION_C) -> LabelHead:
    """Multinomial logistic regression on centred vectors.

    Args:
        vectors: the encoder's.
        gold: the place of each text's label among the labels.
        labels: how many there are.
        c: how much the texts weigh against the penalty on large coefficients.
    """
    mean = vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
    weights, bias = fit_multinomial(LabelHead.centred(vectors, mean), gold, labels, c=c)
    return LabelHead(mean, weights.astype(np.float32), bias.astype(np.float32))


def fit_calibrator(
    inside: Doubles, right: NDArray[np.bool_], outside: Doubles, outside_share: float
) -> LabelCalibrator:
    """Three outcomes over two features, weighted so that `outside_share` of the texts are outside.

    Args:
        inside: features of texts that have a label; see :func:`sprat_intent.calibration.features`.
        right: whether the best label of each is right.
        outside: features of texts outside every label; without any, nothing is ever taken to be outside.
        outside_share: the share assumed of the traffic.
    """
    raw = np.concatenate([inside, outside])
    middle, spread = raw.mean(axis=0), np.maximum(raw.std(axis=0), 1e-9)
    outcome = np.concatenate([np.where(right, RIGHT, WRONG), np.full(len(outside), OUTSIDE)])
    shares = [(1 - outside_share, len(inside)), (outside_share, len(outside))] if len(outside) else [(1.0, len(inside))]
    weights = np.concatenate([np.full(count, share * len(raw) / count) for share, count in shares])
    scaled, bias = fit_multinomial(
        (raw - middle) / spread, outcome, len(OUTCOMES), c=CALIBRATION_C, weights=weights, tolerance=_EXACT
    )
    # Scaling folded in, so that serving needs the features alone.
    weights_of_features = scaled / spread[:, None]
    return LabelCalibrator(weights_of_features, bias - middle @ weights_of_features)


def logits_of(head: LabelHead, vectors: Floats) -> Floats:
    """Logits by the head's own mean: the texts are of the language that it was fitted in."""
    logits: Floats = LabelHead.centred(vectors, head.mean) @ head.weights + head.bias
    return logits


def features_of(logits: Floats) -> Doubles:
    """Features of some texts, of which there may be none."""
    return features(logits) if len(logits) else np.zeros((0, 2))
