"""Operations: is anything stuck, and where? For those who are on call."""

from observability.dashboards.panels import Dashboard, Panel, Query, Row, number
from observability.dashboards.promql import CHOSEN, RANGE, SERVICE, STEP, label, mean, now, quantile, rate, total
from sprat.telemetry import signals as s

# Two routers answer while the partition that elects the reader moves: the greater value counts.
_LAG = now(s.GROUP_LAG, s.GROUP, s.DESTINATION, how="max")
_MEMBERS = now(s.GROUP_MEMBERS, s.GROUP, how="max")

OPERATIONS = Dashboard(
    uid="sprat-operations",
    title="Sprat: Operations",
    description="For those on call: does Kafka answer, is every service there, does anything wait too long, and what "
    "fails?",
    rows=(
        Row(
            "The answer, now",
            (
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
        ),
        Row(
            "What waits",
            (
                Panel(
                    "Waiting records by group",
                    "A line that only grows: the group does not keep up, or nobody reads.",
                    "short",
                    (
                        Query(
                            f"sum by ({label(s.GROUP)}) ({_LAG})",
                            "{{messaging_consumer_group_name}}",
                        ),
                    ),
                ),
                Panel(
                    "Age of the oldest by group",
                    "By the broker's clock. What a reader of Results notices first.",
                    "s",
                    (Query(now(s.GROUP_AGE, s.GROUP, how="max"), "{{messaging_consumer_group_name}}"),),
                ),
                Panel(
                    "Members of the groups",
                    "A group without members is listed with 0: its texts wait in Kafka.",
                    "short",
                    (Query(_MEMBERS, "{{messaging_consumer_group_name}}"),),
                    decimals=0,
                ),
                Panel(
                    "Held back by topic",
                    "Seconds for which an open transaction has held back the last stable offset.",
                    "s",
                    (Query(now(s.HELD_BACK, s.DESTINATION, how="max"), "{{messaging_destination_name}}"),),
                ),
                Panel(
                    "Records in hand",
                    "Admitted and not finished, by service. It stands still while a service waits for something.",
                    "short",
                    (Query(now(s.IN_PROGRESS, SERVICE, service=CHOSEN), "{{service_name}}"),),
                ),
                Panel(
                    "Records held for another attempt",
                    "Records of a failed batch that are read again. Above 0: the service cannot reach something.",
                    "short",
                    (Query(now(s.HELD, SERVICE, service=CHOSEN), "{{service_name}}"),),
                ),
            ),
        ),
        Row(
            "Where the time goes",
            (
                Panel(
                    "Mean seconds by stage",
                    "What a Result has spent where. `wait` is the time in Kafka before the small model; "
                    "`frontier_call` is a part of `frontier`, which is why the areas are not stacked.",
                    "s",
                    (Query(mean(s.STAGE_SECONDS, s.STAGE), "{{sprat_stage}}"),),
                ),
                Panel(
                    "95 % by stage",
                    "95 % of the Results have spent at most this long in the stage.",
                    "s",
                    (Query(quantile(0.95, s.STAGE_SECONDS, s.STAGE), "{{sprat_stage}}"),),
                ),
                Panel(
                    "From text to Result by task",
                    "99 % of the Results were there within this time.",
                    "s",
                    (
                        Query(
                            quantile(0.99, s.RESULT_SECONDS, s.TASK, s.DECISION), "{{sprat_task}}, {{sprat_decision}}"
                        ),
                    ),
                ),
                Panel(
                    "Seconds a record by service",
                    "95 % of the records were done, from the poll to the commit, within this time.",
                    "s",
                    (Query(quantile(0.95, s.PROCESS_SECONDS, SERVICE, service=CHOSEN), "{{service_name}}"),),
                ),
                Panel(
                    "Seconds of Kafka's operations",
                    "95 % of the sends and commits, by service: high for all services means that the broker is slow.",
                    "s",
                    (
                        Query(
                            quantile(0.95, s.CLIENT_SECONDS, SERVICE, s.OPERATION, service=CHOSEN),
                            "{{service_name}}, {{messaging_operation_name}}",
                        ),
                    ),
                ),
                Panel(
                    "Records a second by service",
                    "Polled from Kafka.",
                    "reqps",
                    (Query(rate(s.CONSUMED, SERVICE, service=CHOSEN), "{{service_name}}"),),
                ),
            ),
        ),
        Row(
            "What fails",
            (
                Panel(
                    "Dead letters by reason",
                    "In each minute, by service and code. `sprat dlq list` shows them.",
                    "short",
                    (
                        Query(
                            total(s.DEAD_LETTERS, SERVICE, s.REASON, window=STEP, service=CHOSEN),
                            "{{service_name}}: {{sprat_reason}}",
                        ),
                    ),
                    kind="bars",
                    needs="a record that becomes a dead letter",
                ),
                Panel(
                    "Retries by reason",
                    "Attempts in each minute that failed and are made again.",
                    "short",
                    (
                        Query(
                            total(s.RETRIES, SERVICE, s.REASON, window=STEP, service=CHOSEN),
                            "{{service_name}}: {{sprat_reason}}",
                        ),
                    ),
                    kind="bars",
                    needs="a publish, commit or call that fails and is made again",
                ),
                Panel(
                    "Rebalances",
                    "Assignments of partitions in each minute, by service. Many mean that members come and go.",
                    "short",
                    (Query(total(s.REBALANCES, SERVICE, window=STEP, service=CHOSEN), "{{service_name}}"),),
                    kind="bars",
                ),
                Panel(
                    "Seconds of a rebalance",
                    "From the revocation of partitions to the next assignment, 95 % of them: so long a member reads "
                    "nothing.",
                    "s",
                    (Query(quantile(0.95, s.REBALANCE_SECONDS, SERVICE, service=CHOSEN), "{{service_name}}"),),
                ),
                Panel(
                    "Skipped records by reason",
                    "Another service's records: normal, unless `invalid` grows.",
                    "reqps",
                    (Query(rate(s.SKIPPED, s.REASON, service=CHOSEN), "{{sprat_reason}}"),),
                ),
                Panel(
                    "Refused records by topic and reason",
                    "In each minute: not signed with this installation's secret, or its replay's header is not.",
                    "short",
                    (
                        Query(
                            total(s.REFUSED, s.DESTINATION, s.REASON, window=STEP, service=CHOSEN),
                            "{{messaging_destination_name}}: {{sprat_reason}}",
                        ),
                    ),
                    kind="bars",
                    needs="a record that another writer than Sprat's services has written",
                ),
                Panel(
                    "Ready",
                    "1 while a process of the service is ready. Two instances add up to 2.",
                    "short",
                    (Query(now(s.READY, SERVICE, service=CHOSEN), "{{service_name}}"),),
                    decimals=0,
                ),
            ),
        ),
    ),
)
