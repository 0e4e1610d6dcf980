"""Which threshold meets what a person wants: an accuracy at the least cost, or the best accuracy within a budget."""

import re
from dataclasses import dataclass
from typing import Final

from sprat.errors import UserError
from sprat_training.evaluation.strategies import Assessment, Routed

_BUDGET: Final = re.compile(
    r"\s*(?:€|EUR)?\s*([0-9]+(?:\.[0-9]+)?)\s*(?:€|EUR)?\s*/\s*([0-9]+(?:\.[0-9]+)?)\s*([KkMm]?)\s*"
)
UNKNOWN_COSTS: Final = "no costs are known"
GIVE_COSTS: Final = (
    "say what an answer costs, by cost_eur in the file of answers, by --frontier-eur, or by --frontier-price "
    "where it is asked now; or choose by --accuracy"
)
_TIMES: Final = {"": 1, "k": 1_000, "m": 1_000_000}


@dataclass(frozen=True, slots=True)
class ThresholdChoice:
    """A threshold that meets what was wanted on these texts."""

    routed: Routed
    sure: Routed | None
    """The cheapest threshold at which even the lower end of the 95 % interval meets the accuracy; None where there is
    none, or where a budget was wanted."""


def for_accuracy(assessment: Assessment, wanted: float) -> ThresholdChoice:
    """Give the cheapest threshold that is right so often; where no costs are known, the one that escalates least.

    Raises:
        UserError: none is; it says how far one gets.
    """
    enough = [each for each in assessment.routed if each.outcome.accuracy.value >= wanted]
    if not enough:
        best = max(assessment.routed, key=lambda each: each.outcome.accuracy.value)
        raise UserError(
            f"--accuracy {wanted:g}: no keep_at reaches it on these texts; the best is "
            f"{best.outcome.accuracy.value:.1%}, at keep_at {best.keep_at:.2f}"
        )
    sure = [each for each in enough if each.outcome.accuracy.low >= wanted]
    cheapest = min(enough, key=_cost)
    return ThresholdChoice(cheapest, min(sure, key=_cost) if sure else None)


def within_budget(assessment: Assessment, eur_per_million: float) -> ThresholdChoice:
    """Give the threshold with the best accuracy whose cost stays within the budget; of equal ones the cheapest.

    Raises:
        UserError: no costs are known, or even keeping everything costs more, for some answers are escalated whatever
            their confidence.
    """
    if not assessment.costs_known:
        raise UserError(f"--budget: {UNKNOWN_COSTS}: {GIVE_COSTS}")
    affordable = [each for each in assessment.routed if each.outcome.eur_per_million.value <= eur_per_million]
    if not affordable:
        least = min(each.outcome.eur_per_million.value for each in assessment.routed)
        raise UserError(f"--budget: no keep_at costs so little; the least is {least:.2f} EUR for a million texts")
    best = max(affordable, key=lambda each: (each.outcome.accuracy.value, *(-cost for cost in _cost(each))))
    return ThresholdChoice(best, None)


def parse_budget(said: str) -> float:
    """Read a budget such as 20EUR/1M and give euros for a million texts.

    Raises:
        UserError: it is none.
    """
    match = _BUDGET.fullmatch(said)
    texts = float(match[2]) * _TIMES[match[3].lower()] if match else 0.0
    if match is None or texts <= 0:
        raise UserError(f"--budget {said}: needs euros for so many texts, as in 20EUR/1M or 0.5EUR/10k")
    return float(match[1]) / texts * 1_000_000


def _cost(routed: Routed) -> tuple[float, float, float]:
    """What it costs, then what it escalates: costs may be unknown, or some answers free.

    Of two that escalate the same texts the higher threshold is the safer one for others.
    """
    return routed.outcome.eur_per_million.value, routed.outcome.escalated, -routed.keep_at
