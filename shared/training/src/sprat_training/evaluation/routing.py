"""Accuracy and cost of the ways to divide the work between a small model and a frontier model.

The small model alone, the frontier alone, a random share escalated, or routed by confidence; and the threshold that
reaches an accuracy at the least cost, or the best accuracy within a budget.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sprat.errors import UserError
from sprat_contracts.kept import least_kept
from sprat_training.evaluation.metrics import Doubles, Flags, Interval, allow_for_unseen, wilson
from sprat_training.keep_at import LEAST_KEEP_AT, STEPS, Recommendation, RightAt, recommend

RESAMPLES: Final = 1_000
UNKNOWN_COSTS: Final = "no costs are known"
GIVE_COSTS: Final = (
    "say what an answer costs, by cost_eur in the file of answers, by --frontier-eur, or by --frontier-price "
    "where it is asked now; or choose by --accuracy"
)

_MAX_COUNTS: Final = 25_000_000
"""Counts held at once, 100 MB. With very many texts fewer resamples are as informative."""
_MILLION: Final = 1_000_000
_BUDGET: Final = re.compile(
    r"\s*(?:€|EUR)?\s*([0-9]+(?:\.[0-9]+)?)\s*(?:€|EUR)?\s*/\s*([0-9]+(?:\.[0-9]+)?)\s*([KkMm]?)\s*"
)
_FACTORS: Final = {"": 1, "k": 1_000, "m": _MILLION}


@dataclass(frozen=True, slots=True)
class TextOutcomes:
    """The answers of both models to each text: one entry per text in each array."""

    small_right: Flags
    confidence: Doubles
    """Of the small model's answer; -1 for a text that is escalated whatever the threshold."""
    frontier_right: Doubles
    """1 or 0; without answers, the accuracy that is assumed, for every text."""
    frontier_eur: Doubles
    """Cost of the frontier's answer."""
    denied: bool = False
    """The policy denies the frontier: escalated texts end as the small model's answers."""
    unknown: bool = False
    """Nothing is known of a frontier: what becomes of escalated texts is not said."""

    def __len__(self) -> int:
        return len(self.confidence)


@dataclass(frozen=True, slots=True)
class StrategyResult:
    """What one way to divide the work gives."""

    escalated: float
    """Share of the texts."""
    accuracy: Interval
    """Of all answers, the frontier's included."""
    right_of_kept: Interval | None
    """Of the small model's answers that are kept; None where none is."""
    eur_per_million: Interval
    """Euros per million texts, kept ones included."""


@dataclass(frozen=True, slots=True)
class ThresholdResult:
    """What the router gives at one threshold."""

    keep_at: float
    result: StrategyResult
    random_accuracy: float
    """Accuracy where the same share is escalated at random."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """All ways to divide the work."""

    texts: int
    small: StrategyResult
    frontier: StrategyResult
    routed: tuple[ThresholdResult, ...]
    """For keep_at 0, 0.01, … 1."""
    denied: bool = False
    """The policy denies the frontier: `frontier` and what is escalated are the small model's answers, too."""
    unknown: bool = False
    """Nothing is known of a frontier: of `frontier` and of what is escalated nothing holds."""
    named: Mapping[str, ThresholdResult] = field(default_factory=dict)
    """Whose keep_at, as "card" or "policy" → what that gives."""
    assumed: float | None = None
    """The accuracy of the frontier, where it is assumed instead of measured."""

    @property
    def small_only(self) -> bool:
        """Return whether no frontier takes part, so that the kept answers alone are judged."""
        return self.denied or self.unknown

    @property
    def costs_known(self) -> bool:
        """Return whether the frontier's answers are known to cost anything."""
        return self.frontier.eur_per_million.value > 0

    def at(self, keep_at: float) -> ThresholdResult:
        """Return the result at a threshold, a whole number of hundredths."""
        return self.routed[round(keep_at * STEPS)]


@dataclass(frozen=True, slots=True)
class ThresholdChoice:
    """The threshold that meets the requirement."""

    chosen: ThresholdResult
    recommended: Recommendation | None
    """How sure it is that the accuracy is reached; None where a budget was required."""

    @property
    def named_keep_ats(self) -> set[float]:
        """Return the thresholds that sentences on it name: the one chosen, and a lower one that was not taken."""
        least = None if self.recommended is None else self.recommended.least
        return {self.chosen.keep_at, *([] if least is None else [least.keep_at])}


