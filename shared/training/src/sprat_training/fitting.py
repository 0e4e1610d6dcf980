"""Fits a head on vectors, and a calibration on what heads say of texts that they were not fitted on."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sprat_inference.heads import Floats, LabelHead
from sprat_inference.label_calibration import OUTCOMES, OUTSIDE, RIGHT, WRONG, LabelCalibrator, features
from sprat_training.config import OnTrainingProgress
from sprat_training.regression import fit_multinomial

Integers = NDArray[np.int64]
Doubles = NDArray[np.float64]

REGULARISATION_C: Final = 10.0
CALIBRATION_C: Final = 100.0
"""So weak that it only keeps the nine parameters finite."""
MIN_LABELS_TO_HOLD_OUT: Final = 3
"""With fewer labels, there is nothing to choose from where one is held out."""
THREADS: Final = 2

_EXACT: Final = 1e-10
_MANY_TEXTS: Final = 3_000
"""Up to so many texts ten folds cost little; above, five give as good an estimate."""
_LABEL_FOLDS: Final = 5


@dataclass(frozen=True, slots=True)
class CrossValidation:
    """A head fitted on everything, and what other heads say of texts that were held out from them."""

    head: LabelHead
    logits: Floats
    """Texts × labels, each row by a head that was not fitted on the text."""
    inside: Doubles
    """Features of the texts: texts × 2."""
    outside: Doubles
    """Features of the texts outside every label, or of held-out labels' texts instead; several rows per text."""
    labels_held_out: bool
    """Whether held-out labels took the place of texts outside every label."""
    folds: int


def fit_head(vectors: Floats, gold: Integers, labels: int, *, c: float = REGULARISATION_C) -> LabelHead:
    """Fit a multinomial logistic regression on centred vectors.

    Args:
        vectors: texts × width, as the encoder returns them.
        gold: index of each text's label, 0 to labels - 1.
        labels: how many labels there are.
        c: weight of the texts against the penalty on large coefficients.
    """
    mean = vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
    weights, bias = fit_multinomial(LabelHead.centred(vectors, mean), gold, labels, c=c)
    return LabelHead(mean, weights.astype(np.float32), bias.astype(np.float32))


def fit_calibrator(
    inside: Doubles, right: NDArray[np.bool_], outside: Doubles, outside_share: float
) -> LabelCalibrator:
    """Fit three outcomes over two features, weighted so that `outside_share` of the texts are outside.

    Args:
        inside: features of texts that have a label; see :func:`sprat_inference.label_calibration.features`.
        right: whether the most likely label of each is right.
        outside: features of texts outside every label; without any, no text is ever considered outside.
        outside_share: assumed share of the traffic outside every label.
    """
    raw = np.concatenate([inside, outside])
    mean, spread = raw.mean(axis=0), np.maximum(raw.std(axis=0), 1e-9)
    outcomes = np.concatenate([np.where(right, RIGHT, WRONG), np.full(len(outside), OUTSIDE)])
    shares = [(1 - outside_share, len(inside)), (outside_share, len(outside))] if len(outside) else [(1.0, len(inside))]
    weights = np.concatenate([np.full(count, share * len(raw) / count) for share, count in shares])
    scaled, bias = fit_multinomial(
        (raw - mean) / spread, outcomes, len(OUTCOMES), c=CALIBRATION_C, weights=weights, tolerance=_EXACT
    )
    # The scaling is folded into the weights, so that serving needs only the features.
    weights_of_features = scaled / spread[:, None]
    return LabelCalibrator(weights_of_features, bias - mean @ weights_of_features)


def logits_of(head: LabelHead, vectors: Floats) -> Floats:
    """Return texts × labels, centred by the head's own mean: the texts are in the language that it was fitted in."""
    logits: Floats = LabelHead.centred(vectors, head.mean) @ head.weights + head.bias
    return logits


def features_of(logits: Floats) -> Doubles:
    """Return the features of some texts, of which there may be none."""
    return features(logits) if len(logits) else np.zeros((0, 2))


