"""The demo's figures: per task, latency, cost. Pure."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sprat.demo.account import Account, Ending, Pair
from sprat.demo.judging import is_right

MISSING = object()
"""Stands for the gold answer that a pair does not have; None is one (outside every intent)."""


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How many of the answers that could be judged are right."""

    right: int
    judged: int

    @property
    def share(self) -> float | None:
        """From 0 to 1; None where nothing was judged."""
        return self.right / self.judged if self.judged else None


@dataclass(frozen=True, slots=True)
class TaskFigures:
    """How the pairs of one task ended."""

    pairs: int
    kept: int
    escalated: int
    answered: int
    degraded: int
    unanswered: int
    small_kept: Accuracy
    """The small model's answers that the router kept."""
    small_all: Accuracy
    """All answers that the small model gave, those escalated later among them."""
    frontier: Accuracy
    frontier_simulated: bool
    reasons: Mapping[str, int]
    """Why the router kept or escalated → pairs."""
    declined: Mapping[str, int]
    """Why the frontier did not answer → pairs."""
    cost_eur: float
    all_frontier_eur: float | None
    """The mean cost of a paid answer of this task times all its pairs; None where none was paid."""


@dataclass(frozen=True, slots=True)
class Latency:
    """From the text's appending to the Result's, by the broker's clock, in milliseconds."""

    count: int
    p50_ms: float | None
    p95_ms: float | None


def task_figures(task: str, golds: Mapping[Pair, Any], account: Account) -> TaskFigures:
    """Sum up one task over the pairs that were accepted; of a pair with several Results the first counts."""
    endings = {pair: account.endings[pair][0] for pair in golds if pair.task == task and account.endings.get(pair)}
    results = {pair: ending.result for pair, ending in endings.items()}
    statuses = Counter(result.status for result in results.values())
    decisions = Counter(result.route.decision for result in results.values())
    paid = [result.cost_eur for result in results.values() if result.cost_eur > 0]
    pairs = [pair for pair in golds if pair.task == task]
    return TaskFigures(
        pairs=len(pairs),
        kept=decisions["kept"],
        escalated=decisions["escalated"],
        answered=statuses["answered"],
        degraded=statuses["degraded"],
        unanswered=statuses["unanswered"],
        small_kept=_accuracy(
            golds, ((p, r.output) for p, r in results.items() if r.route.decision == "kept"), by_small_model=True
        ),
        small_all=_accuracy(
            golds,
            ((pair, account.predictions[pair].output) for pair in pairs if pair in account.predictions),
            by_small_model=True,
        ),
        frontier=_accuracy(
            golds, ((p, r.output) for p, r in results.items() if r.source == "frontier"), by_small_model=False
        ),
        frontier_simulated=all(
            r.model is not None and r.model.name.startswith("simulated-")
            for r in results.values()
            if r.source == "frontier"
        ),
        reasons=dict(Counter(result.route.reason for result in results.values()).most_common()),
        declined=dict(
            Counter(
                r.declined.code for r in results.values() if r.route.decision == "escalated" and r.declined is not None
            ).most_common()
        ),
        cost_eur=sum(result.cost_eur for result in results.values()),
        all_frontier_eur=sum(paid) / len(paid) * len(pairs) if paid else None,
    )


def latency(endings: Iterable[Ending], wanted: Callable[[Ending], bool]) -> Latency:
    """Give the percentiles of those that are wanted."""
    values = sorted(ending.latency_ms for ending in endings if wanted(ending))
    return Latency(len(values), percentile(values, 50), percentile(values, 95))


def percentile(ordered: Sequence[float], percent: float) -> float | None:
    """Give the smallest value that at least `percent` of them do not exceed (nearest rank); None of nothing."""
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)] if ordered else None


def _accuracy(golds: Mapping[Pair, Any], outputs: Iterable[tuple[Pair, Any]], *, by_small_model: bool) -> Accuracy:
    judged = [
        verdict
        for pair, output in outputs
        if output is not None
        and golds[pair] is not MISSING
        and (verdict := is_right(output, golds[pair], by_small_model=by_small_model)) is not None
    ]
    return Accuracy(sum(judged), len(judged))
