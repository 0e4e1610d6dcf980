"""One service: how is it, and what does it do? For those who look after it."""

from observability.dashboards.panels import Dashboard, Panel, Query, Row, number
from observability.dashboards.promql import (
    ANY,
    CHOSEN,
    RANGE,
    STEP,
    mean,
    now,
    quantile,
    rate,
    rate_of_sum,
    share,
    total,
)
from sprat.telemetry import signals as s

SERVICE_PAGE = Dashboard(
    uid="sprat-service",
    title="Sprat: One service",
    description="For those who look after a service: is it ready, how much does it do and how fast, what fails in it, "
    "and what does it need? Panels of the model have data for services with a small model alone.",
    rows=(
        Row(
            "The answer",
            (
                number(
                    "Ready",
                    "Processes of the service that are ready.",
                    "short",
                    now(s.READY, service=CHOSEN),
                    steps=((1, "green"),),
                    decimals=0,
                ),
                number(
                    "Records a second",
                    "Polled, over the range; skipped ones included.",
                    "reqps",
                    rate(s.CONSUMED, window=RANGE, service=CHOSEN),
                ),
                number(
                    "95 % of records within",
                    "From the poll to the commit, over the range.",
                    "s",
                    quantile(0.95, s.PROCESS_SECONDS, window=RANGE, service=CHOSEN),
                ),
                number(
                    "Dead letters",
                    "Records of the range that this service could not handle.",
                    "short",
                    total(s.DEAD_LETTERS, service=CHOSEN),
                    steps=((1, "orange"),),
                    decimals=0,
                    needs="a record that becomes a dead letter",
                ),
                number(
                    "CPU",
                    "Cores in use, over the range.",
                    "short",
                    rate(s.CPU_SECONDS, window=RANGE, service=CHOSEN),
                    decimals=2,
                ),
                number(
                    "Memory",
                    "Resident memory of the largest process.",
                    "bytes",
                    now(s.MEMORY_BYTES, how="max", service=CHOSEN),
                ),
            ),
        ),
        Row(
            "What it does",
            (
                Panel(
                    "Polled by topic",
                    "Records a second.",
                    "reqps",
                    (Query(rate(s.CONSUMED, s.DESTINATION, service=CHOSEN), "{{messaging_destination_name}}"),),
                ),
                Panel(
                    "Sent by topic",
                    "Records a second that Kafka has acknowledged.",
                    "reqps",
                    (Query(rate(s.SENT, s.DESTINATION, service=CHOSEN), "{{messaging_destination_name}}"),),
                ),
                Panel(
                    "Skipped",
                    "Another service's records, a second, by reason.",
                    "reqps",
                    (Query(rate(s.SKIPPED, s.REASON, service=CHOSEN), "{{sprat_reason}}"),),
                ),
                Panel(
                    "Seconds a record",
                    "From the poll to the commit of all that the record caused.",
                    "s",
                    (
                        Query(quantile(0.5, s.PROCESS_SECONDS, service=CHOSEN), "half"),
                        Query(quantile(0.95, s.PROCESS_SECONDS, service=CHOSEN), "95 %"),
                        Query(quantile(0.99, s.PROCESS_SECONDS, service=CHOSEN), "99 %"),
                    ),
                ),
                Panel(
                    "Seconds of Kafka's operations",
                    "95 % of them were done within this time.",
                    "s",
                    (
                        Query(
                            quantile(0.95, s.CLIENT_SECONDS, s.OPERATION, service=CHOSEN),
                            "{{messaging_operation_name}}",
                        ),
                    ),
                ),
                Panel(
                    "Batches and records in hand",
                    "Records of one poll, on average, and records that are admitted and not finished. Full batches "
                    "mean a backlog.",
                    "short",
                    (
                        Query(mean(s.BATCH_SIZE, service=CHOSEN), "records of a poll"),
                        Query(now(s.IN_PROGRESS, service=CHOSEN), "in hand"),
                        Query(now(s.HELD, service=CHOSEN), "held for another attempt"),
                    ),
                ),
            ),
        ),
        Row(
            "The small model",
            (
                Panel(
                    "Seconds of the model a batch",
                    "95 % and half of the batches, by task.",
                    "s",
                    (
                        Query(quantile(0.5, s.MODEL_SECONDS, s.TASK, service=CHOSEN), "{{sprat_task}}, half"),
                        Query(quantile(0.95, s.MODEL_SECONDS, s.TASK, service=CHOSEN), "{{sprat_task}}, 95 %"),
                    ),
                    width=6,
                ),
                Panel(
                    "Texts of the model a second",
                    "Texts that the model has read; cached ones are not among them.",
                    "reqps",
                    (Query(rate(s.MODEL_TEXTS, s.TASK, service=CHOSEN), "{{sprat_task}}"),),
                    width=6,
                ),
                Panel(
                    "Tokens in a second of the model",
                    "Tokens divided by the seconds that the model was busy: its speed, whatever the load.",
                    "short",
                    (
                        Query(
                            share(
                                rate(s.MODEL_TOKENS, s.TASK, service=CHOSEN),
                                rate_of_sum(s.MODEL_SECONDS, s.TASK, service=CHOSEN),
                            ),
                            "{{sprat_task}}",
                        ),
                    ),
                    width=6,
                    decimals=0,
                ),
                Panel(
                    "Cache hit rate",
                    "Share of the looked-up keys that were found.",
                    "percentunit",
                    (
                        Query(
                            share(
                                rate(s.CACHE_LOOKUPS, s.CACHE, result="hit", service=CHOSEN),
                                rate(s.CACHE_LOOKUPS, s.CACHE, service=CHOSEN),
                            ),
                            "{{sprat_cache_name}}",
                        ),
                    ),
                    width=6,
                    needs="a text that comes a second time",
                ),
            ),
        ),
        Row(
            "What fails",
            (
                Panel(
                    "Errors of records",
                    "Records, and batches of the model, in each minute that ended in an error, by type.",
                    "short",
                    (
                        Query(
                            total(s.PROCESS_SECONDS, s.ERROR, window=STEP, error=ANY, service=CHOSEN), "{{error_type}}"
                        ),
                    ),
                    kind="bars",
                    width=6,
                    needs="a record, or a batch of the model, that ends in an error",
                ),
                Panel(
                    "Dead letters and retries",
                    "In each minute, by reason.",
                    "short",
                    (
                        Query(
                            total(s.DEAD_LETTERS, s.REASON, window=STEP, service=CHOSEN),
                            "dead letter: {{sprat_reason}}",
                        ),
                        Query(total(s.RETRIES, s.REASON, window=STEP, service=CHOSEN), "again: {{sprat_reason}}"),
                    ),
                    kind="bars",
                    width=6,
                    needs="a record that becomes a dead letter, or an attempt that is made again",
                ),
                Panel(
                    "Errors of Kafka's operations",
                    "In each minute, by operation and type.",
                    "short",
                    (
                        Query(
                            total(s.CLIENT_SECONDS, s.OPERATION, s.ERROR, window=STEP, error=ANY, service=CHOSEN),
                            "{{messaging_operation_name}}: {{error_type}}",
                        ),
                    ),
                    kind="bars",
                    width=6,
                    needs="a send or commit that fails",
                ),
                Panel(
                    "Redis",
                    "95 % of the operations were done within this time. An error is a counted miss, never a lost text.",
                    "s",
                    (
                        Query(
                            quantile(0.95, s.CACHE_SECONDS, s.DATABASE_OPERATION, s.ERROR, service=CHOSEN),
                            "{{db_operation_name}} {{error_type}}",
                        ),
                    ),
                    width=6,
                ),
                Panel(
                    "Circuit breaker before Redis",
                    "1 for the state that it is in. While it is open, every look-up is a miss at once.",
                    "short",
                    (
                        Query(
                            now(s.CACHE_BREAKER, s.CACHE, s.BREAKER_STATE, how="max", service=CHOSEN),
                            "{{sprat_cache_name}}, {{sprat_breaker_state}}",
                        ),
                    ),
                    width=6,
                    decimals=0,
                ),
            ),
        ),
        Row(
            "What it needs, and what runs",
            (
                Panel(
                    "CPU by mode",
                    "Cores in use.",
                    "short",
                    (Query(rate(s.CPU_SECONDS, s.CPU_MODE, service=CHOSEN), "{{cpu_mode}}"),),
                    kind="stacked",
                ),
                Panel(
                    "Memory by process",
                    "Resident memory. A line that only grows for hours is a leak.",
                    "bytes",
                    (Query(now(s.MEMORY_BYTES, "instance", service=CHOSEN), "{{instance}}"),),
                ),
                Panel(
                    "Event loop lag",
                    "How late the service does what is due, on average. Above 50 ms it waits for CPU, and waits for "
                    "Redis time out without fault of Redis.",
                    "s",
                    (Query(mean(s.LOOP_LAG, "instance", service=CHOSEN), "{{instance}}"),),
                ),
                Panel(
                    "What runs",
                    "The version of the service, and of its model, by number of processes.",
                    "short",
                    (
                        Query(
                            now(s.BUILD, "service_name", s.VERSION, s.MODEL, s.MODEL_VERSION, service=CHOSEN),
                            "{{service_name}} {{service_version}} {{sprat_model_name}} {{sprat_model_version}}",
                        ),
                    ),
                    kind="table",
                    decimals=0,
                ),
            ),
        ),
    ),
)
