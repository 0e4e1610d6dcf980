"""How good the answers of an intent model are, measured on texts whose labels are known.

Three protocols, which must not be mixed:

* raw: the most likely label of an in-scope text is right, whatever the confidence.
* tuned: a threshold on the highest logit, chosen on validation data; a text below it is rejected as out of scope. A
  rejected in-scope text counts as wrong. The threshold maximises accuracy where a stated share of the traffic is out of
  scope (the protocol of Larson et al. 2019, for CLINC150).
* served: the decision that the service publishes, a label or none.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, Protocol

import numpy as np

from recipes import common
from recipes.intent.clinc150 import Split
from sprat_contracts.kept import least_kept
from sprat_inference.card import Card
from sprat_training.evaluation.metrics import ModelReadings

EMPTY_SPLIT: Final = Split((), ())
_TEXTS_PER_BATCH: Final = 500


class LabelModel(Protocol):
    """A model that returns for each text the most likely label, and the probability that no label fits."""

    @property
    def card(self) -> Card:
        """Return the card."""

    def classify(self, texts: Sequence[str], languages: Sequence[str], /) -> Any:
        """Return `logits`, `best`, `outside`, `is_outside` and `confidence`, each with one row per text."""


def read_splits(model: LabelModel, in_scope: Split, outside: Split = EMPTY_SPLIT) -> ModelReadings:
    """Run the model on both, in batches as a service would."""
    texts, labels = in_scope.texts + outside.texts, model.card.labels or ()
    languages = [in_scope.language] * len(in_scope.texts) + [outside.language] * len(outside.texts)
    batches = [slice(start, start + _TEXTS_PER_BATCH) for start in range(0, len(texts), _TEXTS_PER_BATCH)]
    parts = [model.classify(texts[batch], languages[batch]) for batch in batches]
    best = np.concatenate([part.best for part in parts])
    gold = in_scope.labels + outside.labels
    return ModelReadings(
        in_scope=np.arange(len(texts)) < len(in_scope.texts),
        best_right=np.array([labels[place] == label for place, label in zip(best, gold, strict=True)]),
        best_logit=np.concatenate([part.logits.max(axis=1).astype(np.float64) for part in parts]),
        outside_probability=np.concatenate([part.outside for part in parts]),
        is_rejected=np.concatenate([part.is_outside for part in parts]),
        confidence=np.concatenate([part.confidence for part in parts]),
    )


def in_scope_only(readings: ModelReadings) -> ModelReadings:
    """Return the readings of the in-scope texts."""
    return ModelReadings(*(getattr(readings, each.name)[readings.in_scope] for each in fields(readings)))


def joined(parts: Sequence[ModelReadings]) -> ModelReadings:
    """Return the readings of several samples as one."""
    return ModelReadings(*(np.concatenate([getattr(part, each.name) for part in parts]) for each in fields(parts[0])))


def raw_accuracy(readings: ModelReadings) -> float:
    """Return the share of in-scope texts whose most likely label is right."""
    return float(readings.best_right[readings.in_scope].mean())


def served_accuracy(readings: ModelReadings) -> tuple[float, float]:
    """Return in-scope accuracy and out-of-scope recall of the decisions that the service publishes."""
    return float(readings.right[readings.in_scope].mean()), float(readings.right[~readings.in_scope].mean())


def auroc(readings: ModelReadings) -> float:
    """Return the area under the ROC curve of the out-of-scope probability."""
    return common.auroc(readings.outside_probability, ~readings.in_scope)


def tuned_threshold(validation: ModelReadings, outside_share: float) -> float:
    """Return the threshold on the highest logit with the best accuracy where `outside_share` are out of scope."""
    order = np.argsort(validation.best_logit, kind="stable")
    logits, weights = validation.best_logit[order], validation.weights(outside_share)[order]
    kept_right = np.where(validation.in_scope & validation.best_right, 1.0, 0.0)[order] * weights
    rejected_right = np.where(validation.in_scope, 0.0, 1.0)[order] * weights
    # The accuracy where the first n are rejected: those below are right if out of scope, those above by their label.
    accuracy = (
        np.concatenate([[0.0], np.cumsum(rejected_right)])
        + kept_right.sum()
        - np.concatenate([[0.0], np.cumsum(kept_right)])
    )
    edges = np.concatenate([[-np.inf], (logits[1:] + logits[:-1]) / 2, [np.inf]])
    return float(edges[int(accuracy.argmax())])


def accuracy_at(readings: ModelReadings, threshold: float) -> tuple[float, float]:
    """Return in-scope accuracy (a rejected text counts as wrong) and out-of-scope recall at a threshold."""
    kept = readings.best_logit >= threshold
    in_scope = readings.in_scope
    return float((readings.best_right & kept)[in_scope].mean()), float((~kept)[~in_scope].mean())


def recall_at_rejected(readings: ModelReadings, share: float) -> float:
    """Return the out-of-scope recall where `share` of the in-scope texts are rejected."""
    threshold = np.quantile(readings.outside_probability[readings.in_scope], 1 - share)
    return float((readings.outside_probability[~readings.in_scope] > threshold).mean())


def least_escalated(readings: ModelReadings, accuracy: float) -> float:
    """Return the least share to escalate, least confident first, so that the kept answers reach `accuracy`."""
    order = np.argsort(-readings.confidence, kind="stable")
    shares = np.cumsum(readings.right[order]) / np.arange(1, readings.right.size + 1)
    enough = np.flatnonzero(shares >= accuracy)
    return 1.0 - (int(enough[-1]) + 1 if enough.size else 0) / readings.right.size


def kept_share(
    readings: ModelReadings, keep_at: float, outside_share: float, keep_at_outside: float | None = None
) -> tuple[float, float]:
    """Return the share of the traffic that is kept, and the accuracy of that share.

    Args:
        readings: of the texts.
        keep_at: the least confidence to keep an answer.
        outside_share: the share of the traffic that is out of scope.
        keep_at_outside: the least confidence to keep an answer without a label, where that is higher.
    """
    of_none = max(keep_at, keep_at_outside or 0.0)
    enough = readings.confidence >= np.where(readings.is_rejected, least_kept(of_none), least_kept(keep_at))
    kept = readings.share_of_traffic(enough, outside_share)
    return kept, readings.share_of_traffic(enough & readings.right, outside_share) / kept if kept else 1.0


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """One bin of the reliability diagram."""

    stated: float
    """Mean confidence."""
    right: float
    """Share of right answers."""
    weight: float
    """Share of the traffic."""
    texts: float
    """Effective sample size (Kish): so many unweighted texts would be as informative."""


def reliability_bins(readings: ModelReadings, outside_share: float, bins: int = 15) -> list[ReliabilityBin]:
    """Return confidence against accuracy in equally wide bins, without the empty ones."""
    weights = readings.weights(outside_share)
    numbers = np.minimum((readings.confidence * bins).astype(int), bins - 1)
    filled = []
    for number in np.unique(numbers):
        inside = numbers == number
        each = weights[inside]
        weight = float(each.sum())
        if not weight:  # texts outside alone, of which the traffic has none
            continue
        stated = float(np.average(readings.confidence[inside], weights=each))
        right = float(np.average(readings.right[inside], weights=each))
        filled.append(ReliabilityBin(stated, right, weight, weight**2 / float((each**2).sum())))
    return filled


def expected_calibration_error(bins: Sequence[ReliabilityBin]) -> float:
    """Return the mean distance between confidence and accuracy, weighted by traffic (ECE)."""
    return sum(each.weight * abs(each.stated - each.right) for each in bins)
