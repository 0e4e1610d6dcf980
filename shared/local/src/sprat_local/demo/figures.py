"""Is an answer right? Compared with what a person wrote beside the sample."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sprat_contracts import IntentOutput, NerOutput, Output, Result, TranslationOutput
from sprat_local.demo.account import Account, Ending, Pair


def is_right(output: Output, gold: Any, *, by_small_model: bool) -> bool | None:
    """Compare an output with the gold answer of its task; None where that cannot tell.

    An intent is right when the label is the same, names when all spans and labels are the same. A translation can be
    good and differ from its gold: only the simulator's, which is the gold text or a spoilt one, can be judged so.
    """
    match output:
        case IntentOutput():
            return bool(output.label == gold)
        case NerOutput():
            found = {(entity.start, entity.end, entity.label) for entity in output.entities}
            return found == {(entity["start"], entity["end"], entity["label"]) for entity in gold}
        case TranslationOutput():
            return None if by_small_model else output.text.split() == str(gold).split()


# The demo's figures: per task, latency, cost. Pure.

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
    kept_because: Mapping[str, int]
    """The router's reason → pairs."""
    escalated_because: Mapping[str, int]
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
    pairs = [pair for pair in golds if pair.task == task]
    results = {pair: account.endings[pair][0].result for pair in pairs if account.endings.get(pair)}
    small = {pair: account.predictions[pair].output for pair in pairs if pair in account.predictions}
    kept = {pair: result.output for pair, result in results.items() if result.route.decision == "kept"}
    large = {pair: result for pair, result in results.items() if result.source == "frontier"}
    statuses = Counter(result.status for result in results.values())
    decisions = Counter(result.route.decision for result in results.values())
    paid = [result.cost_eur for result in results.values() if result.cost_eur > 0]
    return TaskFigures(
        pairs=len(pairs),
        kept=decisions["kept"],
        escalated=decisions["escalated"],
        answered=statuses["answered"],
        degraded=statuses["degraded"],
        unanswered=statuses["unanswered"],
        small_kept=_accuracy(golds, kept, by_small_model=True),
        small_all=_accuracy(golds, small, by_small_model=True),
        frontier=_accuracy(golds, {pair: result.output for pair, result in large.items()}, by_small_model=False),
        frontier_simulated=any(_is_simulated(result) for result in large.values()),
        kept_because=_reasons(results.values(), "kept"),
        escalated_because=_reasons(results.values(), "escalated"),
        declined=_declines(results.values()),
        cost_eur=sum(result.cost_eur for result in results.values()),
        all_frontier_eur=sum(paid) / len(paid) * len(pairs) if paid else None,
    )


def _reasons(results: Iterable[Result], decision: str) -> dict[str, int]:
    return dict(Counter(result.route.reason for result in results if result.route.decision == decision).most_common())


def _declines(results: Iterable[Result]) -> dict[str, int]:
    """Count why escalated pairs got no answer from the frontier."""
    codes = (r.declined.code for r in results if r.route.decision == "escalated" and r.declined is not None)
    return dict(Counter(codes).most_common())


def _is_simulated(result: Result) -> bool:
    return result.model is not None and result.model.name.startswith("simulated-")


def latency(endings: Iterable[Ending]) -> Latency:
    """Give the percentiles of the time from text to Result."""
    values = sorted(ending.latency_ms for ending in endings)
    return Latency(len(values), percentile(values, 50), percentile(values, 95))


def percentile(ordered: Sequence[float], percent: float) -> float | None:
    """Give the smallest value that at least `percent` of them do not exceed (nearest rank); None of nothing."""
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)] if ordered else None


def _accuracy(golds: Mapping[Pair, Any], outputs: Mapping[Pair, Output | None], *, by_small_model: bool) -> Accuracy:
    verdicts = [
        is_right(output, golds[pair], by_small_model=by_small_model)
        for pair, output in outputs.items()
        if output is not None and golds[pair] is not MISSING
    ]
    judged = [verdict for verdict in verdicts if verdict is not None]
    return Accuracy(sum(judged), len(judged))


# What left the house in a demo, as its Results tell it. Pure.


@dataclass(frozen=True, slots=True)
class Leaving:
    """What went to the frontier, and what of it was masked."""

    texts: int
    """Texts that left, each counted once, whatever was asked about it."""
    texts_masked: int
    """Those of them in which something was masked."""
    masked: Mapping[str, int]
    """Type → items masked in all that left, the most frequent first."""

    @property
    def items(self) -> int:
        """How many items were masked."""
        return sum(self.masked.values())


def leaving(results: Iterable[Result]) -> Leaving:
    """Sum up; a text that was asked about twice has its items counted twice, as they left masked twice."""
    left = [
        ((result.text_source, result.text_id), result.egress.masked)
        for result in results
        if result.egress is not None and result.egress.left
    ]
    items: Counter[str] = Counter()
    for _, masked in left:
        items.update(masked)
    masked_texts = {text for text, masked in left if masked}
    return Leaving(len({text for text, _ in left}), len(masked_texts), dict(items.most_common()))
