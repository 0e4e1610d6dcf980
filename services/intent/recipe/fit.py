"""Fits the head on the training vectors, and the calibrations on texts that the head has not seen."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from sprat_inference.heads import Floats, LabelHead
from sprat_inference.label_calibration import (
    FEATURES,
    OUTCOMES,
    OUTSIDE,
    RIGHT,
    WRONG,
    Doubles,
    LabelCalibrator,
    features,
    softmax,
)

REGULARISATION_C = 10.0
CALIBRATION_C = 100.0
"""So weak that it only keeps the nine parameters finite."""
BELIEF = 1.0
"""How strongly a language's calibration is held to the English one: the precision of its parameters around those, the
features scaled to a spread of 1. Of 0.1, 0.3, 1, 3 and 10 the best by cross-validation in the calibrating halves."""


def fit_head(vectors: Floats, gold: NDArray[np.str_], labels: tuple[str, ...]) -> LabelHead:
    """Multinomial logistic regression on centred vectors; columns in the order of `labels`, which is sorted."""
    mean = mean_of(vectors)
    regression = LogisticRegression(C=REGULARISATION_C, max_iter=1000).fit(LabelHead.centred(vectors, mean), gold)
    assert tuple(regression.classes_) == labels  # noqa: S101 - a recipe, stopped by it
    return LabelHead(mean, regression.coef_.T.astype(np.float32), regression.intercept_.astype(np.float32))


def mean_of(vectors: Floats) -> Floats:
    """What texts share."""
    mean: Floats = vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
    return mean


def fit_calibrator(inside: Floats, right: NDArray[np.bool_], outside: Floats, outside_share: float) -> LabelCalibrator:
    """Three outcomes over two features, weighted so that `outside_share` of the texts are outside.

    Args:
        inside: logits of in-scope texts.
        right: whether the best label of each is right.
        outside: logits of texts outside every label.
        outside_share: the share assumed of the traffic.
    """
    raw = features(np.concatenate([inside, outside]))
    middle, spread = raw.mean(axis=0), raw.std(axis=0)
    outcome, weights = _outcomes(right, len(outside), outside_share)
    regression = LogisticRegression(C=CALIBRATION_C, max_iter=1000)
    regression.fit((raw - middle) / spread, outcome, sample_weight=weights * len(raw))
    # Scaling folded in, so that serving needs the features alone.
    scaled = regression.coef_ / spread
    return LabelCalibrator(scaled.T, regression.intercept_ - scaled @ middle)


def fit_near(
    home: LabelCalibrator, inside: Floats, right: NDArray[np.bool_], outside: Floats, outside_share: float
) -> LabelCalibrator:
    """The same for a language with few texts: `home` is what is believed of it before they are seen.

    Each text in scope counts as one; those outside share the weight of as many as `outside_share` makes of them.
    """
    raw = features(np.concatenate([inside, outside]))
    middle, spread = raw.mean(axis=0), raw.std(axis=0)
    table = np.column_stack([np.ones(len(raw)), (raw - middle) / spread])
    believed = np.vstack([home.bias + middle @ home.weights, home.weights * spread[:, None]])
    outcome, weights = _outcomes(right, len(outside), outside_share)
    weights = weights * len(inside) / (1 - outside_share)
    hits = np.eye(len(OUTCOMES))[outcome]

    def surprise(move: Doubles) -> tuple[float, Doubles]:
        chances = softmax(table @ (believed + move.reshape(believed.shape)))
        loss = -float(weights @ np.log((chances * hits).sum(axis=1)))
        slope = table.T @ ((chances - hits) * weights[:, None])
        return loss + BELIEF / 2 * float(move @ move), slope.ravel() + BELIEF * move

    found = minimize(surprise, np.zeros((1 + FEATURES) * len(OUTCOMES)), jac=True, method="L-BFGS-B")
    fitted = believed + found.x.reshape(believed.shape)
    scaled = fitted[1:] / spread[:, None]
    return LabelCalibrator(scaled, fitted[0] - middle @ scaled)


def _outcomes(right: NDArray[np.bool_], outside: int, outside_share: float) -> tuple[NDArray[np.int64], Doubles]:
    """Outcome and weight of each text, those outside last; the weights add up to 1."""
    outcome = np.concatenate([np.where(right, RIGHT, WRONG), np.full(outside, OUTSIDE)])
    inside_weight = np.full(len(right), (1 - outside_share) / len(right))
    return outcome, np.concatenate([inside_weight, np.full(outside, outside_share / outside)])
