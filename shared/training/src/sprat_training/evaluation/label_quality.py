"""How good the answers are: the figures of the card, from a served model and held-out texts. Not used while serving.

Protocols, in words:

* raw: the best label of an in-scope text is right, whatever the confidence.
* tuned: a threshold on the best logit, chosen on validation; a text below it is sent out. An in-scope text that is sent
  out counts as wrong. The threshold maximises accuracy where a stated share of the traffic is out of scope.
* served: the decision that the service publishes, label or null.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sprat_inference.card import Card
from sprat_training.datasets.clinc150 import Split

Doubles = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Seen:
    """A model's readings of in-scope texts followed by those of out-of-scope texts."""

    inside: Flags
    """True for the in-scope texts."""
    best_right: Flags
    """The best label is the gold label; False for all texts out of scope."""
    score: Doubles
    """The best logit: the higher, the likelier in scope."""
    outside: Doubles
    """Calibrated chance of being out of scope."""
    sent_out: Flags
    """The output is null."""
    confidence: Doubles

    @property
    def right(self) -> Flags:
        """The output as published is right."""
        return np.where(self.inside, self.best_right & ~self.sent_out, self.sent_out)

    def weights(self, share: float) -> Doubles:
        """Weights, adding up to 1, under which `share` of the texts are out of scope."""
        count = int(self.inside.sum())
        outside = max(self.inside.size - count, 1)  # none: then no weight is given to any
        return np.where(self.inside, (1 - share) / count, share / outside)


NOTHING = Split((), ())


class LabelModel(Protocol):
    """A model that says for each text which label is the likeliest, and how likely it is that none fits."""

    @property
    def card(self) -> Card:
        """Return the card."""

    def read(self, texts: Sequence[str], languages: Sequence[str], /) -> Any:
        """Return `logits`, `best`, `outside`, `is_outside` and `confidence`, each with one row a text."""


def see(model: LabelModel, inside: Split, outside: Split = NOTHING) -> Seen:
    """Read both with the model, in batches as a service would."""
    texts, labels = inside.texts + outside.texts, model.card.labels or ()
    tags = [inside.language] * len(inside.texts) + [outside.language] * len(outside.texts)
    cuts = [slice(start, start + 500) for start in range(0, len(texts), 500)]
    parts = [model.read(texts[cut], tags[cut]) for cut in cuts]
    best = np.concatenate([part.best for part in parts])
    gold = inside.labels + outside.labels
    return Seen(
        inside=np.arange(len(texts)) < len(inside.texts),
        best_right=np.array([labels[place] == label for place, label in zip(best, gold, strict=True)]),
        score=np.concatenate([part.logits.max(axis=1).astype(np.float64) for part in parts]),
        outside=np.concatenate([part.outside for part in parts]),
        sent_out=np.concatenate([part.is_outside for part in parts]),
        confidence=np.concatenate([part.confidence for part in parts]),
    )


def inside_only(seen: Seen) -> Seen:
    """The in-scope texts alone."""
    return Seen(*(getattr(seen, each.name)[seen.inside] for each in fields(seen)))


def raw_accuracy(seen: Seen) -> float:
    """Share of the in-scope texts whose best label is right."""
    return float(seen.best_right[seen.inside].mean())


def auroc(seen: Seen) -> float:
    """Chance that a text out of scope gets a higher chance of being outside than one in scope; ties count half."""
    _, places, counts = np.unique(seen.outside, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places]
    outs, ins = int((~seen.inside).sum()), int(seen.inside.sum())
    return float((ranks[~seen.inside].sum() - outs * (outs + 1) / 2) / (outs * ins))


def tuned_threshold(validation: Seen, share: float) -> float:
    """The threshold on the score with the best accuracy where `share` of the texts are out of scope."""
    order = np.argsort(validation.score, kind="stable")
    scores, weights = validation.score[order], validation.weights(share)[order]
    kept_right = np.where(validation.inside & validation.best_right, 1.0, 0.0)[order] * weights
    out_right = np.where(validation.inside, 0.0, 1.0)[order] * weights
    # Sending out the first n: what is right below counts as out of scope, what is right above as a label.
    accuracy = (
        np.concatenate([[0.0], np.cumsum(out_right)])
        + kept_right.sum()
        - np.concatenate([[0.0], np.cumsum(kept_right)])
    )
    best = int(accuracy.argmax())
    edges = np.concatenate([[-np.inf], (scores[1:] + scores[:-1]) / 2, [np.inf]])
    return float(edges[best])


def at_threshold(seen: Seen, threshold: float) -> tuple[float, float]:
    """In-scope accuracy (a text sent out counts as wrong) and out-of-scope recall."""
    kept = seen.score >= threshold
    return float((seen.best_right & kept)[seen.inside].mean()), float((~kept)[~seen.inside].mean())


def as_served(seen: Seen) -> tuple[float, float]:
    """The same two figures for the decisions that the service publishes."""
    return float(seen.right[seen.inside].mean()), float(seen.right[~seen.inside].mean())


def recall_at_escalated(seen: Seen, share: float) -> float:
    """Share of the texts out of scope whose chance of being so is above that of all but `share` of those in scope."""
    threshold = np.quantile(seen.outside[seen.inside], 1 - share)
    return float((seen.outside[~seen.inside] > threshold).mean())


def escalated_for(seen: Seen, right: float) -> float:
    """The least share to escalate, the least confident first, so that of those kept at least `right` are right."""
    order = np.argsort(-seen.confidence, kind="stable")
    shares = np.cumsum(seen.right[order]) / np.arange(1, seen.right.size + 1)
    good = np.flatnonzero(shares >= right)
    return 1.0 - (int(good[-1]) + 1 if good.size else 0) / seen.right.size


def kept(seen: Seen, keep_at: float, share: float) -> tuple[float, float]:
    """Share of the traffic whose confidence reaches `keep_at`, and how much of that is right."""
    weights, enough = seen.weights(share), seen.confidence >= keep_at
    total = float(weights[enough].sum())
    return total, float(weights[enough & seen.right].sum()) / total if total else 1.0


@dataclass(frozen=True, slots=True)
class Bin:
    """One bar of the reliability diagram."""

    stated: float
    """Mean confidence."""
    right: float
    """Share that is right."""
    weight: float
    """Share of the traffic."""
    texts: float
    """Effective number of texts: so many unweighted ones would tell as much."""


def reliability(seen: Seen, share: float, bins: int = 15) -> list[Bin]:
    """Confidence against truth in equally wide bins, empty ones left out."""
    weights = seen.weights(share)
    places = np.minimum((seen.confidence * bins).astype(int), bins - 1)
    drawn = []
    for place in np.unique(places):
        inside = places == place
        each = weights[inside]
        weight = float(each.sum())
        stated = float(np.average(seen.confidence[inside], weights=each))
        right = float(np.average(seen.right[inside], weights=each))
        drawn.append(Bin(stated, right, weight, weight**2 / float((each**2).sum())))
    return drawn


def expected_calibration_error(bins: Sequence[Bin]) -> float:
    """Mean distance between confidence and truth, weighted by traffic."""
    return sum(each.weight * abs(each.stated - each.right) for each in bins)
