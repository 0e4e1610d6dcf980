"""All signals that Sprat emits: each metric and each kind of span, with its unit, its meaning and its attributes.

Documents, the registry in weaver's form, dashboards and alerts are generated from or held against these declarations.
Names without the prefix `sprat.` are those of OpenTelemetry's semantic conventions (1.41 for `gen_ai.*`, 1.44 for all
others).
"""

from typing import Final

from opentelemetry.trace import SpanKind

from sprat.telemetry import attributes as a
from sprat.telemetry.instruments import (
    Counter,
    Gauge,
    Histogram,
    Metric,
    SpanType,
    UpDownCounter,
)

SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
"""Buckets that the semantic conventions name for `messaging.*`."""
_LONG_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 10, 30, 60, 300, 3600)
"""For waits that may be as long as an outage."""
_CALL_SECONDS: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_TOKENS: Final = tuple(4**power for power in range(14))
_SIZES: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
_TENTHS: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1)

# What becomes of texts. Counted by the router when Kafka has acknowledged it.

PAIRS = Counter(
    "sprat.pairs", "{pair}", "Pairs of a text and a known task that the router has accepted.", (a.TASK, a.TENANT)
)
RESULTS = Counter(
    "sprat.results",
    "{result}",
    "Results that Kafka has acknowledged.",
    (a.TASK, a.TENANT, a.DECISION, a.REASON, a.STATUS),
)
POLICY_GOAL = Gauge(
    "sprat.policy.goal",
    "{task}",
    "Always 1; the attributes say what the policy asks of the answers of a task's default model.",
    (a.TASK, a.GOAL, a.EVIDENCE),
)
RESULT_SECONDS = Histogram(
    "sprat.result.duration",
    "s",
    "Seconds from the broker's append of a text to the append of its Result, both by the broker's clock.",
    (a.TASK, a.DECISION),
    boundaries=_LONG_SECONDS,
)
STAGE_SECONDS = Histogram(
    "sprat.stage.duration",
    "s",
    "Seconds in one stage: of a batch in the service of a small model (`wait`: its oldest text), of a Result in the "
    "frontier.",
    (a.TASK, a.STAGE),
    boundaries=_LONG_SECONDS,
)
CONFIDENCE = Histogram(
    "sprat.confidence",
    "1",
    "Confidence of the small model in a prediction that the router has decided on.",
    (a.TASK, a.MODEL, a.MODEL_VERSION, a.DECISION),
    boundaries=_TENTHS,
)
OUTSIDE = Counter(
    "sprat.outside",
    "{prediction}",
    "Of the predictions in `sprat.confidence`, those in which the small model names none of the task's labels, kept or "
    "escalated for whatever reason.",
    (a.TASK,),
)

NOT_MEASURED = Counter(
    "sprat.not_measured",
    "{prediction}",
    "Of the predictions in `sprat.confidence`, those that are to reach a goal and carry no level: their model has no "
    "thresholds, or its service is of an older version. The model's card decides, or they are escalated.",
    (a.TASK, a.MODEL),
)

# What every service does with records.

