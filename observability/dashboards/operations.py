"""Operations: is anything stuck, and where? For those who are on call."""

from observability.dashboards.panels import Dashboard, bars, lines, number, row
from observability.dashboards.promql import CHOSEN, RANGE, SERVICE, label, mean, now, per_step, quantile, rate, total
from sprat.telemetry import attributes as a
from sprat.telemetry import signals as s

# Two routers answer while the partition that elects the reader moves: the greater value counts.
_LAG = now(s.GROUP_LAG, a.GROUP, a.DESTINATION, how="max")
_MEMBERS = now(s.GROUP_MEMBERS, a.GROUP, how="max")

OPERATIONS = Dashboard(
    uid="sprat-operations",
    title="Sprat: Operations",
    description="For those on call: does Kafka answer, is every service there, does anything wait too long, and what "
    "fails?",
    rows=(
        row(
            "The answer, now",
            number(
                "Kafka",
                "Whether the reader of the groups, a router, reaches Kafka.",
                "short",
                now(s.KAFKA_REACHABLE, how="max"),
                width=3,
                steps=((1, "green"),),
                names={0: "away", 1: "reachable"},
            ),
            number(
                "Services not ready",
                "Processes that answer but are not ready. A process that does not answer at all is missing under "
                "`Members of the groups`.",
                "short",
                f"{now(s.READY, how='count')} - {now(s.READY)}",
                width=3,
                steps=((1, "red"),),
                decimals=0,
            ),
            number(
                "Unread groups",
                "Consumer groups without a member: nobody reads what they should.",
                "short",
                f"count({_MEMBERS}) - sum({_MEMBERS} > bool 0)",
                width=3,
                steps=((1, "red"),),
                decimals=0,
            ),
            number(
                "Waiting records",
                "Records that groups have not committed, all groups together.",
                "short",
                f"sum({_LAG})",
                width=3,
                steps=((1_000, "orange"), (10_000, "red")),
                decimals=0,
            ),
            number(
                "Oldest waiting",
                "Age of the oldest record that a group has not committed.",
                "s",
                now(s.GROUP_AGE, how="max"),
                width=3,
                steps=((10, "orange"), (60, "red")),
            ),
            number(
                "Held back",
                "For how long an open transaction has hidden newer records from all consumers.",
                "s",
                now(s.HELD_BACK, how="max"),
                width=3,
                steps=((10, "orange"), (60, "red")),
            ),
            number(
                "Dead letters",
                "Records that could not be handled.",
                "short",
                total(s.DEAD_LETTERS),
                width=3,
                steps=((1, "orange"),),
                decimals=0,
                needs="a record that becomes a dead letter",
            ),
            number(
                "99 % kept within",
                "99 % of the kept texts had their Result within this time, over the range.",
                "s",
                quantile(0.99, s.RESULT_SECONDS, window=RANGE, decision="kept"),
                width=3,
                steps=((1, "orange"), (5, "red")),
            ),
        ),
        row(
            "What waits",
            lines(
                "Waiting records by group",
                "A line that only grows: the group does not keep up, or nobody reads.",
                "short",
                f"sum by ({label(a.GROUP)}) ({_LAG})",
            ),
            lines(
                "Age of the oldest by group",
                "By the broker's clock. What a reader of Results notices first.",
                "s",
                now(s.GROUP_AGE, a.GROUP, how="max"),
            ),
            lines(
                "Members of the groups",
                "A group without members is listed with 0: its texts wait in Kafka.",
                "short",
                _MEMBERS,
                decimals=0,
            ),
            lines(
                "Held back by topic",
                "Seconds for which an open transaction has held back the last stable offset.",
                "s",
                now(s.HELD_BACK, a.DESTINATION, how="max"),
            ),
            lines(
                "Records in hand",
                "Admitted and not finished, by service. It stands still while a service waits for something.",
                "short",
                now(s.IN_PROGRESS, SERVICE, service=CHOSEN),
            ),
            lines(
                "Records held for another attempt",
                "Records of a failed batch that are read again. Above 0: the service cannot reach something.",
                "short",
                now(s.HELD, SERVICE, service=CHOSEN),
            ),
        ),
        row(
            "Where the time goes",
            lines(
                "Mean seconds by stage",
                "What a Result has spent where. `wait` is the time in Kafka before the small model; "
                "`frontier_call` is a part of `frontier`, which is why the areas are not stacked.",
                "s",
                mean(s.STAGE_SECONDS, a.STAGE),
            ),
            lines(
                "95 % by stage",
                "95 % of the Results have spent at most this long in the stage.",
                "s",
                quantile(0.95, s.STAGE_SECONDS, a.STAGE),
            ),
            lines(
                "From text to Result by task",
                "99 % of the Results were there within this time.",
                "s",
                quantile(0.99, s.RESULT_SECONDS, a.TASK, a.DECISION),
            ),
            lines(
                "Seconds a record by service",
                "95 % of the records were done, from the poll to the commit, within this time.",
                "s",
                quantile(0.95, s.PROCESS_SECONDS, SERVICE, service=CHOSEN),
            ),
            lines(
                "Seconds of Kafka's operations",
                "95 % of the sends and commits, by service: high for all services means that the broker is slow.",
                "s",
                quantile(0.95, s.CLIENT_SECONDS, SERVICE, a.OPERATION, service=CHOSEN),
            ),
            lines(
                "Records a second by service", "Polled from Kafka.", "reqps", rate(s.CONSUMED, SERVICE, service=CHOSEN)
            ),
        ),
        row(
            "What fails",
            bars(
                "Dead letters by reason",
                "In each minute, by service and code. `sprat dlq list` shows them.",
                "short",
                per_step(s.DEAD_LETTERS, SERVICE, a.REASON, service=CHOSEN),
                needs="a record that becomes a dead letter",
            ),
            bars(
                "Retries by reason",
                "Attempts in each minute that failed and are made again.",
                "short",
                per_step(s.RETRIES, SERVICE, a.REASON, service=CHOSEN),
                needs="a publish, commit or call that fails and is made again",
            ),
            bars(
                "Rebalances",
                "Assignments of partitions in each minute, by service. Many mean that members come and go.",
                "short",
                per_step(s.REBALANCES, SERVICE, service=CHOSEN),
            ),
            lines(
                "Seconds of a rebalance",
                "From the revocation of partitions to the next assignment, 95 % of them: so long a member reads "
                "nothing.",
                "s",
                quantile(0.95, s.REBALANCE_SECONDS, SERVICE, service=CHOSEN),
            ),
            lines(
                "Skipped records by reason",
                "Another service's records: normal, unless `invalid` grows.",
                "reqps",
                rate(s.SKIPPED, a.REASON, service=CHOSEN),
            ),
            bars(
                "Refused records by topic and reason",
                "In each minute: not signed with this installation's secret, or its replay's header is not.",
                "short",
                per_step(s.REFUSED, a.DESTINATION, a.REASON, service=CHOSEN),
                needs="a record that another writer than Sprat's services has written",
            ),
            lines(
                "Ready",
                "1 while a process of the service is ready. Two instances add up to 2.",
                "short",
                now(s.READY, SERVICE, service=CHOSEN),
                decimals=0,
            ),
        ),
        row(
            "The gateway",
            lines(
                "Requests a second by status",
                "By HTTP: 202 is accepted and not yet answered, 429 and 503 are refused and may be sent again.",
                "reqps",
                rate(s.GATEWAY_REQUESTS, a.HTTP_RESULT),
                needs="a gateway that is asked",
            ),
            lines(
                "Seconds of a request",
                "99 % of the requests had their response within this time, by route. One that waits for an answer may "
                "take as long as its client asks for.",
                "s",
                quantile(0.99, s.HTTP_SERVER_SECONDS, a.METHOD, a.ROUTE),
                needs="a gateway that is asked",
            ),
            lines(
                "Texts that are waited for",
                "With as many as may be (`SPRAT_GATEWAY__MAX_WAITING`), more are refused with 429.",
                "short",
                now(s.GATEWAY_WAITING),
                decimals=0,
                needs="a gateway",
            ),
            lines(
                "Open streams",
                "Of texts that somebody follows, and of open pages.",
                "short",
                now(s.GATEWAY_STREAMS),
                decimals=0,
                needs="a gateway whose stream was opened",
            ),
            lines(
                "Records before the store",
                "What the page does not show yet, and a repeat does not find. A line that only grows: the store does "
                "not keep up.",
                "short",
                now(s.STORE_WAITING),
                decimals=0,
                needs="a gateway with a store",
            ),
            lines(
                "One of so many texts is kept",
                "Above 1, the page shows a sample of what does not come through the gateway.",
                "short",
                now(s.STORE_SAMPLE),
                decimals=0,
                needs="a gateway with a store",
            ),
        ),
    ),
)