def cross_validate(
    vectors: Floats, gold: Integers, labels: int, outside: Floats, progress: OnTrainingProgress
) -> CrossValidation:
    """Fit a head on everything, one for each fold of texts and, without `outside`, one for each fold of labels.

    Where there are no texts outside every label, the labels take their place: each in turn is unknown to a head, which
    then reads its texts. They are harder to recognise than most texts that are truly outside, so such a calibration is
    cautious. Measured on CLINC150 without any out-of-scope text: 86 % of the test set's are recognised (80 % with a
    calibration on 350 real ones), and where 97 % accuracy of the kept answers is required, 96 % is reached either way.
    With 4 to 8 of its labels 82 to 96 % are recognised; with 3 only 10 to 19 %, still better calibrated than without.

    Args:
        vectors: of the texts.
        gold: index of each text's label.
        labels: how many labels there are.
        outside: vectors of texts outside every label; may be empty.
        progress: is called after each fit.
    """
    count = 10 if len(gold) <= _MANY_TEXTS else 5
    folds = text_folds(gold, count)
    logits = np.empty((len(gold), labels), np.float32)
    label_count = min(_LABEL_FOLDS, labels)
    groups = np.random.default_rng(0).permutation(labels) % label_count
    outside_features: list[Doubles] = [np.zeros((0, 2))] * (count + label_count)
    heads: list[LabelHead] = []

    def fit_everything() -> None:
        heads.append(fit_head(vectors, gold, labels))

    def fit_without_fold(number: int) -> None:
        rest, held_out = folds != number, folds == number
        head = fit_head(vectors[rest], gold[rest], labels, c=_same_penalty(gold, rest))
        logits[held_out] = logits_of(head, vectors[held_out])
        if len(outside):
            outside_features[number] = features_of(logits_of(head, outside))

    def fit_without_labels(number: int) -> None:
        outside_features[count + number] = _features_of_unknown(vectors, gold, groups == number)

    labels_held_out = not len(outside) and labels >= MIN_LABELS_TO_HOLD_OUT
    jobs: list[Callable[[], None]] = [fit_everything, *(partial(fit_without_fold, number) for number in range(count))]
    if labels_held_out:
        jobs += [partial(fit_without_labels, number) for number in range(label_count)]
    _run(jobs, progress)
    return CrossValidation(
        heads[0], logits, features_of(logits), np.concatenate(outside_features), labels_held_out, count
    )


def text_folds(gold: Integers, count: int, *, seed: int = 0) -> Integers:
    """Return the fold of each text; every label is spread over the folds as evenly as possible."""
    random = np.random.default_rng(seed)
    folds = np.empty(len(gold), np.int64)
    start = 0
    for label in np.unique(gold):
        places = random.permutation(np.flatnonzero(gold == label))
        folds[places] = (np.arange(len(places)) + start) % count
        start += len(places)
    return folds


def _features_of_unknown(vectors: Floats, gold: Integers, unknown: NDArray[np.bool_]) -> Doubles:
    """Return the features of the texts of unknown labels, by a head that is fitted on the other labels."""
    known = np.flatnonzero(~unknown)
    renumbered = np.full(len(unknown), -1, np.int64)
    renumbered[known] = np.arange(len(known))
    rest = ~unknown[gold]
    head = fit_head(vectors[rest], renumbered[gold[rest]], len(known), c=_same_penalty(gold, rest))
    return features_of(logits_of(head, vectors[~rest]))


def _same_penalty(gold: Integers, rest: NDArray[np.bool_]) -> float:
    """Return the C that penalises each text as the whole does: the heads' logits are calibrated together."""
    return REGULARISATION_C * len(gold) / max(int(rest.sum()), 1)


def _run(jobs: Iterable[Callable[[], None]], progress: OnTrainingProgress) -> None:
    """Run all jobs, `THREADS` at a time: numpy releases the interpreter while it multiplies."""
    with ThreadPoolExecutor(THREADS, "fit") as pool:
        running = [pool.submit(job) for job in jobs]
        progress("fitting", 0, len(running))
        try:
            for done, each in enumerate(as_completed(running), start=1):
                each.result()
                progress("fitting", done, len(running))
        except BaseException:  # Ctrl-C ends the training now, not after all fits
            pool.shutdown(cancel_futures=True)
            raise