CONSUMED = Counter(
    "messaging.client.consumed.messages",
    "{message}",
    "Records that were polled.",
    (a.SYSTEM, a.OPERATION, a.DESTINATION, a.GROUP),
)
SENT = Counter(
    "messaging.client.sent.messages",
    "{message}",
    "Records that Kafka has acknowledged.",
    (a.SYSTEM, a.OPERATION, a.DESTINATION),
)
CLIENT_SECONDS = Histogram(
    "messaging.client.operation.duration",
    "s",
    "Seconds of sending a batch until all is acknowledged, and of committing it.",
    (a.SYSTEM, a.OPERATION, a.OPERATION_TYPE, a.ERROR),
    boundaries=SECONDS,
)
PROCESS_SECONDS = Histogram(
    "messaging.process.duration",
    "s",
    "Seconds from the poll of a record until all that it caused is acknowledged; skipped records are left out.",
    (a.SYSTEM, a.OPERATION, a.DESTINATION, a.GROUP, a.ERROR),
    boundaries=SECONDS,
)
BATCH_SIZE = Histogram("sprat.batch.size", "{record}", "Records of one poll.", (a.GROUP,), boundaries=_SIZES)
SKIPPED = Counter(
    "sprat.skipped", "{record}", "Records that are another service's, or of a text that was refused.", (a.REASON,)
)
REFUSED = Counter(
    "sprat.records.refused",
    "{record}",
    "Records of Sprat's own topics that are ignored because they are `unsigned`, their signature is `invalid` or they "
    "withdraw an announcement that another has followed (`outdated`), and texts with the header of a `replay` that "
    "`sprat dlq replay` did not write.",
    (a.DESTINATION, a.REASON),
)
DEAD_LETTERS = Counter("sprat.dead_letters", "{record}", "Records that became dead letters, by code.", (a.REASON,))
RETRIES = Counter("sprat.retries", "{retry}", "Attempts that failed and are made again.", (a.REASON,))
HELD = Gauge("sprat.records.held", "{record}", "Records of a failed batch that are read again.")
IN_PROGRESS = Gauge("sprat.records.in_progress", "{record}", "Records that are admitted and not finished.")
REBALANCES = Counter("sprat.rebalances", "{rebalance}", "Assignments of partitions to this member.")
REBALANCE_SECONDS = Histogram(
    "sprat.rebalance.duration",
    "s",
    "Seconds from the revocation of this member's partitions, its drain included, to the next assignment.",
    boundaries=_LONG_SECONDS,
)
READY = Gauge("sprat.ready", "{service}", "1 while the service is ready, else 0.")

# Small models and caches.

PREDICTIONS = Counter(
    "sprat.predictions",
    "{prediction}",
    "Predictions of a small model that Kafka has acknowledged; the reason is why it declined, or `none`.",
    (a.TASK, a.LANGUAGE, a.REASON, a.MODEL_STAGE),
)
THRESHOLDS = Gauge(
    "sprat.thresholds.info",
    "{file}",
    "Always 1; the attributes say by which thresholds a small model's answers get their levels. Not there without any.",
    (a.TASK, a.MODEL, a.MODEL_VERSION, a.THRESHOLDS_VERSION),
)
MODEL_SECONDS = Histogram(
    "sprat.model.duration", "s", "Seconds of the model for one batch.", (a.TASK, a.ERROR), boundaries=SECONDS
)
MODEL_TOKENS = Counter("sprat.model.tokens", "{token}", "Tokens that the model has read.", (a.TASK,))
MODEL_TEXTS = Counter("sprat.model.texts", "{text}", "Texts that the model has read.", (a.TASK,))
CACHE_LOOKUPS = Counter("sprat.cache.lookups", "{key}", "Keys that were looked up.", (a.CACHE, a.CACHE_RESULT))
CACHE_SECONDS = Histogram(
    "sprat.cache.duration",
    "s",
    "Seconds of one operation of Redis.",
    (a.CACHE, a.DATABASE_OPERATION, a.ERROR),
    boundaries=SECONDS,
)

CACHE_BREAKER = Gauge(
    "sprat.cache.breaker",
    "{breaker}",
    "1 for the state that the circuit breaker before Redis is in, 0 for the others. While it is open, all keys are "
    "misses at once.",
    (a.CACHE, a.BREAKER_STATE),
)

# The frontier: what leaves, and what it costs.

