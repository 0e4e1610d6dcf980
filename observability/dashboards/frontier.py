"""Frontier and money: what do the calls cost, and do they work? For owners and those on call."""

from observability.dashboards.panels import Dashboard, Query, bars, lines, number, percentiles, ranking, row, stacked
from observability.dashboards.promql import ANY, Matches, mean, now, per_step, quantile, rate, rate_of_sum, share, total
from sprat.telemetry import attributes as a
from sprat.telemetry import signals as s

_PROVIDER_MODEL = "{{gen_ai_provider_name}}, {{gen_ai_request_model}}"

FRONTIER = Dashboard(
    uid="sprat-frontier",
    title="Sprat: Frontier and money",
    description="For owners and those on call: what becomes of the hard cases, what do the calls cost whom, is the "
    "provider fast and well?",
    rows=(
        row(
            "The answer, for the chosen time range",
            number(
                "Cost",
                "Euros for calls to the provider.",
                "currencyEUR",
                total(s.COST_EUR),
                needs="a call to a provider that has a price",
            ),
            number(
                "Cost of a call",
                "Mean euros of a call.",
                "currencyEUR",
                share(total(s.COST_EUR), total(s.EGRESS_CALLS)),
                needs="a call to a provider that has a price",
            ),
            number(
                "Escalations answered",
                "Share of the escalations that ended in an answer, by a call, a stored answer or an equal text's call.",
                "percentunit",
                share(total(s.ESCALATIONS, result=Matches("answered|stored|coalesced")), total(s.ESCALATIONS)),
                decimals=1,
                needs="an escalation that is answered",
            ),
            number(
                "Failed calls",
                "Share of the calls to the provider that ended in an error.",
                "percentunit",
                share(total(s.PROVIDER_SECONDS, error=ANY), total(s.PROVIDER_SECONDS)),
                width=8,
                decimals=1,
                steps=((0.01, "orange"), (0.1, "red")),
                needs="a call to the provider that fails",
            ),
            number(
                "Circuit breaker",
                "`open`: the provider fails, only one call in a while tries it, and escalations wait or are declined.",
                "short",
                f"clamp_max(2 * {now(s.BREAKER, how='max', state='open')} + "
                f"{now(s.BREAKER, how='max', state='half_open')}, 2)",
                steps=((1, "orange"), (2, "red")),
                names={0: "closed", 1: "half open", 2: "open"},
            ),
        ),
        row(
            "What becomes of hard cases",
            stacked(
                "Escalations by result",
                "A second. `stored` and `coalesced` cost nothing.",
                "reqps",
                rate(s.ESCALATIONS, a.ESCALATION_RESULT),
                needs="an escalation",
            ),
            bars(
                "Declined by reason",
                "In each minute. The text then ends degraded or unanswered.",
                "short",
                per_step(s.ESCALATIONS, a.REASON, result="declined"),
                needs="a declined escalation",
            ),
        ),
        row(
            "Tiers",
            bars(
                "Hard cases by tier",
                "In each minute, by what became of them there: `kept`, or why they went on.",
                "short",
                per_step(s.TIER_CASES, a.TIER, a.TIER_OUTCOME),
                width=8,
                needs="an escalation",
            ),
            ranking(
                "Stopped at each tier",
                "Share of the hard cases that reached it and whose answer it gave.",
                "percentunit",
                share(total(s.TIER_CASES, a.TIER, outcome="kept"), total(s.TIER_CASES, a.TIER)),
                width=5,
                needs="an escalation that is answered",
            ),
            lines(
                "Seconds at a tier",
                "95 % of the hard cases spent at most so many there, with waits and retries.",
                "s",
                quantile(0.95, s.TIER_SECONDS, a.TIER),
                width=6,
                needs="an escalation",
            ),
            ranking(
                "Cost by tier",
                "Euros over the range.",
                "currencyEUR",
                total(s.COST_EUR, a.TIER),
                width=5,
                needs="a call to a provider that has a price",
            ),
        ),
        row(
            "Money",
            stacked(
                "Cost per hour by tenant",
                "Euros per hour at the current rate.",
                "currencyEUR",
                f"3600 * {rate(s.COST_EUR, a.TENANT)}",
                needs="a call to a provider that has a price",
            ),
            ranking(
                "Cost by tenant",
                "Euros over the range.",
                "currencyEUR",
                total(s.COST_EUR, a.TENANT),
                width=5,
                needs="a call to a provider that has a price",
            ),
            ranking(
                "Cost by model",
                "Euros over the range.",
                "currencyEUR",
                total(s.COST_EUR, a.PROVIDER, a.REQUEST_MODEL),
                width=6,
                needs="a call to a provider that has a price",
            ),
            ranking(
                "Cost by task",
                "Euros over the range.",
                "currencyEUR",
                total(s.COST_EUR, a.TASK),
                width=5,
                needs="a call to a provider that has a price",
            ),
        ),
        row(
            "The provider",
            lines(
                "Calls a second",
                "By provider and model.",
                "reqps",
                rate(s.PROVIDER_SECONDS, a.PROVIDER, a.REQUEST_MODEL),
                width=6,
                needs="a call to the provider",
            ),
            lines(
                "Seconds of a call",
                "Failed calls included.",
                "s",
                *percentiles(s.PROVIDER_SECONDS, of=(0.5, 0.95, 0.99)),
                width=6,
                needs="a call to the provider",
            ),
            bars(
                "Failed calls by type",
                "In each minute.",
                "short",
                per_step(s.PROVIDER_SECONDS, a.ERROR, error=ANY),
                width=6,
                needs="a call to the provider that fails",
            ),
            lines(
                "Circuit breaker",
                "1 for the state that it is in.",
                "short",
                now(s.BREAKER, a.PROVIDER, a.BREAKER_STATE, how="max"),
                width=6,
                decimals=0,
            ),
            lines(
                "Tokens of a call",
                "Mean, of the question (`input`) and the answer (`output`).",
                "short",
                mean(s.PROVIDER_TOKENS, a.TOKEN_TYPE),
                width=6,
                needs="a call to the provider",
            ),
            bars(
                "Calls with wrong counts or names",
                "In each minute. The provider counted more tokens than were sent or allowed, and the cost is "
                "capped; or it named something that is no model's name, and that stands nowhere.",
                "short",
                Query(per_step(s.USAGE_CAPPED, a.PROVIDER), "tokens, {{gen_ai_provider_name}}"),
                Query(per_step(s.MODEL_REPLACED, a.PROVIDER), "model, {{gen_ai_provider_name}}"),
                width=6,
                needs="a call to the provider",
            ),
            stacked(
                "Tokens a second",
                "What the provider bills.",
                "short",
                rate_of_sum(s.PROVIDER_TOKENS, a.TOKEN_TYPE),
                width=6,
                needs="a call to the provider",
            ),
            bars(
                "Retries of calls",
                "In each minute.",
                "short",
                per_step(s.RETRIES, a.REASON, reason="provider_call"),
                width=6,
                needs="a call to the provider that is made again",
            ),
        ),
    ),
)
