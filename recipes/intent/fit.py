"""Fit the head on the training vectors, and the calibrations on texts that the head was not fitted on."""

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
"""Inverse strength of the regularisation; so weak that it only keeps the nine parameters finite."""
PRIOR_PRECISION = 1.0
"""Precision of the Gaussian prior on a language's parameters around the English ones, with the features scaled to a
standard deviation of 1. The best of 0.1, 0.3, 1, 3 and 10 by cross-validation within the calibration halves."""


def fit_head(vectors: Floats, gold: NDArray[np.str_], labels: tuple[str, ...]) -> LabelHead:
    """Fit a multinomial logistic regression on centred vectors; its columns follow `labels`, which must be sorted."""
    mean = mean_of(vectors)
    regression = LogisticRegression(C=REGULARISATION_C, max_iter=1000).fit(LabelHead.centred(vectors, mean), gold)
    assert tuple(regression.classes_) == labels  # noqa: S101 - a recipe, stopped by it
    return LabelHead(mean, regression.coef_.T.astype(np.float32), regression.intercept_.astype(np.float32))


def mean_of(vectors: Floats) -> Floats:
    """Return the mean vector, float32, width, of vectors, float32, texts × width."""
    mean: Floats = vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
    return mean


def fit_calibrator(inside: Floats, right: NDArray[np.bool_], outside: Floats, outside_share: float) -> LabelCalibrator:
    """Fit three outcomes over two features, weighted so that `outside_share` of the texts are outside.

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
    # Fold the scaling into the weights, so that serving uses the raw features.
    scaled = regression.coef_ / spread
    return LabelCalibrator(scaled.T, regression.intercept_ - scaled @ middle)


def fit_near(
    home: LabelCalibrator, inside: Floats, right: NDArray[np.bool_], outside: Floats, outside_share: float
) -> LabelCalibrator:
    """Fit the calibration of a language with few texts, with the calibration `home` as prior (MAP estimate).

    Each text in scope has the weight 1. The texts outside share the weight that `outside_share` implies.
    """
    raw = features(np.concatenate([inside, outside]))
    middle, spread = raw.mean(axis=0), raw.std(axis=0)
    table = np.column_stack([np.ones(len(raw)), (raw - middle) / spread])
    prior = np.vstack([home.bias + middle @ home.weights, home.weights * spread[:, None]])
    outcome, weights = _outcomes(right, len(outside), outside_share)
    weights = weights * len(inside) / (1 - outside_share)
    hits = np.eye(len(OUTCOMES))[outcome]

    def penalised_loss(move: Doubles) -> tuple[float, Doubles]:
        chances = softmax(table @ (prior + move.reshape(prior.shape)))
        loss = -float(weights @ np.log((chances * hits).sum(axis=1)))
        slope = table.T @ ((chances - hits) * weights[:, None])
        return loss + PRIOR_PRECISION / 2 * float(move @ move), slope.ravel() + PRIOR_PRECISION * move

    found = minimize(penalised_loss, np.zeros((1 + FEATURES) * len(OUTCOMES)), jac=True, method="L-BFGS-B")
    fitted = prior + found.x.reshape(prior.shape)
    scaled = fitted[1:] / spread[:, None]
    return LabelCalibrator(scaled, fitted[0] - middle @ scaled)


def _outcomes(right: NDArray[np.bool_], outside: int, outside_share: float) -> tuple[NDArray[np.int64], Doubles]:
    """Return outcome and weight of each text, those outside last; the weights sum to 1."""
    outcome = np.concatenate([np.where(right, RIGHT, WRONG), np.full(outside, OUTSIDE)])
    inside_weight = np.full(len(right), (1 - outside_share) / len(right))
    return outcome, np.concatenate([inside_weight, np.full(outside, outside_share / outside)])