def assess(
    outcomes: TextOutcomes,
    *,
    named: Mapping[str, float] | None = None,
    assumed: float | None = None,
    seed: int = 0,
) -> Assessment:
    """Compute all ways, with 95 % intervals: Wilson's for shares of right answers.

    Costs have no known distribution, so theirs are bootstrapped: the texts are drawn with replacement, `RESAMPLES`
    times. Those of a threshold are at least as wide as :func:`allow_for_unseen` says, as other texts may be kept, and
    cost nothing, or be escalated, at the mean price of the frontier. The small model alone costs nothing; and a price
    that is the same for each text is known, not estimated: there, the ends are the value.

    Args:
        outcomes: the answers of both models.
        named: further thresholds by whose they are, such as that of the card.
        assumed: the accuracy of the frontier, where the answers do not give it.
        seed: of the resamples.
    """
    if outcomes.denied or outcomes.unknown:
        assumed = None
        small_again = outcomes.small_right.astype(np.float64)
        outcomes = replace(outcomes, frontier_right=small_again, frontier_eur=np.zeros(len(outcomes)))
    count = len(outcomes)
    steps, named = [step / STEPS for step in range(STEPS + 1)], named or {}
    thresholds = [*steps, *named.values()]
    escalated = [
        np.zeros(count, bool),
        np.ones(count, bool),
        *(outcomes.confidence < least_kept(at) for at in thresholds),
    ]
    small, frontier, *routed = _results(outcomes, np.stack(escalated, axis=1), seed)
    gain = frontier.accuracy.value - small.accuracy.value
    results = tuple(
        ThresholdResult(keep_at, _with_unseen(result, frontier, count, keep_at), _at_random(small, result, gain))
        for keep_at, result in zip(thresholds, routed, strict=True)
    )
    by_name = dict(zip(named, results[len(steps) :], strict=True))
    routed_by = results[: len(steps)]
    return Assessment(count, small, frontier, routed_by, outcomes.denied, outcomes.unknown, by_name, assumed)


def for_accuracy(assessment: Assessment, accuracy: float) -> ThresholdChoice:
    """Return the threshold that `sprat_training.keep_at.recommend` gives: the least, and so the cheapest.

    The accuracy is that of all answers; where no frontier takes part, no threshold changes it, and it is that of the
    kept ones.

    Raises:
        UserError: no threshold reaches it; the message says what the best one reaches.
    """
    shares = [_judged(assessment, each) for each in assessment.routed]
    found = recommend(shares, accuracy)
    if found is None:
        of = "of the kept answers " if assessment.small_only else ""
        best = max((each for each in shares if each.keep_at >= LEAST_KEEP_AT), key=lambda each: each.share)
        raise UserError(
            f"--accuracy {accuracy:g}: no keep_at from {LEAST_KEEP_AT:.2f} on reaches it {of}on these texts; the best "
            f"is {best.share:.1%}, at keep_at {best.keep_at:.2f}"
        )
    counted = "the {} kept texts" if assessment.small_only else "these {} texts"
    return ThresholdChoice(assessment.at(found.keep_at), replace(found, counted=counted))


def within_budget(assessment: Assessment, eur_per_million: float) -> ThresholdChoice:
    """Return the threshold with the best accuracy that costs no more than the budget; of equal ones the cheapest.

    Raises:
        UserError: no costs are known, or the policy denies the frontier; or every threshold costs more, as the policy
            escalates some texts always.
    """
    if assessment.denied:
        raise UserError("--budget: the policy denies the frontier, so nothing is paid; choose by --accuracy")
    if not assessment.costs_known:
        raise UserError(f"--budget: {UNKNOWN_COSTS}: {GIVE_COSTS}")
    affordable = [each for each in assessment.routed if each.result.eur_per_million.value <= eur_per_million]
    if not affordable:
        least = min(each.result.eur_per_million.value for each in assessment.routed)
        raise UserError(f"--budget: no keep_at costs so little; the least is {least:.2f} EUR per million texts")
    best = max(affordable, key=lambda each: (each.result.accuracy.value, *(-cost for cost in _cost(each))))
    return ThresholdChoice(best, None)


def parse_budget(budget: str) -> float:
    """Return the euros per million texts of a budget such as `20EUR/1M`.

    Raises:
        UserError: it is not a budget.
    """
    match = _BUDGET.fullmatch(budget)
    texts = float(match[2]) * _FACTORS[match[3].lower()] if match else 0.0
    if match is None or texts <= 0:
        raise UserError(f"--budget {budget}: needs euros per number of texts, as in 20EUR/1M or 0.5EUR/10k")
    return float(match[1]) / texts * _MILLION


