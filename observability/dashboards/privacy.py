"""Privacy: what left the house, and what was masked before? For data protection officers."""

from observability.dashboards.panels import Dashboard, Query, bars, lines, number, ranking, row, stacked
from observability.dashboards.promql import ANY, mean, now, per_step, quantile, rate, share, total
from sprat.telemetry import attributes as a
from sprat.telemetry import signals as s

PRIVACY = Dashboard(
    uid="sprat-privacy",
    title="Sprat: Privacy",
    description="For data protection: how much left the perimeter, to whom and where, what was masked before, and did "
    "a policy or a failure of the masking hold texts back? The audit topic has one record for each call.",
    rows=(
        row(
            "The answer, for the chosen time range",
            number(
                "Calls with a text",
                "Calls with which a text has left; each has an acknowledged record in the audit topic.",
                "short",
                total(s.EGRESS_CALLS),
                decimals=0,
                needs="a call to the provider",
            ),
            number(
                "Share that left",
                "Calls divided by accepted pairs.",
                "percentunit",
                share(total(s.EGRESS_CALLS), total(s.PAIRS)),
                decimals=1,
                needs="a call to the provider",
            ),
            number(
                "Bytes that left", "Of all requests.", "bytes", total(s.EGRESS_BYTES), needs="a call to the provider"
            ),
            number(
                "Values masked",
                "Personal values that were replaced before a call.",
                "short",
                total(s.MASKED_ITEMS),
                decimals=0,
                needs="an escalated text with personal data",
            ),
            number(
                "Failures of the masking",
                "Texts that could not be masked. Such a text never leaves.",
                "short",
                total(s.MASKING_SECONDS, error=ANY),
                decimals=0,
                steps=((1, "red"),),
                needs="a masking that fails",
            ),
            number(
                "Declined by policy",
                "Escalations that a policy kept inside.",
                "short",
                total(s.ESCALATIONS, reason="policy"),
                decimals=0,
                needs="an escalation that the policy denies",
            ),
        ),
        row(
            "What left",
            ranking(
                "Calls by provider and region",
                "Over the range. The region is where the policy says that the provider runs.",
                "short",
                total(s.EGRESS_CALLS, a.PROVIDER, a.REGION),
                needs="a call to the provider",
            ),
            ranking(
                "Calls by tenant",
                "Over the range.",
                "short",
                total(s.EGRESS_CALLS, a.TENANT),
                needs="a call to the provider",
            ),
            ranking(
                "Bytes by tenant",
                "Over the range.",
                "bytes",
                total(s.EGRESS_BYTES, a.TENANT),
                needs="a call to the provider",
            ),
            stacked(
                "Bytes a second by provider and region",
                "A new line is a new destination.",
                "Bps",
                rate(s.EGRESS_BYTES, a.PROVIDER, a.REGION),
                needs="a call to the provider",
            ),
            bars(
                "Held back by tenant",
                "Escalations in each minute that the policy or a failed masking kept inside.",
                "short",
                Query(per_step(s.ESCALATIONS, a.TENANT, reason="policy"), "{{sprat_tenant}}: policy"),
                Query(per_step(s.ESCALATIONS, a.TENANT, reason="masking"), "{{sprat_tenant}}: masking"),
                needs="an escalation that the policy denies, or whose masking fails",
            ),
            lines(
                "Overdue checkpoint of the audit",
                "For how long the second place has not taken what proves the end of the audit: 0, or ask why.",
                "s",
                Query(now(s.CHECKPOINT_OVERDUE, how="max"), "overdue"),
                needs="a second place of the audit",
            ),
        ),
        row(
            "What was masked",
            ranking(
                "Masked values by type",
                "Over the range. Types, never values.",
                "short",
                total(s.MASKED_ITEMS, a.ENTITY_TYPE),
                needs="an escalated text with personal data",
            ),
            lines(
                "Masked values a call",
                "A fall to 0 while calls go on: the masking may find nothing any more.",
                "short",
                Query(share(rate(s.MASKED_ITEMS), rate(s.EGRESS_CALLS)), "values a call"),
                needs="an escalated text with personal data",
            ),
            lines(
                "Seconds of the masking",
                "For one text, with the wait for a free thread.",
                "s",
                Query(mean(s.MASKING_SECONDS), "mean"),
                Query(quantile(0.95, s.MASKING_SECONDS), "95 %"),
                needs="an escalation that may leave only masked",
            ),
            bars(
                "Failures of the masking by type",
                "In each minute. Any is worth a look.",
                "short",
                per_step(s.MASKING_SECONDS, a.ERROR, error=ANY),
                width=24,
                height=6,
                needs="a masking that fails",
            ),
        ),
    ),
)
