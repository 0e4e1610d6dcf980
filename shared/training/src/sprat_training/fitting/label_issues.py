"""Labels that are doubted, as they may be wrong, by confident learning (Northcutt, Jiang & Chuang 2021).

A row is listed when a head that was not fitted on it gives another label at least the probability that this label has
on average in the rows that carry it. Each label has its own threshold, so the heads' overall confidence is irrelevant.
Spellings of one label count as one: that a row has one of them, and not another, is no wrong label.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sprat_inference.heads import Floats
from sprat_inference.label_calibration import softmax
from sprat_training.datasets.distinct import FEW_TEXTS, TrainingData
from sprat_training.datasets.rows import normalised_text

MAX_ISSUES: Final = 5_000


@dataclass(frozen=True, slots=True)
class LabelIssue:
    """A row whose label is doubted."""

    index: int
    """Of the text in the training data."""
    path: Path
    row: int
    """In the file."""
    label: str
    """As in the file."""
    likely_label: str
    margin: float
    """Probability of the likely label minus that of the label in the file, 0 to 1."""


def has_few_texts(data: TrainingData) -> bool:
    """Return whether half of the labels have few texts."""
    return bool(np.median(np.bincount(data.gold)) < FEW_TEXTS)


def find_label_issues(data: TrainingData, logits: Floats) -> tuple[LabelIssue, ...]:
    """Return the rows whose label is doubted, those with the largest margin first.

    Args:
        data: what was fitted.
        logits: texts × labels, each row by a head that was not fitted on the text.
    """
    of_spelling = softmax(logits)
    forms, number = np.unique([normalised_text(label) for label in data.labels], return_inverse=True)
    probabilities = np.zeros((len(of_spelling), len(forms)), of_spelling.dtype)
    np.add.at(probabilities.T, number, of_spelling.T)
    indexes, gold = np.arange(len(data.gold)), number[data.gold]
    own = probabilities[indexes, gold]
    others = np.where(probabilities >= _thresholds(own, gold, len(forms)), probabilities, -1.0)
    others[indexes, gold] = -1.0
    likely_form = others.argmax(axis=1)
    likely = np.where(number == likely_form[:, None], of_spelling, -1.0).argmax(axis=1)
    margin = others[indexes, likely_form] - own
    found = np.flatnonzero(margin > 0)
    return tuple(
        LabelIssue(
            index=int(index),
            path=data.paths[index],
            row=data.rows[index],
            label=data.labels[data.gold[index]],
            likely_label=data.labels[likely[index]],
            margin=round(float(margin[index]), 4),
        )
        for index in found[np.argsort(-margin[found], kind="stable")][:MAX_ISSUES]
    )


def _thresholds(own: NDArray[np.float64], gold: NDArray[np.int64], labels: int) -> NDArray[np.float64]:
    """Return the mean probability of each label in the rows that carry it."""
    means: NDArray[np.float64] = np.bincount(gold, own, labels) / np.maximum(np.bincount(gold, minlength=labels), 1)
    return means
