"""What the tiers of a policy do with labelled texts: how many each one stops, how often it is right, what it costs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sprat_training.datasets.reader import split_labels
from sprat_training.evaluation.metrics import Interval, wilson
from sprat_training.evaluation.routing import f1_interval, mean_interval

_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class TierAnswer:
    """What one tier said to one text."""

    tier: str
    label: str | None
    """None where it gave no answer."""
    kept: bool
    eur: float
    asked: bool = True
    """Whether the text could go to it at all."""
    stated: float | None = None
    """The probability of its label that it stated; None where it stated none."""
    cached: bool = False
    """Whether it is the answer to an equal text."""


@dataclass(frozen=True, slots=True)
class TierResult:
    """What one tier did with all texts that reached it."""

    tier: str
    asked: int
    answered: int
    kept: Interval
    """Share of the texts asked."""
    right_of_kept: Interval
    right_of_answered: Interval
    eur_per_million: Interval
    """Euros for a million texts asked."""
    micro_f1: Interval | None = None
    """Of all its answers, over all decisions of a label for a text; None where each text has one label."""

    @property
    def as_json(self) -> dict[str, Any]:
        """Return it as JSON; intervals are value, low and high."""

        def rounded(interval: Interval, digits: int) -> list[float]:
            return [round(each, digits) for each in (interval.value, interval.low, interval.high)]

        return {
            "tier": self.tier,
            "asked": self.asked,
            "answered": self.answered,
            "kept": rounded(self.kept, 4),
            "right_of_kept": rounded(self.right_of_kept, 4),
            "right_of_answered": rounded(self.right_of_answered, 4),
            "eur_per_million": rounded(self.eur_per_million, 2),
            **({} if self.micro_f1 is None else {"micro_f1": rounded(self.micro_f1, 4)}),
        }


def compare_tiers(
    answers: Sequence[Sequence[TierAnswer]], labels: Sequence[str], several: str | None = None
) -> tuple[TierResult, ...]:
    """Return what each tier did, in the order in which they were first asked.

    Args:
        answers: of each text, what each tier said that it reached.
        labels: of each text, the right one.
        several: where a text may have several labels, the label that means that none applies; its labels are one, as
            :func:`one_label` writes them.
    """
    by_tier: dict[str, list[tuple[TierAnswer, str]]] = {}
    for steps, label in zip(answers, labels, strict=True):
        for step in steps:
            if step.asked:
                by_tier.setdefault(step.tier, []).append((step, label))
    return tuple(_result(tier, pairs, several) for tier, pairs in by_tier.items())


def micro_f1_of(answers: Sequence[str], labels: Sequence[str], none: str) -> Interval:
    """Return F1 over all decisions of a label for a text.

    Args:
        answers: of each text, its labels as one, as :func:`one_label` writes them; one text or more.
        labels: the right ones, likewise.
        none: the label that means that none applies.
    """
    pairs = [
        ({*split_labels(one)} - {none}, {*split_labels(other)} - {none})
        for one, other in zip(answers, labels, strict=True)
    ]
    hits = np.array([len(said & right) for said, right in pairs], dtype=np.float64)
    return f1_interval(hits, np.array([len(said) + len(right) for said, right in pairs], dtype=np.float64))


def _result(tier: str, pairs: Sequence[tuple[TierAnswer, str]], several: str | None) -> TierResult:
    answered = [(step, label) for step, label in pairs if step.label is not None]
    said, gold = [step.label or "" for step, _ in answered], [label for _, label in answered]
    kept = [(step, label) for step, label in answered if step.kept]

    def right(some: Sequence[tuple[TierAnswer, str]]) -> Interval:
        return wilson(sum(step.label == label for step, label in some), len(some))

    costs = np.array([step.eur * _MILLION for step, _ in pairs], dtype=np.float64)
    return TierResult(
        tier,
        len(pairs),
        len(answered),
        wilson(len(kept), len(pairs)),
        right(kept),
        right(answered),
        mean_interval(costs),
        None if several is None or not answered else micro_f1_of(said, gold, several),
    )
