"""Fits the head on the training vectors, and the calibration on texts that the head has not seen."""

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from sprat_intent.calibration import Calibrator, features
from sprat_intent.head import Floats, Head

REGULARISATION_C = 10.0
CALIBRATION_C = 100.0
"""So weak that it only keeps the nine parameters finite."""


def fit_head(vectors: Floats, gold: NDArray[np.str_], labels: tuple[str, ...]) -> Head:
    """Multinomial logistic regression on centred vectors; columns in the order of `labels`, which is sorted."""
    mean = vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
    regression = LogisticRegression(C=REGULARISATION_C, max_iter=1000).fit(Head.centred(vectors, mean), gold)
    assert tuple(regression.classes_) == labels  # noqa: S101 - a recipe, stopped by it
    return Head(mean, regression.coef_.T.astype(np.float32), regression.intercept_.astype(np.float32))


def fit_calibrator(inside: Floats, right: NDArray[np.bool_], outside: Floats, outside_share: float) -> Calibrator:
    """Three outcomes over two features, weighted so that `outside_share` of the texts are outside.

    Args:
        inside: logits of in-scope texts.
        right: whether the best label of each is right.
        outside: logits of texts outside every label.
        outside_share: the share assumed of the traffic.
    """
    raw = features(np.concatenate([inside, outside]))
    middle, spread = raw.mean(axis=0), raw.std(axis=0)
    outcome = np.concatenate([np.where(right, 0, 1), np.full(len(outside), 2)])
    count = len(raw)
    weights = np.concatenate(
        [
            np.full(len(inside), (1 - outside_share) * count / len(inside)),
            np.full(len(outside), outside_share * count / len(outside)),
        ]
    )
    regression = LogisticRegression(C=CALIBRATION_C, max_iter=1000)
    regression.fit((raw - middle) / spread, outcome, sample_weight=weights)
    # Scaling folded in, so that serving needs the features alone.
    scaled = regression.coef_ / spread
    return Calibrator(scaled.T, regression.intercept_ - scaled @ middle)
