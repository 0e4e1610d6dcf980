"""How good the answers of an intent model are, measured on texts whose labels are known.

Three protocols, which must not be mixed:

* raw: the most likely label of an in-scope text is right, whatever the confidence.
* tuned: a threshold on the highest logit, chosen on validation data; a text below it is rejected as out of scope. A
  rejected in-scope text counts as wrong. The threshold maximises accuracy where a stated share of the traffic is out of
  scope (the protocol of Larson et al. 2019, for CLINC150).
* served: the decision that the service publishes, a label or none.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from sprat_contracts.kept import least_kept
from sprat_inference.card import Card
from sprat_inference.label_calibration import OUTSIDE, RIGHT
from sprat_training.datasets.clinc150 import Split

Doubles = NDArray[np.float64]
Flags = NDArray[np.bool_]

EMPTY_SPLIT: Final = Split((), ())
Z_95: Final = 1.959964
"""95 % of a normal distribution lie within so many standard deviations."""
_TEXTS_PER_BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class Interval:
    """A share or an amount with the ends of its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        low, high = self.rounded_ends
        return f"{self.value:.1%} ({low:.1%} to {high:.1%})"

    @property
    def rounded_ends(self) -> tuple[float, float]:
        """Return the ends as thousandths, rounded outwards: an interval that seems to be a point says too much."""
        return self.ends_to(3)

    def ends_to(self, decimals: int) -> tuple[float, float]:
        """Return the ends with so many decimals, rounded outwards."""
        parts = 10**decimals
        low, high = math.floor(round(self.low * parts, 6)), math.ceil(round(self.high * parts, 6))
        return low / parts, high / parts

    def overlaps(self, other: "Interval") -> bool:
        """Return whether some value lies in both intervals: then they show no difference."""
        return self.low <= other.high and other.low <= self.high


def wilson(right: float, count: float) -> Interval:
    """Return Wilson's score interval for `right` of `count`; 0 to 1 where nothing was counted.

    Where all or none are right, it still has a width, as a bootstrap has not (Wilson 1927; Brown, Cai, DasGupta 2001).
    """
    if count <= 0:
        return Interval(0.0, 0.0, 1.0)
    share, square = right / count, Z_95**2
    middle = (share + square / (2 * count)) / (1 + square / count)
    half = Z_95 * math.sqrt(share * (1 - share) / count + square / (4 * count**2)) / (1 + square / count)
    return Interval(share, max(middle - half, 0.0), min(middle + half, 1.0))


def allow_for_unseen(drawn: Interval, cases: int, least: float = 0.0, most: float = 1.0) -> Interval:
    """Return the interval of a mean by bootstrap, widened by what the cases may not show.

    Cases that are alike give a bootstrap that is a point, and cases of which one alone differs give one that is hardly
    wider. But a kind of case that is none of them may be a share of the traffic, up to Wilson's upper end for 0 of
    `cases`, z² / (cases + z²). Such cases are counted as `least` for the lower end, as `most` for the upper one.

    Where all cases are right, or none is, these are the ends of Wilson's interval (1927) for the share of right ones.
    Where all paired differences are 0, or all 1, or all -1, and `least` is -1 and `most` 1, they are the ends of
    Tango's score interval for the difference of two paired shares (Statistics in Medicine 17, 1998, 891-908). Where the
    cases differ much, the bootstrap is the wider one, and stays as it is.

    Args:
        drawn: the mean with the ends of its bootstrap.
        cases: how many independent ones the mean is of; with none it may be anything from `least` to `most`.
        least: what a case adds to the mean at least.
        most: what it adds at most.
    """
    unseen = wilson(0, cases).high
    seen = (1 - unseen) * drawn.value
    return Interval(drawn.value, min(drawn.low, seen + unseen * least), max(drawn.high, seen + unseen * most))


class LabelModel(Protocol):
    """A model that returns for each text the most likely label, and the probability that no label fits."""

    @property
    def card(self) -> Card:
        """Return the card."""

    def classify(self, texts: Sequence[str], languages: Sequence[str], /) -> Any:
        """Return `logits`, `best`, `outside`, `is_outside` and `confidence`, each with one row per text."""


@dataclass(frozen=True, slots=True)
class ModelReadings:
    """What a model says of in-scope texts followed by out-of-scope texts: one entry per text in each array."""

    in_scope: Flags
    """True for the in-scope texts."""
    best_right: Flags
    """The most likely label is the right one; False for all texts out of scope."""
    best_logit: Doubles
    outside_probability: Doubles
    """Calibrated probability that the text is out of scope."""
    is_rejected: Flags
    """The published output has no label."""
    confidence: Doubles

    @property
    def right(self) -> Flags:
        """Return whether each output is right as published."""
        return np.where(self.in_scope, self.best_right & ~self.is_rejected, self.is_rejected)

    def answered_by_another(self, answered: Flags, chances: Doubles, best_right: Flags) -> "ModelReadings":
        """Return the readings where another stage answers some texts.

        Args:
            answered: whether it answers each text.
            chances: its chances of right, wrong and outside for each text.
            best_right: for each text in scope, whether the likeliest label of the stage that answers is right.
        """
        right, outside = chances[:, RIGHT], chances[:, OUTSIDE]
        is_outside = outside > right
        known = np.zeros_like(self.in_scope)
        known[self.in_scope] = best_right
        return ModelReadings(
            in_scope=self.in_scope,
            best_right=known,
            best_logit=self.best_logit,
            outside_probability=np.where(answered, outside, self.outside_probability),
            is_rejected=np.where(answered, is_outside, self.is_rejected),
            confidence=np.where(answered, np.maximum(right, outside), self.confidence),
        )

    def weights(self, outside_share: float) -> Doubles:
        """Return one weight per text, adding up to 1, under which `outside_share` of the texts are out of scope."""
        count = int(self.in_scope.sum())
        outside = max(self.in_scope.size - count, 1)  # without any, none gets this weight
        return np.where(self.in_scope, (1 - outside_share) / count, outside_share / outside)

    def share_of_traffic(self, which: Flags, outside_share: float) -> float:
        """Return the share of some texts under these weights, by their numbers.

        Weights that are added up one by one end in another binary digit, and 11.25 % would be rounded up in one place
        and down in another.
        """
        count = int(self.in_scope.sum())
        inside, outside = int((which & self.in_scope).sum()), int((which & ~self.in_scope).sum())
        of_inside = (1 - outside_share) * inside / max(count, 1)
        return of_inside + outside_share * outside / max(self.in_scope.size - count, 1)


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


def raw_accuracy(readings: ModelReadings) -> float:
    """Return the share of in-scope texts whose most likely label is right."""
    return float(readings.best_right[readings.in_scope].mean())


def served_accuracy(readings: ModelReadings) -> tuple[float, float]:
    """Return in-scope accuracy and out-of-scope recall of the decisions that the service publishes."""
    return float(readings.right[readings.in_scope].mean()), float(readings.right[~readings.in_scope].mean())


def auroc(readings: ModelReadings) -> float:
    """Return the area under the ROC curve of the out-of-scope probability (Mann-Whitney U; ties count half)."""
    _, places, counts = np.unique(readings.outside_probability, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places]
    outs, ins = int((~readings.in_scope).sum()), int(readings.in_scope.sum())
    return float((ranks[~readings.in_scope].sum() - outs * (outs + 1) / 2) / (outs * ins))


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


def joined(parts: Sequence[ModelReadings]) -> ModelReadings:
    """Return the readings of several samples as one."""
    return ModelReadings(*(np.concatenate([getattr(part, each.name) for part in parts]) for each in fields(parts[0])))


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
