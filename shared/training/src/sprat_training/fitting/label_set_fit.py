"""Fit one sigmoid per label on vectors, and calibrate labels and sets on held-out texts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sprat_inference.heads import Floats, LabelHead
from sprat_inference.label_sets import APPLIES_FROM, SetCalibration, set_features
from sprat_training.datasets.config import OnTrainingProgress
from sprat_training.datasets.doubles import core_numbers
from sprat_training.datasets.label_sets import LabelSetData, set_numbers
from sprat_training.fitting.encoding import BaseEncoder, encode_texts
from sprat_training.fitting.heads import MANY_TEXTS, REGULARISATION_C, logits_of, run_jobs, text_folds
from sprat_training.fitting.regression import fit_multinomial
from sprat_training.thresholds.rows import Doubles, Flags, Integers

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


def fit_label_sets(base: BaseEncoder, data: LabelSetData, progress: OnTrainingProgress) -> tuple[FittedSets, int]:
    """Return what was fitted, and the number of texts that are longer than the encoder reads."""
    encoded = encode_texts(base.encoder, data.texts, progress)
    count = 10 if len(data.texts) <= MANY_TEXTS else 5
    folds = text_folds(encoded.vectors, set_numbers(data.gold), count, cores=core_numbers(data.texts))
    return fit_sets(encoded.vectors, data.gold, folds, progress), encoded.truncated


def read_sets(
    fitted: FittedSets, base: BaseEncoder, texts: Sequence[str], progress: OnTrainingProgress
) -> tuple[Doubles, Doubles]:
    """Return what a service would publish of texts: the chance of each label, texts × labels, and of the whole set."""
    vectors = encode_texts(base.encoder, texts, progress, "reading the test").vectors
    chances = fitted.calibration.chances(logits_of(fitted.head, vectors))
    return chances, fitted.calibration.all_right(chances)


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
