"""What the probabilities that a tier states for its labels mean, on labelled texts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sprat_inference.platt import Platt
from sprat_training.chance_calibration import fit_platt, held_out_chances
from sprat_training.evaluation.metrics import Interval, wilson
from sprat_training.evaluation.tier_comparison import TierAnswer

LEAST_ANSWERS: Final = 50
"""With a probability, of different texts."""
LEAST_OF_EACH: Final = 5
"""Right ones, and wrong ones: without them, nothing tells where the wrong ones begin."""

Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TierFit:
    """What the answers of one tier say of its probabilities."""

    tier: str
    answers: int
    """With a probability, of different texts."""
    right: Interval
    """Share of them."""
    stated: float
    """Their mean probability, as the tier states it; 0 without answers."""
    brier_stated: float | None
    """Mean squared distance between what is stated and what is right: 0 is best; None without answers."""
    brier_calibrated: float | None
    """The same of calibrated chances, each by a fit without the answer; None where nothing was fitted."""
    platt: Platt | None
    """The calibration; None where there is none."""
    problem: str = ""
    """Why there is none."""

    @property
    def as_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "tier": self.tier,
            "answers": self.answers,
            "right": [round(each, 4) for each in (self.right.value, self.right.low, self.right.high)],
            "stated": round(self.stated, 4),
            "brier_stated": _rounded(self.brier_stated),
            "brier_calibrated": _rounded(self.brier_calibrated),
            "calibration": None if self.platt is None else {"bias": self.platt.bias, "slope": self.platt.slope},
            "problem": self.problem or None,
        }


def calibrate_tiers(answers: Sequence[Sequence[TierAnswer]], labels: Sequence[str]) -> tuple[TierFit, ...]:
    """Return the calibration of each tier that was asked, in the order in which they were first asked.

    An answer that the tier gave to an equal text is counted once.

    Args:
        answers: of each text, what each tier said that it reached.
        labels: of each text, the right one.
    """
    by_tier: dict[str, list[tuple[float, bool]]] = {}
    for steps, label in zip(answers, labels, strict=True):
        for step in steps:
            rows = by_tier.setdefault(step.tier, [])
            if step.stated is not None and step.label is not None and not step.cached:
                rows.append((step.stated, step.label == label))
    return tuple(_fit(tier, rows) for tier, rows in by_tier.items())


def _fit(tier: str, rows: Sequence[tuple[float, bool]]) -> TierFit:
    stated = np.array([each for each, _ in rows], dtype=np.float64)
    right = np.array([each for _, each in rows], dtype=np.bool_)
    count = int(right.sum())
    before, after = _brier(stated, right) if rows else None, None
    platt, problem = None, ""
    if len(rows) < LEAST_ANSWERS:
        problem = f"{LEAST_ANSWERS} answers with a probability are needed"
    elif min(count, len(rows) - count) < LEAST_OF_EACH:
        problem = f"{LEAST_OF_EACH} right and {LEAST_OF_EACH} wrong ones are needed"
    else:
        after = _brier(held_out_chances(stated, right), right)
        if after < _brier(stated, right):
            platt = fit_platt(stated, right)
        else:
            problem = "calibrated chances are no better on answers that they were not fitted to"
    mean = float(stated.mean()) if rows else 0.0
    return TierFit(tier, len(rows), wilson(count, len(rows)), mean, before, after, platt, problem)


def _brier(stated: Doubles, right: NDArray[np.bool_]) -> float:
    return float(((stated - right) ** 2).mean())


def _rounded(score: float | None) -> float | None:
    return None if score is None else round(score, 4)
