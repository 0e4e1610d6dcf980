"""One service: how is it, and what does it do? For those who look after it."""

from observability.dashboards.panels import Dashboard, Query, bars, lines, number, percentiles, row, stacked, table
from observability.dashboards.promql import (
    ANY,
    CHOSEN,
    RANGE,
    mean,
    now,
    per_step,
    quantile,
    rate,
    rate_of_sum,
    share,
    total,
)
from sprat.telemetry import attributes as a
from sprat.telemetry import signals as s

SERVICE_PAGE = Dashboard(
    uid="sprat-service",
    title="Sprat: One service",
    description="For those who look after a service: is it ready, how much does it do and how fast, what fails in it, "
    "and what does it need? Panels of the model have data for services with a small model alone.",
    rows=(
        row(
            "The answer",
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
        row(
            "What it does",
            lines("Polled by topic", "Records a second.", "reqps", rate(s.CONSUMED, a.DESTINATION, service=CHOSEN)),
            lines(
                "Sent by topic",
                "Records a second that Kafka has acknowledged.",
                "reqps",
                rate(s.SENT, a.DESTINATION, service=CHOSEN),
            ),
            lines(
                "Skipped",
                "Another service's records, a second, by reason.",
                "reqps",
                rate(s.SKIPPED, a.REASON, service=CHOSEN),
            ),
            lines(
                "Seconds a record",
                "From the poll to the commit of all that the record caused.",
                "s",
                *percentiles(s.PROCESS_SECONDS, of=(0.5, 0.95, 0.99), service=CHOSEN),
            ),
            lines(
                "Seconds of Kafka's operations",
                "95 % of them were done within this time.",
                "s",
                quantile(0.95, s.CLIENT_SECONDS, a.OPERATION, service=CHOSEN),
            ),
            lines(
                "Batches and records in hand",
                "Records of one poll, on average, and records that are admitted and not finished. Full batches "
                "mean a backlog.",
                "short",
                Query(mean(s.BATCH_SIZE, service=CHOSEN), "records of a poll"),
                Query(now(s.IN_PROGRESS, service=CHOSEN), "in hand"),
                Query(now(s.HELD, service=CHOSEN), "held for another attempt"),
            ),
        ),
        row(
            "The small model",
            lines(
                "Seconds of the model a batch",
                "95 % and half of the batches, by task.",
                "s",
                *percentiles(s.MODEL_SECONDS, a.TASK, service=CHOSEN),
                width=6,
            ),
            lines(
                "Texts of the model a second",
                "Texts that the model has read; cached ones are not among them.",
                "reqps",
                rate(s.MODEL_TEXTS, a.TASK, service=CHOSEN),
                width=6,
            ),
            lines(
                "Tokens in a second of the model",
                "Tokens divided by the seconds that the model was busy: its speed, whatever the load.",
                "short",
                share(
                    rate(s.MODEL_TOKENS, a.TASK, service=CHOSEN), rate_of_sum(s.MODEL_SECONDS, a.TASK, service=CHOSEN)
                ),
                width=6,
                decimals=0,
            ),
            lines(
                "Cache hit rate",
                "Share of the looked-up keys that were found.",
                "percentunit",
                share(
                    rate(s.CACHE_LOOKUPS, a.CACHE, result="hit", service=CHOSEN),
                    rate(s.CACHE_LOOKUPS, a.CACHE, service=CHOSEN),
                ),
                width=6,
                needs="a text that comes a second time",
            ),
        ),
        row(
            "What fails",
            bars(
                "Errors of records",
                "Records, and batches of the model, in each minute that ended in an error, by type.",
                "short",
                per_step(s.PROCESS_SECONDS, a.ERROR, error=ANY, service=CHOSEN),
                width=6,
                needs="a record, or a batch of the model, that ends in an error",
            ),
            bars(
                "Dead letters and retries",
                "In each minute, by reason.",
                "short",
                Query(per_step(s.DEAD_LETTERS, a.REASON, service=CHOSEN), "dead letter: {{sprat_reason}}"),
                Query(per_step(s.RETRIES, a.REASON, service=CHOSEN), "again: {{sprat_reason}}"),
                width=6,
                needs="a record that becomes a dead letter, or an attempt that is made again",
            ),
            bars(
                "Errors of Kafka's operations",
                "In each minute, by operation and type.",
                "short",
                per_step(s.CLIENT_SECONDS, a.OPERATION, a.ERROR, error=ANY, service=CHOSEN),
                width=6,
                needs="a send or commit that fails",
            ),
            lines(
                "Redis",
                "95 % of the operations were done within this time. An error is a counted miss, never a lost text.",
                "s",
                Query(
                    quantile(0.95, s.CACHE_SECONDS, a.DATABASE_OPERATION, a.ERROR, service=CHOSEN),
                    "{{db_operation_name}} {{error_type}}",
                ),
                width=6,
            ),
            lines(
                "Circuit breaker before Redis",
                "1 for the state that it is in. While it is open, every look-up is a miss at once.",
                "short",
                now(s.CACHE_BREAKER, a.CACHE, a.BREAKER_STATE, how="max", service=CHOSEN),
                width=6,
                decimals=0,
            ),
        ),
        row(
            "What it needs, and what runs",
            stacked("CPU by mode", "Cores in use.", "short", rate(s.CPU_SECONDS, a.CPU_MODE, service=CHOSEN)),
            lines(
                "Memory by process",
                "Resident memory. A line that only grows for hours is a leak.",
                "bytes",
                now(s.MEMORY_BYTES, "instance", service=CHOSEN),
            ),
            lines(
                "Event loop lag",
                "How late the service does what is due, on average. Above 50 ms it waits for CPU, and waits for "
                "Redis time out without fault of Redis.",
                "s",
                mean(s.LOOP_LAG, "instance", service=CHOSEN),
            ),
            table(
                "What runs",
                "The version of the service, and of its model, by number of processes.",
                "short",
                Query(
                    now(s.BUILD, "service_name", a.VERSION, a.MODEL, a.MODEL_VERSION, service=CHOSEN),
                    "{{service_name}} {{service_version}} {{sprat_model_name}} {{sprat_model_version}}",
                ),
                decimals=0,
            ),
        ),
    ),
)
