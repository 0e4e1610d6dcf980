"""How good a fitted model is, from what heads say of texts that they were not fitted on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from sprat_inference.heads import Floats
from sprat_inference.label_calibration import OUTSIDE, RIGHT, LabelCalibrator
from sprat_inference.label_sets import APPLIES_FROM
from sprat_training.evaluation.metrics import Interval, ModelReadings, wilson
from sprat_training.thresholds import Kept, Rows
from sprat_training.thresholds.estimated import effective
from sprat_training.thresholds.rows import Doubles, Flags, Integers

_BINS: Final = 15
"""Of the calibration error."""
_PARTS: Final = 5
"""Of the hidden labels."""


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
    NearOutside(5, 100, 0.0143, 0.5862, 0.9381, 15),
    NearOutside(10, 100, 0.1292, 0.5585, 0.9156, 15),
    NearOutside(20, 100, 0.1208, 0.3654, 0.9517, 9),
    NearOutside(50, 100, 0.1164, 0.2151, 0.9652, 3),
    NearOutside(5, 20, 0.0, 0.7015, 0.9277, 15),
    NearOutside(10, 20, 0.0092, 0.4723, 0.9198, 15),
    NearOutside(20, 20, 0.0715, 0.3454, 0.9439, 9),
    NearOutside(50, 20, 0.0818, 0.1812, 0.9591, 3),
    NearOutside(5, 10, 0.0, 0.3976, 0.9428, 15),
    NearOutside(10, 10, 0.0, 0.3631, 0.9282, 15),
    NearOutside(20, 10, 0.0, 0.2431, 0.9592, 9),
    NearOutside(50, 10, 0.0337, 0.1677, 0.9441, 3),
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
class HiddenKept:
    """How many texts of hidden labels, which stand in for texts outside, are kept with a label: shares."""

    texts: int
    labels: int
    share: float
    """Of all these texts."""
    least: float
    """Of the texts of one part of the labels: of that of which the fewest are kept."""
    most: float
    parts: int
    """Into so many the labels are drawn; each label is in one."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured on texts whose labels are known."""

    rows: Rows
    """The answers as they are published: of the texts with a label, followed by those outside every label."""
    accuracy: Interval
    """The likeliest label, or the whole set of labels, is right, whatever the confidence."""
    labels: tuple[LabelFigures, ...]
    confusions: tuple[Confusion, ...] = ()
    """The most frequent first; of sets none."""
    best: Integers | None = None
    """Index of the likeliest label of each text; None of sets."""
    hidden: bool = False
    """Whether the texts outside are those of hidden labels, each label a group."""

    @property
    def texts(self) -> int:
        """Return the number of texts with a label; of sets, of all texts."""
        return len(self.rows) if self.best is None else len(self.best)

    @property
    def macro_f1(self) -> float:
        """Return the mean F1 of the labels that have texts, each counting the same."""
        measured = [each for each in self.labels if each.texts]
        f1 = [2 * of.recall * of.precision / (of.recall + of.precision) if of.recall else 0.0 for of in measured]
        return float(np.mean(f1)) if f1 else 1.0

    @property
    def calibration_error(self) -> float:
        """Return how far the stated confidence and the share right lie apart."""
        return calibration_error(self.rows)

    @property
    def outside_recall(self) -> float | None:
        """Return the share of the texts outside every label that are published without one; None without such texts."""
        outside = self.rows.outside
        return float(self.rows.says_none[outside].mean()) if outside.any() and self.best is not None else None

    def hidden_kept(self, rows: Kept | None) -> HiddenKept | None:
        """Return how many texts of hidden labels are kept with a label; None where they do not stand in.

        Args:
            rows: what is kept of the rows; None where it is not known.
        """
        outside = self.rows.outside
        if rows is None or not self.hidden or not outside.any():
            return None
        return hidden_kept((rows.kept & ~self.rows.says_none)[outside], self.rows.group[outside])


def hidden_kept(kept: Flags, labels: Integers) -> HiddenKept:
    """Return how many texts of hidden labels are kept, and the range over parts of the labels, drawn from a seed.

    Args:
        kept: whether each text is kept with a label; at least one.
        labels: a number for each text, the same for texts of a label.
    """
    names, places = np.unique(labels, return_inverse=True)
    parts = min(_PARTS, len(names))
    part = (np.random.default_rng(0).permutation(len(names)) % parts)[places]
    shares = np.bincount(part, kept, parts) / np.bincount(part, minlength=parts)
    return HiddenKept(len(kept), len(names), float(kept.mean()), float(shares.min()), float(shares.max()), parts)


def calibration_error(rows: Rows) -> float:
    """Return how far the stated confidence and the share right lie apart on average, in bins of equal width."""
    places = np.minimum((rows.confidence * _BINS).astype(int), _BINS - 1)
    gaps = np.bincount(places, rows.weight * (rows.confidence - rows.right), _BINS)
    return float(np.abs(gaps).sum() / rows.weight.sum())


def figures_of_labels(
    rows: Rows, best: Integers, gold: Integers, labels: tuple[str, ...], *, hidden: bool = False
) -> Figures:
    """Compute the figures of a model that gives a text one label.

    Args:
        rows: the answers to the texts, followed by those to texts outside every label.
        best: index of the likeliest label of each text with a label.
        gold: index of the right one.
        labels: all labels.
        hidden: whether the texts outside are those of hidden labels, each label a group.
    """
    table = np.bincount(gold * len(labels) + best, minlength=len(labels) ** 2).reshape(len(labels), len(labels))
    accuracy = _share(int(np.trace(table)), rows.group[: len(gold)])
    return Figures(rows, accuracy, _label_figures(table, labels), _confusions(table, labels), best, hidden)


def figures_of_sets(
    gold: Flags,
    chances: Doubles,
    confidence: Doubles,
    labels: tuple[str, ...],
    *,
    languages: Sequence[str] | None = None,
    group: Integers | None = None,
    certifies: Flags | None = None,
) -> Figures:
    """Compute the figures of a model that gives a text several labels.

    Args:
        gold: texts × labels.
        chances: texts × labels.
        confidence: of the whole set of each text.
        labels: their names.
        languages: of each text.
        group: near doubles share a number.
        certifies: whether each text may certify.
    """
    said = chances >= APPLIES_FROM
    right = (said == gold).all(axis=1)
    rows = Rows.of(
        confidence,
        right,
        says_none=~said.any(axis=1),
        languages=languages,
        outside=~gold.any(axis=1),
        group=group,
        certifies=certifies,
    )
    hits, had, named = (said & gold).sum(axis=0), gold.sum(axis=0), said.sum(axis=0)
    return Figures(rows, _share(int(right.sum()), rows.group), _of_each(labels, hits, had, named))


def _share(right: int, group: Integers) -> Interval:
    """Return the share right with its interval, which counts groups of equal size."""
    count = effective(np.ones(len(group)), group)
    return wilson(right / max(len(group), 1) * count, count)


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


def _label_figures(table: Integers, labels: tuple[str, ...]) -> tuple[LabelFigures, ...]:
    return _of_each(labels, np.diag(table), table.sum(axis=1), table.sum(axis=0))


def _of_each(labels: tuple[str, ...], hits: Integers, had: Integers, named: Integers) -> tuple[LabelFigures, ...]:
    """Return recall and precision of each label, from the texts that are right, have it, and are said to have it."""
    shares = (hits / np.maximum(had, 1), hits / np.maximum(named, 1))
    return tuple(
        LabelFigures(label, int(had[place]), *(float(each[place]) for each in shares))
        for place, label in enumerate(labels)
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
