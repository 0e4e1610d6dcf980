"""Calibrate a model whose answer to a text is right or wrong as a whole, on texts whose right answer is known.

A confidence is the chance that the answer is right: Platt scaling of what the model says of itself. What is stated of
it is measured on folds that it was not fitted on.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sprat_contracts.kept import least_kept
from sprat_inference.card import Calibration, Score
from sprat_inference.platt import Platt, log_odds
from sprat_training.evaluation.metrics import Interval, wilson
from sprat_training.keep_at import STEPS, RightAt, keep_at_rule, recommend

LEAST_ROWS: Final = 50
FOLDS: Final = 5
_STEPS: Final = 50
_PENALTY: Final = 1e-3
"""On the coefficients: it keeps them finite where all rows are right."""

Flags = NDArray[np.bool_]
Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ChanceFigures:
    """What the rows say of a model."""

    calibration: Calibration
    texts: int
    right: Interval
    """Share of the texts whose answer is right."""
    what: str
    """What is right of an answer that is right, such as "have all their spans"."""
    keep_at: float
    rule: str
    """How it was found."""
    kept_share: float
    """Of the texts, at `keep_at`."""
    kept_right: Interval
    """Of those kept."""

    def scores(self) -> list[Score]:
        """Return them for the card."""
        protocol = f"{self.texts:,} rows to calibrate on, each with a calibration that was fitted without it"
        values = [
            ("texts_right", self.right.value),
            ("kept_share", self.kept_share),
            ("kept_right", self.kept_right.value),
        ]
        return [Score(name=f"calibrated_{name}", value=value, protocol=protocol) for name, value in values]


def measure_chances(
    calibration: Calibration, what: str, confidences: Doubles, right: Flags, accuracy: float
) -> ChanceFigures:
    """Return the figures of confidences that were fitted without their own texts.

    Args:
        calibration: that was fitted on all texts.
        what: is right of an answer that is right.
        confidences: of each text, 0–1.
        right: whether its answer is.
        accuracy: required of what is kept.
    """
    keep_at, rule = _keep_at(confidences, right, accuracy)
    kept = confidences >= least_kept(keep_at)
    return ChanceFigures(
        calibration,
        len(right),
        wilson(int(right.sum()), len(right)),
        what,
        keep_at,
        rule,
        float(kept.mean()),
        wilson(int(right[kept].sum()), int(kept.sum())),
    )


def held_out_chances(products: Doubles, right: Flags) -> Doubles:
    """Return the chance of each answer by a calibration that was not fitted on it."""
    fold = np.random.default_rng(0).permutation(len(products)) % FOLDS
    chances = np.empty(len(products))
    for number in range(FOLDS):
        held = fold == number
        chances[held] = fit_platt(products[~held], right[~held]).chances(products[held])
    return chances


def fit_platt(products: Doubles, right: Flags) -> Platt:
    """Return the logistic regression of `right` on the log-odds of `products`, by Newton's method.

    A slope below 0 would call the surer answer the worse one; it is 0 then, and every chance is the mean.
    """
    rows = np.stack([np.ones(len(products)), log_odds(products)], axis=1)
    weights = np.zeros(2)
    for _ in range(_STEPS):
        chances = 1.0 / (1.0 + np.exp(-np.clip(rows @ weights, -30, 30)))
        gradient = rows.T @ (chances - right) + _PENALTY * weights
        curvature = (rows * (chances * (1.0 - chances))[:, None]).T @ rows + _PENALTY * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        weights -= step
        if np.abs(step).max() < 1e-8:
            break
    if weights[1] < 0:
        mean = min(max(float(right.mean()), 1e-3), 1 - 1e-3)
        return Platt(float(np.log(mean / (1.0 - mean))), 0.0)
    return Platt(float(weights[0]), float(weights[1]))


def _keep_at(chances: Doubles, right: Flags, accuracy: float) -> tuple[float, str]:
    kept = ((step / STEPS, right[chances >= least_kept(step / STEPS)]) for step in range(STEPS + 1))
    shares = (RightAt(at, float(each.mean()), len(each)) for at, each in kept if len(each))
    return keep_at_rule("the answers kept", accuracy, "the rows to calibrate on", recommend(shares, accuracy))
