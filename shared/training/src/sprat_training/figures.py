"""How good a fitted model is, from what heads say of texts that they were not fitted on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sprat_contracts.kept import least_kept
from sprat_inference.heads import Floats
from sprat_inference.label_calibration import OUTSIDE, RIGHT, LabelCalibrator
from sprat_training.evaluation.metrics import (
    Interval,
    ModelReadings,
    ReliabilityBin,
    expected_calibration_error,
    reliability_bins,
    wilson,
)
from sprat_training.keep_at import LEAST_KEEP_AT, STEPS, Recommendation, RightAt, recommend

Doubles = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class NearOutside:
    """What models of public data do with texts outside that are near; asked for were 97 % right of what is kept."""

    labels: int
    rows: int
    """Of each label; the head of a draw is trained on these."""
    least: float
    """Share of the near texts that is kept with a label, in the draw that keeps the fewest."""
    most: float
    """In the draw that keeps the most."""
    right: float
    """Of what is kept, where a tenth of the traffic is near: in the worst draw."""
    draws: int
    """Of all data sets."""


NEAR_OUTSIDE: Final = (
    NearOutside(5, 100, 0.0016, 0.6285, 0.9299, 15),
    NearOutside(10, 100, 0.0185, 0.3308, 0.9333, 15),
    NearOutside(20, 100, 0.0638, 0.31, 0.9401, 9),
    NearOutside(50, 100, 0.0788, 0.1354, 0.9676, 3),
    NearOutside(5, 20, 0.0068, 0.45, 0.9358, 15),
    NearOutside(10, 20, 0.0015, 0.1688, 0.9606, 15),
    NearOutside(20, 20, 0.0128, 0.2162, 0.962, 9),
    NearOutside(50, 20, 0.0455, 0.1108, 0.9724, 3),
    NearOutside(5, 10, 0.0, 0.3569, 0.9081, 15),
    NearOutside(10, 10, 0.0092, 0.3077, 0.9369, 15),
    NearOutside(20, 10, 0.01, 0.1254, 0.9742, 9),
    NearOutside(50, 10, 0.017, 0.0828, 0.9688, 3),
)
"""Measured by `tests/bench/near_outside.py` on texts of labels that the head does not know; a test compares them."""


@dataclass(frozen=True, slots=True)
class LabelFigures:
    """Recall and precision of one label."""

    label: str
    texts: int
    recall: float
    precision: float


@dataclass(frozen=True, slots=True)
class Confusion:
    """Texts of one label for which the model predicts another."""

    label: str
    predicted: str
    texts: int
    total: int
    """All texts of the label."""


@dataclass(frozen=True, slots=True)
class KeptAnswers:
    """What is kept at one threshold."""

    keep_at: float
    share: float
    """Of the traffic."""
    right: Interval
    """Accuracy of the kept answers; without meaning where none is kept."""
    texts: float
    """How many texts of equal weight would say as much, also for labels that the texts outside do not come from."""

    @property
    def shown_right(self) -> str:
        """Return the share right with its interval; a dash where nothing is kept."""
        return str(self.right) if self.share else "–"

    @property
    def right_at(self) -> RightAt:
        """Return the share right, as the rule reads it."""
        return RightAt(self.keep_at, self.right.value, self.texts)


OUTCOMES: Final = (
    "kept: its own label",
    "kept: another label",
    "kept: called outside every label",
    "escalated: unsure",
)
"""What becomes of a text that has a label."""


@dataclass(frozen=True, slots=True)
class OutcomeCounts:
    """What becomes of the texts at one threshold, a value for each of `OUTCOMES`."""

    texts: tuple[int, ...]
    """Texts with a label; they add up to all of these."""
    best_right: tuple[int, ...]
    """Of these, those whose likeliest label is right; they add up to those that get their label if all are kept."""
    outside: tuple[float, ...]
    """Share of the texts outside every label. None of them has a label of its own: the first value is 0."""
    traffic: tuple[float, ...]
    """Share of the traffic, of which `outside_share` is outside."""


@dataclass(frozen=True, slots=True)
class TrainingFigures:
    """The figures of a model. Shares of the traffic assume that `outside_share` of it is outside every label."""

    texts: int
    accuracy: Interval
    """The most likely label is right, whatever the confidence."""
    macro_f1: float
    """Mean over the labels that have texts."""
    outside_texts: int
    outside_recall: float | None
    """Share of the texts outside that are recognised; None where there are none."""
    outside_share: float
    calibration_error: float
    bins: tuple[ReliabilityBin, ...]
    curve: tuple[KeptAnswers, ...]
    """For keep_at 0, 0.01, … 1."""
    labels: tuple[LabelFigures, ...]
    confusions: tuple[Confusion, ...]
    """The most frequent first."""
    readings: ModelReadings
    """Of the texts, followed by those outside every label."""
    best: Integers
    """Index of the most likely label of each text."""

    def at(self, keep_at: float) -> KeptAnswers:
        """Return what is kept at a threshold, a whole number of hundredths."""
        return self.curve[round(keep_at * STEPS)]

    def outcome_of_each(self, keep_at: float) -> Integers:
        """Return for each text, and each text outside, the index of its outcome in `OUTCOMES`."""
        read = self.readings
        kept = np.where(read.is_rejected, 2, np.where(read.in_scope & read.best_right, 0, 1))
        return np.where(read.confidence >= least_kept(keep_at), kept, len(OUTCOMES) - 1)

    def outcomes(self, keep_at: float) -> OutcomeCounts:
        """Return what becomes of the texts."""
        each, inside = self.outcome_of_each(keep_at), self.readings.in_scope
        counts = np.bincount(each[inside], minlength=len(OUTCOMES))
        right = np.bincount(each[inside & self.readings.best_right], minlength=len(OUTCOMES))
        outside = np.bincount(each[~inside], minlength=len(OUTCOMES)) / max(int((~inside).sum()), 1)
        traffic = (self.readings.share_of_traffic(each == at, self.outside_share) for at in range(len(OUTCOMES)))
        return OutcomeCounts(
            tuple(map(int, counts)), tuple(map(int, right)), tuple(map(float, outside)), tuple(traffic)
        )

    def recommended(self, accuracy: float) -> Recommendation | None:
        """Return the `keep_at` at which the kept answers reach an accuracy; None where there is none."""
        found = recommend_on(self.curve, accuracy)
        if found is None or not self.outside_share:
            return found
        weighted = f"the kept texts ({{}} when weighted to {self.outside_share:.0%} outside every label)"
        return replace(found, counted=weighted)

    @property
    def most_right(self) -> KeptAnswers | None:
        """Return what is kept where the largest share of it is right, at a `keep_at` that may be recommended.

        None where nothing is kept at these.
        """
        kept = [each for each in self.curve if each.keep_at >= LEAST_KEEP_AT and each.share]
        return max(kept, key=lambda each: each.right.value, default=None)

    def kept_at(self, found: Recommendation | None) -> KeptAnswers | None:
        """Return what is kept at a recommended `keep_at`; None where none is recommended."""
        return None if found is None else self.at(found.keep_at)


def near_outside(labels: int, rows: int) -> NearOutside:
    """Return what was measured with the most labels, and of these with the most rows a label, that are no more.

    Where fewer labels or rows are asked for than were measured, it is that with the fewest.

    Args:
        labels: of a model.
        rows: of each label.
    """
    of_labels = max((each.labels for each in NEAR_OUTSIDE if each.labels <= labels), default=NEAR_OUTSIDE[0].labels)
    of_rows = sorted((each for each in NEAR_OUTSIDE if each.labels == of_labels), key=lambda each: each.rows)
    return max((each for each in of_rows if each.rows <= rows), key=lambda each: each.rows, default=of_rows[0])


def recommend_on(curve: Sequence[KeptAnswers], accuracy: float) -> Recommendation | None:
    """Return the `keep_at` at which what is kept reaches an accuracy; see :func:`sprat_training.keep_at.recommend`.

    Args:
        curve: what is kept at keep_at 0, 0.01, … 1.
        accuracy: required share of right answers among those kept.
    """
    return recommend((kept.right_at for kept in curve), accuracy)


def curve_of(
    readings: ModelReadings,
    outside_share: float = 0.0,
    outside_groups: Integers | None = None,
    inside_groups: Integers | None = None,
) -> tuple[KeptAnswers, ...]:
    """Return what is kept at keep_at 0, 0.01, … 1; see :func:`measure`."""
    return tuple(
        _kept(readings, step / STEPS, outside_share, outside_groups, inside_groups) for step in range(STEPS + 1)
    )


def readings_of(
    logits: Floats, inside: Doubles, gold: Integers, outside: Doubles, calibrator: LabelCalibrator
) -> ModelReadings:
    """Return what a service would publish of texts, followed by texts outside.

    Args:
        logits: of the texts that have a label.
        inside: features of the same texts.
        gold: index of the label of each.
        outside: features of texts outside every label.
        calibrator: turns features into chances.
    """
    raw = np.concatenate([inside, outside])
    probabilities = calibrator.chances(raw)
    is_outside = probabilities[:, OUTSIDE] > probabilities[:, RIGHT]
    best_right = np.zeros(len(raw), bool)
    best_right[: len(gold)] = logits.argmax(axis=1) == gold
    return ModelReadings(
        in_scope=np.arange(len(raw)) < len(gold),
        best_right=best_right,
        best_logit=raw[:, 0],
        outside_probability=probabilities[:, OUTSIDE],
        is_rejected=is_outside,
        confidence=np.where(is_outside, probabilities[:, OUTSIDE], probabilities[:, RIGHT]),
    )


def measure(
    readings: ModelReadings,
    best: Integers,
    gold: Integers,
    labels: tuple[str, ...],
    outside_share: float,
    outside_groups: Integers | None = None,
    outside_texts: int | None = None,
    inside_groups: Integers | None = None,
) -> TrainingFigures:
    """Compute all figures.

    Args:
        readings: of the texts, followed by those outside every label.
        best: index of the most likely label of each text.
        gold: index of the right one.
        labels: all labels.
        outside_share: assumed share of the traffic outside; taken as 0 where `readings` has no text outside.
        outside_groups: for each text outside the number of its group; texts of one group are no independent cases. None
            where each is a case of its own.
        outside_texts: how many different texts are outside, where several heads have read each. None where one has.
        inside_groups: as `outside_groups`, of the texts with a label: intervals count groups of equal size.
    """
    has_outside = not readings.in_scope.all()
    share = outside_share if has_outside else 0.0
    table = np.bincount(gold * len(labels) + best, minlength=len(labels) ** 2).reshape(len(labels), len(labels))
    bins = reliability_bins(readings, share)
    by_label = _label_figures(table, labels)
    measured = [of for of in by_label if of.texts]
    groups = _effective(np.ones(len(gold)), inside_groups)
    f1 = [2 * of.recall * of.precision / (of.recall + of.precision) if of.recall else 0.0 for of in measured]
    return TrainingFigures(
        texts=len(gold),
        accuracy=wilson(int(np.trace(table)) / len(gold) * groups, groups),
        macro_f1=float(np.mean(f1)),
        outside_texts=int((~readings.in_scope).sum()) if outside_texts is None else outside_texts,
        outside_recall=float(readings.is_rejected[~readings.in_scope].mean()) if has_outside else None,
        outside_share=share,
        calibration_error=expected_calibration_error(bins),
        bins=tuple(bins),
        curve=curve_of(readings, share, outside_groups, inside_groups),
        labels=by_label,
        confusions=_confusions(table, labels),
        readings=readings,
        best=best,
    )


def _summed(values: Doubles, groups: Integers | None) -> Doubles:
    """Return the sum of each group; the values themselves where each is a case of its own."""
    if groups is None:
        return values
    return np.bincount(np.unique(groups, return_inverse=True)[1], values).astype(np.float64)


def _effective(weights: Doubles, groups: Integers | None) -> float:
    """Return how many groups of equal weight would say as much (Kish's effective sample size)."""
    return float(weights.sum() ** 2 / (_summed(weights, groups) ** 2).sum())


def _kept(
    readings: ModelReadings,
    keep_at: float,
    outside_share: float,
    outside_groups: Integers | None,
    inside_groups: Integers | None,
) -> KeptAnswers:
    weights, enough = readings.weights(outside_share), readings.confidence >= least_kept(keep_at)
    kept = np.where(enough, weights, 0.0)
    total = readings.share_of_traffic(enough, outside_share)
    if total == 0:
        return KeptAnswers(keep_at, 0.0, Interval(1.0, 0.0, 1.0), 0.0)
    share = readings.share_of_traffic(enough & readings.right, outside_share) / total
    # The part of each text in the error of the share; texts of one group are added up first.
    parts = kept * (readings.right - share) / total
    variance = float((_summed(parts[readings.in_scope], inside_groups) ** 2).sum())
    outside = parts[~readings.in_scope]
    if len(outside):
        groups = np.arange(len(outside)) if outside_groups is None else outside_groups
        sums = np.bincount(groups, outside)
        variance += float(((sums - sums.mean()) ** 2).sum()) * len(sums) / max(len(sums) - 1, 1)
    # Texts have unequal weights, so the interval is that of the effective sample size: Kish's, or where the groups
    # differ more than so many texts would, the one that has the same variance.
    inside = _summed(kept[readings.in_scope], inside_groups)
    effective = total**2 / float((inside**2).sum() + (kept[~readings.in_scope] ** 2).sum())
    if variance > 0:
        effective = min(effective, share * (1 - share) / variance)
    right = wilson(share * effective, effective)
    # The shares inside and outside add up to 1 except for rounding.
    return KeptAnswers(keep_at, min(total, 1.0), right, effective)


def _label_figures(table: Integers, labels: tuple[str, ...]) -> tuple[LabelFigures, ...]:
    hits, in_data, predicted = np.diag(table), table.sum(axis=1), table.sum(axis=0)
    return tuple(
        LabelFigures(
            label,
            int(in_data[index]),
            float(hits[index] / in_data[index]) if in_data[index] else 0.0,
            float(hits[index] / predicted[index]) if predicted[index] else 0.0,
        )
        for index, label in enumerate(labels)
    )


def _confusions(table: Integers, labels: tuple[str, ...]) -> tuple[Confusion, ...]:
    wrong = table - np.diag(np.diag(table))
    order = np.argsort(-wrong, axis=None, kind="stable")
    order = order[wrong.ravel()[order] > 0]
    totals = table.sum(axis=1)
    return tuple(
        Confusion(labels[label], labels[predicted], int(wrong[label, predicted]), int(totals[label]))
        for label, predicted in zip(*np.unravel_index(order, table.shape), strict=True)
    )
