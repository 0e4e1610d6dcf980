"""Frontier and money: what do the calls cost, and do they work? For owners and those on call."""

from observability.dashboards.panels import Dashboard, Panel, Query, Row, number
from observability.dashboards.promql import ANY, STEP, Matches, mean, now, quantile, rate, rate_of_sum, share, total
from sprat.telemetry import signals as s

_PROVIDER_MODEL = "{{gen_ai_provider_name}}, {{gen_ai_request_model}}"

FRONTIER = Dashboard(
    uid="sprat-frontier",
    title="Sprat: Frontier and money",
    description="For owners and those on call: what becomes of the hard cases, what do the calls cost whom, is the "
    "provider fast and well?",
    rows=(
        Row(
            "The answer, for the chosen time range",
            (
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
                    "Share of the escalations that ended in an answer, by a call, a stored answer or an equal text's "
                    "call.",
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
                    "`open`: the provider fails, only one call in a while tries it, and escalations wait or are "
                    "declined.",
                    "short",
                    f"clamp_max(2 * {now(s.BREAKER, how='max', state='open')} + "
                    f"{now(s.BREAKER, how='max', state='half_open')}, 2)",
                    steps=((1, "orange"), (2, "red")),
                    names={0: "closed", 1: "half open", 2: "open"},
                ),
            ),
        ),
        Row(
            "What becomes of hard cases",
            (
                Panel(
                    "Escalations by result",
                    "A second. `stored` and `coalesced` cost nothing.",
                    "reqps",
                    (Query(rate(s.ESCALATIONS, s.ESCALATION_RESULT), "{{sprat_escalation_result}}"),),
                    kind="stacked",
                    needs="an escalation",
                ),
                Panel(
                    "Declined by reason",
                    "In each minute. The text then ends degraded or unanswered.",
                    "short",
                    (Query(total(s.ESCALATIONS, s.REASON, window=STEP, result="declined"), "{{sprat_reason}}"),),
                    kind="bars",
                    needs="a declined escalation",
                ),
            ),
        ),
        Row(
            "Tiers",
            (
                Panel(
                    "Hard cases by tier",
                    "In each minute, by what became of them there: `kept`, or why they went on.",
                    "short",
                    (
                        Query(
                            total(s.TIER_CASES, s.TIER, s.TIER_OUTCOME, window=STEP),
                            "{{sprat_tier_name}}: {{sprat_tier_outcome}}",
                        ),
                    ),
                    kind="bars",
                    width=8,
                    needs="an escalation",
                ),
                Panel(
                    "Stopped at each tier",
                    "Share of the hard cases that reached it and whose answer it gave.",
                    "percentunit",
                    (
                        Query(
                            share(total(s.TIER_CASES, s.TIER, outcome="kept"), total(s.TIER_CASES, s.TIER)),
                            "{{sprat_tier_name}}",
                        ),
                    ),
                    kind="ranking",
                    width=5,
                    needs="an escalation that is answered",
                ),
                Panel(
                    "Seconds at a tier",
                    "95 % of the hard cases spent at most so many there, with waits and retries.",
                    "s",
                    (Query(quantile(0.95, s.TIER_SECONDS, s.TIER), "{{sprat_tier_name}}"),),
                    width=6,
                    needs="an escalation",
                ),
                Panel(
                    "Cost by tier",
                    "Euros over the range.",
                    "currencyEUR",
                    (Query(total(s.COST_EUR, s.TIER), "{{sprat_tier_name}}"),),
                    kind="ranking",
                    width=5,
                    needs="a call to a provider that has a price",
                ),
            ),
        ),
        Row(
            "Money",
            (
                Panel(
                    "Cost per hour by tenant",
                    "Euros per hour at the current rate.",
                    "currencyEUR",
                    (Query(f"3600 * {rate(s.COST_EUR, s.TENANT)}", "{{sprat_tenant}}"),),
                    kind="stacked",
                    needs="a call to a provider that has a price",
                ),
                Panel(
                    "Cost by tenant",
                    "Euros over the range.",
                    "currencyEUR",
                    (Query(total(s.COST_EUR, s.TENANT), "{{sprat_tenant}}"),),
                    kind="ranking",
                    width=5,
                    needs="a call to a provider that has a price",
                ),
                Panel(
                    "Cost by model",
                    "Euros over the range.",
                    "currencyEUR",
                    (Query(total(s.COST_EUR, s.PROVIDER, s.REQUEST_MODEL), _PROVIDER_MODEL),),
                    kind="ranking",
                    width=6,
                    needs="a call to a provider that has a price",
                ),
                Panel(
                    "Cost by task",
                    "Euros over the range.",
                    "currencyEUR",
                    (Query(total(s.COST_EUR, s.TASK), "{{sprat_task}}"),),
                    kind="ranking",
                    width=5,
                    needs="a call to a provider that has a price",
                ),
            ),
        ),
        Row(
            "The provider",
            (
                Panel(
                    "Calls a second",
                    "By provider and model.",
                    "reqps",
                    (Query(rate(s.PROVIDER_SECONDS, s.PROVIDER, s.REQUEST_MODEL), _PROVIDER_MODEL),),
                    width=6,
                    needs="a call to the provider",
                ),
                Panel(
                    "Seconds of a call",
                    "Failed calls included.",
                    "s",
                    (
                        Query(quantile(0.5, s.PROVIDER_SECONDS), "half"),
                        Query(quantile(0.95, s.PROVIDER_SECONDS), "95 %"),
                        Query(quantile(0.99, s.PROVIDER_SECONDS), "99 %"),
                    ),
                    width=6,
                    needs="a call to the provider",
                ),
                Panel(
                    "Failed calls by type",
                    "In each minute.",
                    "short",
                    (Query(total(s.PROVIDER_SECONDS, s.ERROR, window=STEP, error=ANY), "{{error_type}}"),),
                    kind="bars",
                    width=6,
                    needs="a call to the provider that fails",
                ),
                Panel(
                    "Circuit breaker",
                    "1 for the state that it is in.",
                    "short",
                    (
                        Query(
                            now(s.BREAKER, s.PROVIDER, s.BREAKER_STATE, how="max"),
                            "{{gen_ai_provider_name}}, {{sprat_breaker_state}}",
                        ),
                    ),
                    width=6,
                    decimals=0,
                ),
                Panel(
                    "Tokens of a call",
                    "Mean, of the question (`input`) and the answer (`output`).",
                    "short",
                    (Query(mean(s.PROVIDER_TOKENS, s.TOKEN_TYPE), "{{gen_ai_token_type}}"),),
                    width=6,
                    needs="a call to the provider",
                ),
                Panel(
                    "Calls with wrong counts or names",
                    "In each minute. The provider counted more tokens than were sent or allowed, and the cost is "
                    "capped; or it named something that is no model's name, and that stands nowhere.",
                    "short",
                    (
                        Query(total(s.USAGE_CAPPED, s.PROVIDER, window=STEP), "tokens, {{gen_ai_provider_name}}"),
                        Query(total(s.MODEL_REPLACED, s.PROVIDER, window=STEP), "model, {{gen_ai_provider_name}}"),
                    ),
                    kind="bars",
                    width=6,
                    needs="a call to the provider",
                ),
                Panel(
                    "Tokens a second",
                    "What the provider bills.",
                    "short",
                    (
                        Query(
                            rate_of_sum(s.PROVIDER_TOKENS, s.TOKEN_TYPE),
                            "{{gen_ai_token_type}}",
                        ),
                    ),
                    kind="stacked",
                    width=6,
                    needs="a call to the provider",
                ),
                Panel(
                    "Retries of calls",
                    "In each minute.",
                    "short",
                    (Query(total(s.RETRIES, s.REASON, window=STEP, reason="provider_call"), "{{sprat_reason}}"),),
                    kind="bars",
                    width=6,
                    needs="a call to the provider that is made again",
                ),
            ),
        ),
    ),
)