ESCALATIONS = Counter(
    "sprat.escalations",
    "{escalation}",
    "Escalations that the frontier service has concluded; the reason is why it declined, or `none`.",
    (a.TASK, a.TENANT, a.ESCALATION_RESULT, a.REASON),
)
TIER_CASES = Counter(
    "sprat.tier.cases",
    "{case}",
    "Hard cases that reached a tier, stored answers and refusals by the policy included.",
    (a.TASK, a.TIER, a.TIER_OUTCOME),
)
TIER_SECONDS = Histogram(
    "sprat.tier.duration",
    "s",
    "Seconds that a hard case spent at a tier that it may be put to: waits, calls and retries.",
    (a.TIER,),
    boundaries=_CALL_SECONDS,
)
COST_EUR = Counter(
    "sprat.cost", "{EUR}", "Euros for calls to the provider.", (a.TASK, a.TENANT, a.TIER, a.PROVIDER, a.REQUEST_MODEL)
)
USAGE_CAPPED = Counter(
    "sprat.provider.usage.capped",
    "{call}",
    "Calls whose tokens the provider counted beyond what was sent or allowed; the count is capped.",
    (a.PROVIDER, a.REQUEST_MODEL),
)
MODEL_REPLACED = Counter(
    "sprat.provider.model.replaced",
    "{answer}",
    "Answers in which the provider named something that is no model's name, or holds a personal value: the name of the "
    "model that was asked for stands in the Result.",
    (a.PROVIDER, a.REQUEST_MODEL),
)
PROVIDER_SECONDS = Histogram(
    "gen_ai.client.operation.duration",
    "s",
    "Seconds of one call to the provider.",
    (a.GEN_AI_OPERATION, a.PROVIDER, a.REQUEST_MODEL, a.ERROR),
    boundaries=_CALL_SECONDS,
)
PROVIDER_TOKENS = Histogram(
    "gen_ai.client.token.usage",
    "{token}",
    "Tokens of one call to the provider.",
    (a.GEN_AI_OPERATION, a.PROVIDER, a.REQUEST_MODEL, a.TOKEN_TYPE),
    boundaries=_TOKENS,
)
BREAKER = Gauge(
    "sprat.breaker",
    "{breaker}",
    "1 for the state that the circuit breaker is in, 0 for the others.",
    (a.PROVIDER, a.BREAKER_STATE),
)
EGRESS_CALLS = Counter(
    "sprat.egress.calls",
    "{call}",
    "Calls with which a text has left; each has an acknowledged egress record.",
    (a.TENANT, a.PROVIDER, a.REGION),
)
EGRESS_BYTES = Counter("sprat.egress.size", "By", "Bytes that have left with calls.", (a.TENANT, a.PROVIDER, a.REGION))
CHECKPOINT_OVERDUE = Gauge(
    "sprat.audit.checkpoint.overdue",
    "s",
    "Seconds by which the checkpoint of the last egress records is overdue. Not there without a second place.",
)
MASKED_ITEMS = Counter(
    "sprat.masked.items", "{item}", "Values that were masked before a call, by type.", (a.ENTITY_TYPE,)
)
MASKING_SECONDS = Histogram(
    "sprat.masking.duration",
    "s",
    "Seconds to mask a text, with the wait for the thread.",
    (a.ERROR,),
    boundaries=SECONDS,
)

# The gateway: what is asked by HTTP.

GATEWAY_REQUESTS = Counter(
    "sprat.gateway.requests",
    "{request}",
    "Requests that have ended, streams among them, and lines of NDJSON, each by the status of its own.",
    (a.ROUTE, a.HTTP_RESULT),
)
HTTP_SERVER_SECONDS = Histogram(
    "http.server.request.duration",
    "s",
    "Seconds of one request to the gateway, its wait for Results included; streams are left out.",
    (a.METHOD, a.ROUTE),
    boundaries=_LONG_SECONDS,
)
GATEWAY_WAITING = Gauge("sprat.gateway.waiting", "{text}", "Texts whose Results somebody waits for.")
GATEWAY_STREAMS = Gauge("sprat.gateway.streams", "{stream}", "Streams of events that are open.")
STORE_WAITING = Gauge(
    "sprat.gateway.store.waiting", "{record}", "Records that the gateway's store has not read yet, of all topics."
)
STORE_SAMPLE = Gauge(
    "sprat.gateway.store.sample",
    "{text}",
    "Of how many texts that came from elsewhere the gateway's store keeps one: 1, or more where too many come.",
)