def _results(outcomes: TextOutcomes, escalated: Flags, seed: int) -> list[StrategyResult]:
    """Return the result of each way; `escalated` is texts × ways."""
    draws = _draw_counts(len(outcomes), seed)
    right = np.where(escalated, outcomes.frontier_right[:, None], outcomes.small_right[:, None])
    cost = np.where(escalated, outcomes.frontier_eur[:, None], 0.0) * _MILLION
    columns = zip(escalated.T, right.sum(axis=0), _intervals(cost, draws), strict=True)
    # Where the frontier's accuracy is assumed, `count` is a fraction: the interval is that of as many real answers.
    return [
        StrategyResult(
            float(sent.mean()), wilson(float(count), len(outcomes)), _right_of(outcomes.small_right[~sent]), euros
        )
        for sent, count, euros in columns
    ]


def _with_unseen(result: StrategyResult, frontier: StrategyResult, texts: int, keep_at: float) -> StrategyResult:
    """Return the result of a threshold, its cost with what other texts may cost; at 0 it escalates none of them."""
    if keep_at <= 0:
        return result
    price = frontier.eur_per_million.value
    return replace(result, eur_per_million=allow_for_unseen(result.eur_per_million, texts, 0.0, price))


def _at_random(small: StrategyResult, routed: StrategyResult, gain: float) -> float:
    """Return the accuracy where as many texts are escalated at random; each adds `gain`."""
    return small.accuracy.value + routed.escalated * gain


def _right_of(kept: Flags) -> Interval | None:
    return wilson(int(kept.sum()), len(kept)) if len(kept) else None


def _judged(assessment: Assessment, each: ThresholdResult) -> RightAt:
    """Return the share that must reach the accuracy that was asked for."""
    if not assessment.small_only:
        return RightAt(each.keep_at, each.result.accuracy.value, assessment.texts)
    right = each.result.right_of_kept
    kept = round((1 - each.result.escalated) * assessment.texts)
    return RightAt(each.keep_at, right.value if right else 0.0, kept)


def mean_interval(values: Doubles, seed: int = 0) -> Interval:
    """Return the mean with its 95 % interval by bootstrap: of values that are all alike, it is a point.

    Args:
        values: one-dimensional and not empty.
        seed: of the resamples.
    """
    (interval,) = _intervals(values[:, None], _draw_counts(len(values), seed))
    return interval


def f1_interval(hits: Doubles, labels: Doubles, seed: int = 0) -> Interval:
    """Return F1 over all decisions of a label for a text (micro-F1), with its 95 % interval.

    It is that of a bootstrap over texts, and at least as wide as :func:`allow_for_unseen` says: a text is the
    independent case, and one that has no label and gets none says nothing of F1.

    Args:
        hits: of each text, its labels that are right; one-dimensional and not empty.
        labels: of each text, its labels and the right ones, together. Where no text has any, F1 is 1.
        seed: of the resamples.
    """
    draws = np.vstack([np.ones((1, len(hits)), np.float32), _draw_counts(len(hits), seed)])
    value, *resampled = f1_of_draws(hits, labels, draws)
    low, high = np.quantile(resampled, (0.025, 0.975))
    return allow_for_unseen(Interval(float(value), float(low), float(high)), int((labels > 0).sum()))


def f1_of_draws(hits: Doubles, labels: Doubles, draws: NDArray[np.floating]) -> Doubles:
    """Return micro-F1 of each draw: draws × texts, how often each text is drawn or a multiple of that."""
    found, total = draws @ hits.astype(draws.dtype), draws @ labels.astype(draws.dtype)
    drawn = total > 0
    return np.where(drawn, 2 * found / np.where(drawn, total, 1), 1.0)


def _draw_counts(count: int, seed: int) -> NDArray[np.float32]:
    """Return how often each text is drawn: resamples × texts."""
    random = np.random.default_rng(seed)
    draws = np.empty((max(min(RESAMPLES, _MAX_COUNTS // count), 100), count), np.float32)
    for row in draws:
        row[:] = np.bincount(random.integers(0, count, count), minlength=count)
    return draws


def _intervals(values: Doubles, draws: NDArray[np.float32]) -> list[Interval]:
    """Return the mean of each column, with the 95 % interval of the resamples' means."""
    means = draws @ values.astype(np.float32) / len(values)
    low, high = np.quantile(means, (0.025, 0.975), axis=0)
    columns = zip(values.mean(axis=0), low, high, strict=True)
    return [Interval(float(value), float(least), float(most)) for value, least, most in columns]


def _cost(each: ThresholdResult) -> tuple[float, float, bool, float]:
    """Return the order of preference: cost, then the share escalated, as costs may be unknown or some answers free.

    Of those that escalate the same texts it is the least from `LEAST_KEEP_AT` on, as for an accuracy; where all are
    lower, the highest, which is the safer one for other texts.
    """
    low = each.keep_at < LEAST_KEEP_AT
    return each.result.eur_per_million.value, each.result.escalated, low, -each.keep_at if low else each.keep_at
