"""Overview: is it worth it, and does it work? For the owner of an installation."""

from observability.dashboards.panels import Dashboard, Query, bars, lines, number, percentiles, ranking, row, stacked
from observability.dashboards.promql import ANY, mean, per_step, rate, share, total, within
from sprat.telemetry import attributes as a
from sprat.telemetry import signals as s

_COST = f"({total(s.COST_EUR)} or vector(0))"
_SAVING = f"${{price:raw}} * {total(s.PAIRS)}\n  - {_COST}"
_ENDED = f"clamp_max({share(total(s.RESULTS), total(s.PAIRS))}, 1)"
_IN_TIME = within(1, s.RESULT_SECONDS, window="$__range", decision="kept")


def _budget_left(kept: str, objective: float) -> str:
    """Return the share of the error budget that is left where `kept` is the share that met the objective."""
    return f"1 - (1 - {kept}) / {round(1 - objective, 6):g}"


OVERVIEW = Dashboard(
    uid="sprat-overview",
    title="Sprat: Overview",
    description="For owners: how much do the small models answer themselves, what does the rest cost, what is saved, "
    "and does every text get its answer in time?",
    rows=(
        row(
            "The answer, for the chosen time range",
            number(
                "Accepted",
                "Pairs of a text and a task that the router has accepted.",
                "short",
                total(s.PAIRS),
                decimals=0,
            ),
            number(
                "Kept by small models",
                "Share of the Results that a small model answered. All others were escalated.",
                "percentunit",
                share(total(s.RESULTS, decision="kept"), total(s.RESULTS)),
                decimals=1,
                see="sprat-models",
            ),
            number(
                "Cost",
                "Euros for calls to the provider of the frontier model.",
                "currencyEUR",
                total(s.COST_EUR),
                needs="a call to a provider that has a price",
                see="sprat-frontier",
            ),
            number(
                "Saved by small models",
                "What all accepted pairs would have cost at the frontier, less what was spent. The assumption is "
                "the variable `price`: what one pair costs there. Without another choice it is the measured mean "
                "of a call.",
                "currencyEUR",
                _SAVING,
                needs="a call to a provider that has a price, as the price is measured",
            ),
            number(
                "Ended in a Result",
                "Results divided by accepted pairs. The promise is that every pair ends in one; those still "
                "waiting are missing here.",
                "percentunit",
                _ENDED,
                decimals=2,
                steps=((0.99, "orange"), (0.999, "green")),
                see="sprat-operations",
            ),
            number(
                "Kept within 1 s",
                "Share of the kept texts whose Result was there within a second of the text, by the broker's "
                "clock. The objective is 99 %.",
                "percentunit",
                _IN_TIME,
                decimals=1,
                steps=((0.95, "orange"), (0.99, "green")),
                see="sprat-operations",
            ),
        ),
        row(
            "Error budget that is left, for the chosen time range",
            number(
                "Results: 0.1 % of pairs may miss one",
                "1: nothing of the budget is used; 0: all of it; below 0: the objective of 99.9 % is missed. Pairs "
                "that still wait count as missing.",
                "percentunit",
                _budget_left(_ENDED, 0.999),
                width=12,
                decimals=1,
                steps=((0, "orange"), (0.25, "green")),
                see="sprat-operations",
            ),
            number(
                "Speed: 1 % of kept texts may take longer than 1 s",
                "1: nothing of the budget is used; 0: all of it; below 0: the objective of 99 % is missed.",
                "percentunit",
                _budget_left(_IN_TIME, 0.99),
                width=12,
                decimals=1,
                steps=((0, "orange"), (0.25, "green")),
                see="sprat-operations",
            ),
        ),
        row(
            "Who answers",
            stacked(
                "Results by decision and status",
                "`kept`: a small model answered. `escalated`: the frontier was asked. `degraded` is the small "
                "model's answer because the frontier declined; `unanswered` has none.",
                "reqps",
                rate(s.RESULTS, a.DECISION, a.STATUS),
                width=12,
            ),
            lines(
                "Kept share by task",
                "A fall means that texts or models have changed, or that a small model is away.",
                "percentunit",
                share(rate(s.RESULTS, a.TASK, decision="kept"), rate(s.RESULTS, a.TASK)),
                width=12,
            ),
            ranking(
                "Why texts were escalated",
                "The first reason of each escalation, over the range.",
                "short",
                total(s.RESULTS, a.REASON, decision="escalated"),
                needs="an escalation",
                see="sprat-models",
            ),
            ranking(
                "Pairs by tenant",
                "Accepted pairs over the range. Tenants above the limit of the metrics are `other`.",
                "short",
                total(s.PAIRS, a.TENANT),
            ),
            ranking("Pairs by task", "Accepted pairs over the range.", "short", total(s.PAIRS, a.TASK)),
        ),
        row(
            "Money",
            stacked(
                "Cost per hour",
                "Euros per hour at the current rate, by tenant.",
                "currencyEUR",
                f"3600 * {rate(s.COST_EUR, a.TENANT)}",
                needs="a call to a provider that has a price",
                see="sprat-frontier",
            ),
            lines(
                "Cost of 1,000 pairs",
                "Euros for 1,000 accepted pairs at the current rate, kept ones included.",
                "currencyEUR",
                Query(f"1000 * {share(rate(s.COST_EUR), rate(s.PAIRS))}", "all pairs"),
                needs="a call to a provider that has a price",
                see="sprat-frontier",
            ),
            ranking(
                "Cost by tenant",
                "Euros over the range.",
                "currencyEUR",
                total(s.COST_EUR, a.TENANT),
                needs="a call to a provider that has a price",
                see="sprat-frontier",
            ),
        ),
        row(
            "Quality of service",
            lines(
                "Seconds from text to Result",
                "By the broker's clock, from the append of the text to the append of the Result.",
                "s",
                *percentiles(s.RESULT_SECONDS, a.DECISION, of=(0.5, 0.95, 0.99)),
                width=12,
                see="sprat-operations",
            ),
            lines(
                "Mean seconds by task", "Kept and escalated together.", "s", mean(s.RESULT_SECONDS, a.TASK), width=12
            ),
            bars(
                "Degraded or unanswered",
                "Results in each minute that are worse than asked for, by status.",
                "short",
                Query(per_step(s.RESULTS, a.STATUS, status="degraded"), "{{sprat_status}}"),
                Query(per_step(s.RESULTS, a.STATUS, status="unanswered"), "{{sprat_status}}"),
                needs="a declined escalation",
                see="sprat-frontier",
            ),
            bars(
                "Dead letters",
                "Records in each minute that could not be handled, by code. Each waits in the topic of dead letters.",
                "short",
                per_step(s.DEAD_LETTERS, a.REASON),
                needs="a record that becomes a dead letter",
                see="sprat-operations",
            ),
            bars(
                "Failed calls to the provider",
                "Calls in each minute that ended in an error, by type.",
                "short",
                per_step(s.PROVIDER_SECONDS, a.ERROR, error=ANY),
                needs="a call to the provider that fails",
                see="sprat-frontier",
            ),
        ),
    ),
)
