"""How good a fitted model is, from what was read of texts that it had not seen. Pure."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sprat_inference.heads import Floats
from sprat_inference.label_calibration import OUTSIDE, RIGHT, LabelCalibrator
from sprat_training.evaluation import label_quality
from sprat_training.evaluation.intervals import Interval, wilson
from sprat_training.fitting import features_of

Doubles = NDArray[np.float64]
Integers = NDArray[np.int64]

STEPS: Final = 100
"""A keep_at is a whole number of so many."""

LEAST_KEEP_AT: Final = 0.5
"""None lower is recommended."""


@dataclass(frozen=True, slots=True)
class OfLabel:
    """One label: how many of its texts are found, and how many of those that get it are its own."""

    label: str
    texts: int
    recall: float
    precision: float


@dataclass(frozen=True, slots=True)
class Pair:
    """Texts of one label that are taken for another's."""

    given: str
    believed: str
    texts: int
    of: int
    """Texts that have the first label."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept at one threshold."""

    keep_at: float
    share: float
    """Of the traffic."""
    right: Interval
    """Of what is kept."""


@dataclass(frozen=True, slots=True)
class TrainingFigures:
    """All of them. Shares of traffic assume that `outside_share` of it is outside every label."""

    texts: int
    accuracy: Interval
    """The best label is right, whatever the confidence."""
    macro_f1: float
    outside_recall: float | None
    """Share of the texts outside that are taken to be so; None where there were none."""
    outside_share: float
    calibration_error: float
    bins: tuple[label_quality.Bin, ...]
    curve: tuple[Kept, ...]
    """For keep_at 0, 0.01, … 1."""
    labels: tuple[OfLabel, ...]
    pairs: tuple[Pair, ...]
    """The most frequent first."""

    def at(self, keep_at: float) -> Kept:
        """Give what is kept at a threshold, a whole number of hundredths."""
        return self.curve[round(keep_at * STEPS)]

    def least(self, right: float) -> Kept | None:
        """Give the least threshold at which the answers kept are right so often; None where there is none.

        It is at least `LEAST_KEEP_AT`: an answer more likely wrong than right is not kept, however easy the texts were.
        """
        enough = (kept for kept in self.curve if kept.keep_at >= LEAST_KEEP_AT and kept.share > 0)
        return next((kept for kept in enough if kept.right.value >= right), None)


def seen_of(logits: Floats, gold: Integers, outside: Doubles, calibrator: LabelCalibrator) -> label_quality.Seen:
    """What a service would publish of texts with these logits, followed by texts outside with these features."""
    raw = np.concatenate([features_of(logits), outside])
    chances = calibrator.chances(raw)
    is_outside = chances[:, OUTSIDE] > chances[:, RIGHT]
    best_right = np.zeros(len(raw), bool)
    best_right[: len(gold)] = logits.argmax(axis=1) == gold
    return label_quality.Seen(
        inside=np.arange(len(raw)) < len(gold),
        best_right=best_right,
        score=raw[:, 0],
        outside=chances[:, OUTSIDE],
        sent_out=is_outside,
        confidence=np.where(is_outside, chances[:, OUTSIDE], chances[:, RIGHT]),
    )


def measure(
    seen: label_quality.Seen, best: Integers, gold: Integers, labels: tuple[str, ...], share: float
) -> TrainingFigures:
    """Measure.

    Args:
        seen: of the texts, and of those outside.
        best: place of the likeliest label of each text.
        gold: place of the right one.
        labels: all there are.
        share: assumed of the traffic to be outside; nothing is where none were seen.
    """
    share = share if not seen.inside.all() else 0.0
    table = np.bincount(gold * len(labels) + best, minlength=len(labels) ** 2).reshape(len(labels), len(labels))
    bins = label_quality.reliability(seen, share)
    each = _of_labels(table, labels)
    both = [2 * of.recall * of.precision / (of.recall + of.precision) if of.recall else 0.0 for of in each]
    return TrainingFigures(
        texts=len(gold),
        accuracy=wilson(int(np.trace(table)), len(gold)),
        macro_f1=float(np.mean(both)),
        outside_recall=None if seen.inside.all() else float(seen.sent_out[~seen.inside].mean()),
        outside_share=share,
        calibration_error=label_quality.expected_calibration_error(bins),
        bins=tuple(bins),
        curve=tuple(_kept(seen, step / STEPS, share) for step in range(STEPS + 1)),
        labels=each,
        pairs=_pairs(table, labels),
    )


def _kept(seen: label_quality.Seen, keep_at: float, share: float) -> Kept:
    weights, enough = seen.weights(share), seen.confidence >= keep_at
    some = weights[enough]
    total = float(some.sum())
    if total == 0:
        return Kept(keep_at, 0.0, Interval(1.0, 0.0, 1.0))
    # Texts outside weigh more than one: so many unweighted ones would tell as much.
    effective = total**2 / float((some**2).sum())
    # The weights sum up to 1 but for rounding.
    return Kept(
        keep_at, min(total, 1.0), wilson(float(weights[enough & seen.right].sum()) / total * effective, effective)
    )


def _of_labels(table: Integers, labels: tuple[str, ...]) -> tuple[OfLabel, ...]:
    hits, given, believed = np.diag(table), table.sum(axis=1), table.sum(axis=0)
    return tuple(
        OfLabel(
            label,
            int(given[place]),
            float(hits[place] / given[place]) if given[place] else 0.0,
            float(hits[place] / believed[place]) if believed[place] else 0.0,
        )
        for place, label in enumerate(labels)
    )


def _pairs(table: Integers, labels: tuple[str, ...]) -> tuple[Pair, ...]:
    mistaken = table - np.diag(np.diag(table))
    order = np.argsort(-mistaken, axis=None, kind="stable")
    order = order[mistaken.ravel()[order] > 0]
    sums = table.sum(axis=1)
    return tuple(
        Pair(labels[given], labels[believed], int(mistaken[given, believed]), int(sums[given]))
        for given, believed in zip(*np.unravel_index(order, table.shape), strict=True)
    )
