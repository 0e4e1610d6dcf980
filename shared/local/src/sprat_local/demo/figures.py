"""The demo's figures by task: how its pairs ended, accuracy, latency, cost, what left the perimeter. Pure."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sprat_contracts import IntentOutput, NerOutput, Output, Result, TranslationOutput
from sprat_local.demo.records import Observations, ObservedResult, TaskPair

NO_GOLD = object()
"""Marks a pair without a gold answer; None is a gold answer (outside every intent)."""


@dataclass(frozen=True, slots=True)
class GoldAccuracy:
    """How many of the answers that could be judged are correct."""

    right: int
    judged: int

    @property
    def share(self) -> float | None:
        """From 0 to 1; None if nothing was judged."""
        return self.right / self.judged if self.judged else None


@dataclass(frozen=True, slots=True)
class TaskFigures:
    """How the pairs of one task ended. Its fields are keys of the JSON report."""

    pairs: int
    kept: int
    escalated: int
    answered: int
    degraded: int
    unanswered: int
    small_kept: GoldAccuracy
    """The small model's answers that the router kept."""
    small_all: GoldAccuracy
    """All answers of the small model, including those that were escalated."""
    frontier: GoldAccuracy
    frontier_simulated: bool
    kept_because: Mapping[str, int]
    """The router's reason → pairs."""
    escalated_because: Mapping[str, int]
    declined: Mapping[str, int]
    """Why the frontier did not answer → pairs."""
    cost_eur: float
    all_frontier_eur: float | None
    """The mean cost of a paid answer of this task times all its pairs; None if no answer was paid."""


@dataclass(frozen=True, slots=True)
class LatencySummary:
    """From the append of the text to the append of the Result, by the broker's clock, in milliseconds."""

    count: int
    p50_ms: float | None
    p95_ms: float | None


@dataclass(frozen=True, slots=True)
class EgressSummary:
    """What was sent to the frontier, and what of it was masked."""

    texts: int
    """Texts that left, each counted once, for however many tasks."""
    texts_masked: int
    """Those of them in which something was masked."""
    masked: Mapping[str, int]
    """Type → masked items in all that left, most frequent first."""

    @property
    def items(self) -> int:
        """The number of masked items."""
        return sum(self.masked.values())


def task_figures(task: str, golds: Mapping[TaskPair, Any], observations: Observations) -> TaskFigures:
    """Summarise one task over the accepted pairs; of several Results for a pair the first counts."""
    pairs = [pair for pair in golds if pair.task == task]
    results = {pair: observations.results[pair][0].result for pair in pairs if observations.results.get(pair)}
    small = {pair: observations.predictions[pair].output for pair in pairs if pair in observations.predictions}
    kept = {pair: result.output for pair, result in results.items() if result.route.decision == "kept"}
    frontier = {pair: result for pair, result in results.items() if result.source == "frontier"}
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
        frontier=_accuracy(golds, {pair: result.output for pair, result in frontier.items()}, by_small_model=False),
        frontier_simulated=any(_is_simulated(result) for result in frontier.values()),
        kept_because=_reasons(results.values(), "kept"),
        escalated_because=_reasons(results.values(), "escalated"),
        declined=_decline_codes(results.values()),
        cost_eur=sum(result.cost_eur for result in results.values()),
        all_frontier_eur=sum(paid) / len(paid) * len(pairs) if paid else None,
    )


def is_correct(output: Output, gold: Any, *, by_small_model: bool) -> bool | None:
    """Compare an output with the gold answer of its task; None if the comparison says nothing.

    An intent is correct if the label is the same, names if all spans and labels are the same. A good translation can
    differ from the gold one: only the simulator's, which is the gold text or an altered one, can be judged this way.
    """
    match output:
        case IntentOutput():
            return bool(output.label == gold)
        case NerOutput():
            entities = {(entity.start, entity.end, entity.label) for entity in output.entities}
            return entities == {(entity["start"], entity["end"], entity["label"]) for entity in gold}
        case TranslationOutput():
            return None if by_small_model else output.text.split() == str(gold).split()
        case _:  # a text that a large model wrote
            return None


def summarise_latency(results: Iterable[ObservedResult]) -> LatencySummary:
    """Return the percentiles of the time from text to Result."""
    values = sorted(result.latency_ms for result in results)
    return LatencySummary(len(values), percentile(values, 50), percentile(values, 95))


def percentile(ordered: Sequence[float], percent: float) -> float | None:
    """Return the smallest value that at least `percent` of them do not exceed (nearest rank); None without values."""
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)] if ordered else None


def summarise_egress(results: Iterable[Result]) -> EgressSummary:
    """Summarise what left the perimeter; the items of a text count once for each task for which it left."""
    left = [
        ((result.text_source, result.text_id), result.egress.masked)
        for result in results
        if result.egress is not None and result.egress.left
    ]
    items: Counter[str] = Counter()
    for _, masked in left:
        items.update(masked)
    masked_texts = {text for text, masked in left if masked}
    return EgressSummary(len({text for text, _ in left}), len(masked_texts), dict(items.most_common()))


def _reasons(results: Iterable[Result], decision: str) -> dict[str, int]:
    return dict(Counter(result.route.reason for result in results if result.route.decision == decision).most_common())


def _decline_codes(results: Iterable[Result]) -> dict[str, int]:
    """Count why the frontier did not answer escalated pairs."""
    declined = (each.declined for each in results if each.route.decision == "escalated" and each.declined is not None)
    codes = ((each.causes or (each,))[-1].code for each in declined)
    return dict(Counter(codes).most_common())


def _is_simulated(result: Result) -> bool:
    return result.egress is not None and result.egress.simulated


def _accuracy(
    golds: Mapping[TaskPair, Any], outputs: Mapping[TaskPair, Output | None], *, by_small_model: bool
) -> GoldAccuracy:
    verdicts = [
        is_correct(output, golds[pair], by_small_model=by_small_model)
        for pair, output in outputs.items()
        if output is not None and golds[pair] is not NO_GOLD
    ]
    judged = [verdict for verdict in verdicts if verdict is not None]
    return GoldAccuracy(sum(judged), len(judged))