# Reviews: the router draws, all else is as the active guardian sees it.

REVIEWS_DRAWN = Counter(
    "sprat.reviews.drawn",
    "{review}",
    "Kept answers that the router has drawn to be reviewed. The tenant is that of the cell: one of the policy, else "
    "`default`.",
    (a.TASK, a.TENANT),
)

REVIEWS_CLOSED = Counter(
    "sprat.reviews.closed", "{review}", "Draws that the guardian has closed, each once.", (a.TASK, a.VERDICT)
)
REVIEWS_OPEN = Gauge(
    "sprat.reviews.open", "{review}", "Draws that wait for an answer, or for one before them.", (a.TASK,)
)
REVIEWS_IGNORED = Counter(
    "sprat.reviews.ignored", "{record}", "Draws and answers that do not count, by why; since the start.", (a.IGNORED,)
)
GUARDIAN_ALARMS = Gauge(
    "sprat.guardian.alarms", "{alarm}", "Alarms that are raised and not cleared.", (a.ALARM_KIND, a.TASK, a.CELL)
)
GUARDIAN_EVIDENCE = Gauge(
    "sprat.guardian.evidence",
    "1",
    "How far the evidence against a goal has come, on a scale of logarithms: 1 raises the alarm, 0 is none, and less "
    "speaks for the goal. Of the tests of a cell, the one that has counted the last draw.",
    (a.TASK, a.CELL),
)

# The installation as one reader sees it: the router that holds partition 0 of the texts.

GROUP_LAG = Gauge("sprat.group.lag", "{record}", "Records that a group has not committed.", (a.GROUP, a.DESTINATION))
GROUP_AGE = Gauge(
    "sprat.group.oldest.age",
    "s",
    "Age of the oldest record that a group has not committed, by the broker's clock.",
    (a.GROUP, a.DESTINATION),
)
GROUP_MEMBERS = Gauge("sprat.group.members", "{member}", "Members of a group.", (a.GROUP,))
HELD_BACK = Gauge(
    "sprat.stable_offset.held",
    "s",
    "Seconds for which an open transaction has held back the last stable offset: consumers see nothing behind it.",
    (a.DESTINATION,),
)
KAFKA_REACHABLE = Gauge("sprat.kafka.reachable", "{broker}", "1 while the reader of the groups reaches Kafka, else 0.")

# The process.

BUILD = Gauge(
    "sprat.build.info", "{build}", "Always 1; the attributes say what runs.", (a.VERSION, a.MODEL, a.MODEL_VERSION)
)
CPU_SECONDS = Counter("process.cpu.time", "s", "CPU seconds of the process.", (a.CPU_MODE,))
MEMORY_BYTES = UpDownCounter("process.memory.usage", "By", "Resident memory of the process.")
LOOP_LAG = Histogram(
    "sprat.event_loop.lag",
    "s",
    "Seconds by which the event loop of a service that reads Kafka is late, four times a second: the process waits for "
    "CPU, or something blocks the loop.",
    boundaries=SECONDS,
)

METRICS: Final[tuple[Metric, ...]] = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
"""Every metric, in the order of this page."""

# Spans.

_RECORD = (
    a.SYSTEM,
    a.OPERATION,
    a.OPERATION_TYPE,
    a.DESTINATION,
    a.PARTITION,
    a.OFFSET,
    a.GROUP,
    a.MESSAGE_ID,
    a.ERROR,
)
_TEXT = (
    a.TASK,
    a.TENANT,
    a.MODEL,
    a.MODEL_VERSION,
    a.MODEL_STAGE,
    a.DECISION,
    a.REASON,
    a.THRESHOLD,
    a.GOAL,
    a.EVIDENCE,
    a.LEVEL,
    a.CONFIDENCE_BUCKET,
    a.STATUS,
    a.CACHED,
)

