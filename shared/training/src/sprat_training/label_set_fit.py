"""Fit one sigmoid per label on vectors, calibrate labels and sets on held-out texts, and measure both."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sprat_inference.card import Score
from sprat_inference.heads import Floats, LabelHead
from sprat_inference.label_sets import APPLIES_FROM, SetCalibration, set_features
from sprat_training.config import OnTrainingProgress
from sprat_training.evaluation.metrics import (
    Interval,
    ModelReadings,
    expected_calibration_error,
    reliability_bins,
    wilson,
)
from sprat_training.figures import KeptAnswers, LabelFigures, curve_of, recommend_on
from sprat_training.fitting import MANY_TEXTS, REGULARISATION_C, logits_of, run_jobs
from sprat_training.keep_at import STEPS, Recommendation, keep_at_rule
from sprat_training.regression import fit_multinomial

Doubles = NDArray[np.float64]
Flags = NDArray[np.bool_]
Integers = NDArray[np.int64]

_CALIBRATION_C: Final = 100.0
_EXACT: Final = 1e-10


@dataclass(frozen=True, slots=True)
class FittedSets:
    """A head fitted on everything, and what heads and calibrations say of texts that they were not fitted on."""

    head: LabelHead
    calibration: SetCalibration
    """Fitted on the logits of all held-out texts."""
    chances: Doubles
    """Texts × labels: each row by a head and a calibration that were not fitted on the text."""
    confidence: Doubles
    """Texts: the same for the whole set."""
    folds: int


@dataclass(frozen=True, slots=True)
class SetFigures:
    """The figures of a model with several labels a text."""

    texts: int
    exact: Interval
    """The whole set is right, whatever the confidence."""
    micro_f1: float
    """Over all decisions of a label for a text."""
    macro_f1: float
    """Mean over the labels that some text has."""
    calibration_error: float
    """Of the confidence of the whole set."""
    curve: tuple[KeptAnswers, ...]
    """For keep_at 0, 0.01, … 1."""
    labels: tuple[LabelFigures, ...]

    def at(self, keep_at: float) -> KeptAnswers:
        """Return what is kept at a threshold, a whole number of hundredths."""
        return self.curve[round(keep_at * STEPS)]

    def recommended(self, accuracy: float) -> Recommendation | None:
        """Return the `keep_at` at which the kept sets reach an accuracy; None where there is none."""
        return recommend_on(self.curve, accuracy)


def fit_sets(vectors: Floats, gold: Flags, folds: Integers, progress: OnTrainingProgress) -> FittedSets:
    """Fit and cross-validate heads, then their calibration.

    Args:
        vectors: of the texts: texts × width, as the encoder returns them.
        gold: texts × labels.
        folds: of each text, from 0.
        progress: is called after each fit.
    """
    count = int(folds.max()) + 1
    logits = np.empty(gold.shape, np.float32)
    heads: dict[int, LabelHead] = {}

    def fit_without(number: int | None) -> None:
        rest = np.flatnonzero(folds != number) if number is not None else np.arange(len(gold))
        head = fit_set_head(vectors[rest], gold[rest], c=REGULARISATION_C * len(gold) / len(rest))
        if number is None:
            heads[0] = head
        else:
            held_out = np.flatnonzero(folds == number)
            logits[held_out] = logits_of(head, vectors[held_out])

    jobs: list[Callable[[], None]] = [partial(fit_without, number) for number in (None, *range(count))]
    run_jobs(jobs, progress, "fitting")
    chances, confidence = np.empty(gold.shape), np.empty(len(gold))
    for number in range(count):
        held_out = folds == number
        calibration = fit_set_calibration(logits[~held_out], gold[~held_out])
        chances[held_out] = calibration.chances(logits[held_out])
        confidence[held_out] = calibration.all_right(chances[held_out])
    return FittedSets(heads[0], fit_set_calibration(logits, gold), chances, confidence, count)


def fold_count(texts: int) -> int:
    """Return into how many folds so many texts are divided."""
    return 10 if texts <= MANY_TEXTS else 5


def fit_set_head(vectors: Floats, gold: Flags, *, c: float = REGULARISATION_C) -> LabelHead:
    """Fit a logistic regression per label on centred vectors.

    Args:
        vectors: texts × width.
        gold: texts × labels.
        c: weight of the texts against the penalty on large coefficients.
    """
    mean = vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
    centred = LabelHead.centred(vectors, mean)
    columns = [fit_multinomial(centred, applies.astype(np.int64), 2, c=c) for applies in gold.T]
    weights = np.stack([each[:, 1] - each[:, 0] for each, _ in columns], axis=1)
    bias = np.array([each[1] - each[0] for _, each in columns])
    return LabelHead(mean, np.ascontiguousarray(weights, np.float32), bias.astype(np.float32))


def fit_set_calibration(logits: Floats, gold: Flags) -> SetCalibration:
    """Fit a sigmoid per label on logits of held-out texts, then the chance that a whole set is right.

    Args:
        logits: texts × labels, of heads that were not fitted on the texts.
        gold: texts × labels.
    """
    fitted = [fit_platt(logits[:, [place]], gold[:, place]) for place in range(gold.shape[1])]
    slopes = np.array([weights[0] for weights, _ in fitted])
    offsets = np.array([bias for _, bias in fitted])
    # Where a higher logit means less, the label was not learnt: then its share says more than its logit.
    unlearnt = slopes < 0
    shares = (gold.sum(axis=0) + 1.0) / (len(gold) + 2.0)
    slopes[unlearnt], offsets[unlearnt] = 0.0, np.log(shares / (1.0 - shares))[unlearnt]
    labels = SetCalibration(slopes, offsets)
    chances = labels.chances(logits)
    right = ((chances >= APPLIES_FROM) == gold).all(axis=1)
    weights, bias = fit_platt(set_features(chances), right)
    return SetCalibration(slopes, offsets, np.concatenate([[bias], weights]))


def measure_sets(
    gold: Flags, chances: Doubles, confidence: Doubles, labels: tuple[str, ...], groups: Integers | None = None
) -> SetFigures:
    """Compute all figures.

    Args:
        gold: texts × labels.
        chances: texts × labels.
        confidence: of the whole set of each text.
        labels: their names.
        groups: of each text the number of its group, as in :func:`sprat_training.figures.measure`.
    """
    said = chances >= APPLIES_FROM
    exact = (said == gold).all(axis=1)
    none = np.zeros(len(gold))
    readings = ModelReadings(np.ones(len(gold), bool), exact, none, none, np.zeros(len(gold), bool), confidence)
    hits, had, named = (said & gold).sum(axis=0), gold.sum(axis=0), said.sum(axis=0)
    each = 2 * hits / np.maximum(had + named, 1)
    return SetFigures(
        texts=len(gold),
        exact=wilson(int(exact.sum()), len(gold)),
        micro_f1=micro_f1(said, gold),
        macro_f1=float(each[had > 0].mean()) if (had > 0).any() else 1.0,
        calibration_error=expected_calibration_error(reliability_bins(readings, 0.0)),
        curve=curve_of(readings, inside_groups=groups),
        labels=tuple(
            LabelFigures(
                label,
                int(had[place]),
                float(hits[place] / had[place]) if had[place] else 0.0,
                float(hits[place] / named[place]) if named[place] else 0.0,
            )
            for place, label in enumerate(labels)
        ),
    )


def keep_at_of_sets(figures: SetFigures, accuracy: float) -> tuple[float, str]:
    """Return the recommended `keep_at`, and how it was found: 1, where nothing reaches the accuracy."""
    return keep_at_rule("the kept sets of labels", accuracy, "held-out texts", figures.recommended(accuracy))


def scores_of_sets(prefix: str, protocol: str, figures: SetFigures, keep_at: float) -> list[Score]:
    """Return the figures for a card, by names with the prefix.

    Args:
        prefix: of the names.
        protocol: on which data, by which rule.
        figures: that were measured.
        keep_at: for what is kept.
    """
    kept = figures.at(keep_at)
    rows = [
        ("exact", figures.exact.value, f"{protocol}: the whole set of labels is right"),
        ("exact_low", figures.exact.low, f"lower end of the 95 % interval of {prefix}_exact (Wilson)"),
        ("exact_high", figures.exact.high, f"upper end of the 95 % interval of {prefix}_exact (Wilson)"),
        ("micro_f1", figures.micro_f1, f"{protocol}: over all decisions of a label for a text"),
        ("macro_f1", figures.macro_f1, f"{protocol}: mean over the labels, each counting the same"),
        ("ece", figures.calibration_error, f"{protocol}: expected calibration error of the whole set, 15 equal bins"),
        ("kept_share", kept.share, f"{protocol}: sets with confidence ≥ keep_at"),
    ]
    if kept.share:
        rows.append(("kept_right", kept.right.value, f"{protocol}: of those kept, the whole set is right"))
        rows.append(("kept_right_low", kept.right.low, f"lower end of the 95 % interval of {prefix}_kept_right"))
    return [Score(name=f"{prefix}_{name}", value=round(value, 6), protocol=rule) for name, value, rule in rows]


def micro_f1(said: Flags, gold: Flags) -> float:
    """Return F1 over all decisions, texts × labels; 1 where no label is given or said."""
    hits, total = int((said & gold).sum()), int(said.sum() + gold.sum())
    return 2 * hits / total if total else 1.0


def fit_platt(
    features: NDArray[np.floating], right: Flags, row_weights: Doubles | None = None
) -> tuple[Doubles, float]:
    """Return weights and bias of a logistic regression whose targets are Platt's: never 0 or 1, so it stays finite.

    Args:
        features: texts × features.
        right: of each text.
        row_weights: of each text, adding up to the number of texts; 1 each where there are none.
    """
    raw = features.astype(np.float64)
    mean, spread = raw.mean(axis=0), np.maximum(raw.std(axis=0), 1e-9)
    scaled = (raw - mean) / spread
    counts = np.ones(len(raw)) if row_weights is None else row_weights
    yes, no = float(counts[right].sum()), float(counts[~right].sum())
    target = np.where(right, (yes + 1.0) / (yes + 2.0), 1.0 / (no + 2.0))
    outcomes = np.concatenate([np.ones(len(raw), np.int64), np.zeros(len(raw), np.int64)])
    weights, bias = fit_multinomial(
        np.concatenate([scaled, scaled]),
        outcomes,
        2,
        c=_CALIBRATION_C,
        weights=np.concatenate([counts * target, counts * (1.0 - target)]),
        tolerance=_EXACT,
    )
    slopes = (weights[:, 1] - weights[:, 0]).astype(np.float64) / spread
    return slopes, float(bias[1] - bias[0] - mean @ slopes)