ACCEPT = SpanType(
    "accept {messaging.destination.name}",
    SpanKind.CONSUMER,
    "The root of a text's trace, from the broker's append to the router's judgement; only where the sender sent no "
    "`traceparent`, and by the router alone. Its id is the one that the trace context derived from the text names.",
    (a.SYSTEM, a.OPERATION, a.DESTINATION, a.MESSAGE_ID, a.TENANT, a.TASKS, a.ERROR),
)
POLL = SpanType(
    "poll",
    SpanKind.CLIENT,
    "A batch from the poll until it is committed, or, in the frontier service, until its last record is in progress; "
    "with a link to each record that is not skipped.",
    (a.SYSTEM, a.OPERATION, a.OPERATION_TYPE, a.GROUP, a.MESSAGES, a.ERROR),
)
PROCESS = SpanType(
    "process {messaging.destination.name}",
    SpanKind.CONSUMER,
    "One record, from the poll until all that it caused is acknowledged: a child of the span that sent it, with a link "
    "to its batch.",
    (*_RECORD, *_TEXT, a.TASKS),
)
SEND = SpanType(
    "send {messaging.destination.name}",
    SpanKind.PRODUCER,
    "One record until Kafka has acknowledged it. The record's `traceparent` names this span.",
    (a.SYSTEM, a.OPERATION, a.OPERATION_TYPE, a.DESTINATION, a.PARTITION, a.OFFSET, a.MESSAGE_ID, a.PHASE, a.ERROR),
)
SUBMIT = SpanType(
    "submit {messaging.destination.name}",
    SpanKind.SERVER,
    "One text that the HTTP front door takes, from its check until its answer or the end of the wait. Where the "
    "request has a `traceparent`, the record's names this span; else it is a child of the root of the text's trace.",
    (a.SYSTEM, a.DESTINATION, a.MESSAGE_ID, a.TENANT, a.TASKS, a.ERROR),
)
COMMIT = SpanType(
    "commit",
    SpanKind.CLIENT,
    "The commit of a batch's offsets; `poll`, its parent, names the group.",
    (a.SYSTEM, a.OPERATION, a.OPERATION_TYPE, a.ERROR),
)
INFER = SpanType(
    "infer {sprat.task}",
    SpanKind.INTERNAL,
    "The small model on the texts of a batch that were not cached.",
    (a.TASK, a.TEXTS, a.TOKENS, a.ERROR),
)
REDIS = SpanType(
    "{db.operation.name}",
    SpanKind.CLIENT,
    "One operation of Redis.",
    (a.DATABASE, a.DATABASE_OPERATION, a.CACHE, a.KEYS, a.HITS, a.ERROR),
)
MASK = SpanType(
    "mask",
    SpanKind.INTERNAL,
    "The masking of one text: how many values of which type, never a value.",
    (a.MASKED, a.ERROR),
)
CHAT = SpanType(
    "chat {gen_ai.request.model}",
    SpanKind.CLIENT,
    "One call to the provider.",
    (
        a.GEN_AI_OPERATION,
        a.PROVIDER,
        a.REQUEST_MODEL,
        a.MAX_TOKENS,
        a.TEMPERATURE,
        a.OUTPUT_TYPE,
        a.RESPONSE_MODEL,
        a.RESPONSE_ID,
        a.FINISH_REASONS,
        a.INPUT_TOKENS,
        a.OUTPUT_TOKENS,
        a.COST,
        a.SERVER,
        a.SERVER_PORT,
        a.ERROR,
    ),
)
HTTP = SpanType(
    "{http.request.method}",
    SpanKind.CLIENT,
    "The HTTP request of a call.",
    (a.METHOD, a.URL, a.SERVER, a.SERVER_PORT, a.HTTP_STATUS, a.ERROR),
)

SPANS: Final[tuple[SpanType, ...]] = tuple(value for value in list(globals().values()) if isinstance(value, SpanType))
"""Every kind of span, in the order of this page."""
