"""All signals that Sprat emits: each metric and each kind of span, with its unit, its meaning and its attributes.

Documents, the registry in weaver's form, dashboards and alerts are generated from or held against these declarations.
Names without the prefix `sprat.` are those of OpenTelemetry's semantic conventions (1.41 for `gen_ai.*`, 1.44 for all
others).
"""

from typing import Final

from opentelemetry.trace import SpanKind

from sprat.base.settings import TelemetrySettings
from sprat.telemetry.instruments import (
    Attribute,
    Counter,
    Gauge,
    Histogram,
    Metric,
    SpanType,
    UpDownCounter,
)
from sprat_contracts import TASKS as KNOWN_TASKS
from sprat_contracts import ReasonCode

# Attributes of Sprat's own. Open ones are bounded in metrics: a text's author must not be able to fill a database.

TASK = Attribute(
    "task",
    "sprat.task",
    f"The task: {', '.join(f'`{task}`' for task in KNOWN_TASKS)}, or one from a file.",
    limit=50,
    examples=("intent", "ner"),
)
TENANT = Attribute(
    "tenant",
    "sprat.tenant",
    "The tenant of the text.",
    limit=TelemetrySettings().tenants,
    examples=("default", "acme-bank"),
)
LANGUAGE = Attribute(
    "language",
    "sprat.language",
    "The language of the text as its sender said or as it was detected, without script and region.",
    limit=50,
    examples=("en", "de"),
)
MODEL = Attribute(
    "model", "sprat.model.name", "The name of the model that answered.", limit=50, examples=("default", "hr")
)
MODEL_VERSION = Attribute(
    "model_version",
    "sprat.model.version",
    "Its version: the hash of its content.",
    limit=100,
    examples=("9f2c4e1ab07d",),
)
MODEL_STAGE = Attribute(
    "model_stage",
    "sprat.model.stage",
    "Which stage of a model answered: `lexical`, by the words alone, or `encoder`; `unchanged`: the text was its own "
    "translation; `none` where it has one.",
    limit=10,
    examples=("lexical", "encoder", "unchanged"),
)
THRESHOLDS_VERSION = Attribute(
    "thresholds_version",
    "sprat.thresholds.version",
    "The version of its thresholds: the hash of their content.",
    limit=100,
    examples=("1f0c77d2a9be4410",),
)
DECISION = Attribute("decision", "sprat.decision", "What the router decided on a prediction.", ("kept", "escalated"))
REASON = Attribute(
    "reason",
    "sprat.reason",
    "Why: the first reason of a decision, the code of a refusal or of a dead letter, the reason of a skip or a retry.",
    (
        "confident",
        "out_of_scope",
        "uncalibrated",
        "low_confidence",
        "not_certified",
        "not_measured",
        "declined",
        "none",
        "invalid",
        "not_asked",
        "other_model",
        "outdated",
        "replay",
        "older",
        "served",
        "signature",
        "unsigned",
        "handle",
        "publish",
        "commit",
        "provider_call",
        *ReasonCode,
    ),
)
GOAL = Attribute(
    "goal",
    "sprat.goal",
    "The share right that is wanted of kept answers: `0.97`. `none`: a `keep_at` decides.",
    limit=50,
    examples=("0.97", "none"),
)
EVIDENCE = Attribute(
    "evidence",
    "sprat.evidence",
    "What must show that an answer reaches the goal. `none`: a `keep_at` decides.",
    ("estimated", "certified", "none"),
)
STATUS = Attribute("status", "sprat.status", "The status of a Result.", ("answered", "degraded", "unanswered"))
STAGE = Attribute(
    "stage",
    "sprat.stage",
    "Where the time went: `wait` in Kafka for the small model, `cache`, small `model`, all of the `frontier` service, "
    "of which `frontier_call` is the provider's call.",
    ("wait", "cache", "model", "frontier", "frontier_call"),
)
CACHE = Attribute(
    "cache",
    "sprat.cache.name",
    "Which cache: `answers` of small models, or of the `frontier`.",
    ("answers", "frontier"),
)
CACHE_RESULT = Attribute(
    "result",
    "sprat.cache.result",
    "What a look-up found; `rejected`: a value that was changed, or moved to another key.",
    ("hit", "miss", "rejected"),
)
ENTITY_TYPE = Attribute(
    "type", "sprat.masked.type", "The type of a masked value: `IBAN`, `PERSON`.", limit=100, examples=("IBAN", "PERSON")
)
TIER = Attribute(
    "tier",
    "sprat.tier.name",
    "The tier, by its name in the policy; without tiers, the provider's name.",
    limit=20,
    examples=("house", "mistral"),
)
TIER_OUTCOME = Attribute(
    "outcome",
    "sprat.tier.outcome",
    "What became of a hard case at a tier: `kept`, or the code for which it went on.",
    ("kept", *ReasonCode),
)
ESCALATION_RESULT = Attribute(
    "result",
    "sprat.escalation.result",
    "What became of an escalation: `answered` by a call, `stored`: answered by an earlier call, `coalesced`: answered "
    "by a call for an equal text that was under way, `declined`.",
    ("answered", "stored", "coalesced", "declined"),
)
BREAKER_STATE = Attribute(
    "state",
    "sprat.breaker.state",
    "The state of the circuit breaker before the provider, or before Redis.",
    ("closed", "half_open", "open"),
)
REGION = Attribute(
    "region",
    "sprat.egress.region",
    "Where the provider runs, as the policy names it.",
    limit=20,
    examples=("eu", "local"),
)
VERSION = Attribute("version", "service.version", "The version of the service.", limit=20)

# Attributes of spans alone.

CACHED = Attribute("cached", "sprat.cached", "Set where the answer came from a cache.", type="boolean")
LEVEL = Attribute(
    "level",
    "sprat.level",
    "The share right that the answer reaches by the evidence that the goal asks for; not set where it reaches none.",
    type="double",
)
THRESHOLD = Attribute("threshold", "sprat.threshold", "The `keep_at` that was applied.", type="double")
CONFIDENCE_BUCKET = Attribute(
    "confidence_bucket",
    "sprat.confidence.bucket",
    "The confidence, rounded down to a tenth: `0.9` is 0.9 to 1.",
    examples=("0.9",),
)
COST = Attribute("cost", "sprat.cost", "What the call cost, in euros; there is no convention for it.", type="double")
TOKENS = Attribute("tokens", "sprat.model.tokens", "Tokens of the texts in a batch.", type="int")
TEXTS = Attribute("texts", "sprat.model.texts", "Texts in a batch of the model.", type="int")
HITS = Attribute("hits", "sprat.cache.hits", "How many keys of a look-up were found.", type="int")
KEYS = Attribute("keys", "sprat.cache.keys", "How many keys were looked up or written.", type="int")
MASKED = Attribute(
    "masked", "sprat.masked", "How many values of a type were masked: `sprat.masked.IBAN`.", type="template[int]"
)
TASKS = Attribute(
    "tasks", "sprat.tasks", "The known tasks that a text asks for.", type="string[]", examples=(["intent", "ner"],)
)
PHASE = Attribute(
    "phase",
    "sprat.egress.phase",
    "Of an egress record: `attempt` before a call, `outcome` after it.",
    ("attempt", "outcome"),
)

# Attributes of the semantic conventions.

SYSTEM = Attribute("system", "messaging.system", "Always `kafka`.", ("kafka",))
OPERATION = Attribute(
    "operation", "messaging.operation.name", "What was done.", ("poll", "accept", "process", "send", "commit")
)
OPERATION_TYPE = Attribute(
    "operation_type", "messaging.operation.type", "The kind of what was done.", ("receive", "process", "send", "settle")
)
DESTINATION = Attribute("destination", "messaging.destination.name", "The topic.", limit=500)
PARTITION = Attribute("partition", "messaging.destination.partition.id", "The partition.")
OFFSET = Attribute("offset", "messaging.kafka.offset", "The offset of the record.", type="int")
GROUP = Attribute("group", "messaging.consumer.group.name", "The consumer group.", limit=500)
MESSAGE_ID = Attribute("message_id", "messaging.message.id", "The id of the event.")
MESSAGES = Attribute("messages", "messaging.batch.message_count", "Records of a batch.", type="int")
ERROR = Attribute("error", "error.type", "The code or class of the error.", limit=50)
PROVIDER = Attribute("provider", "gen_ai.provider.name", "The provider, as the settings name it.", limit=20)
REQUEST_MODEL = Attribute("request_model", "gen_ai.request.model", "The model that was asked for.", limit=20)
RESPONSE_MODEL = Attribute("response_model", "gen_ai.response.model", "The model that the provider says has answered.")
GEN_AI_OPERATION = Attribute("gen_ai_operation", "gen_ai.operation.name", "Always `chat`.", ("chat",))
TOKEN_TYPE = Attribute("token_type", "gen_ai.token.type", "Of the question or of the answer.", ("input", "output"))
RESPONSE_ID = Attribute("response_id", "gen_ai.response.id", "The id that the provider gave its response.")
FINISH_REASONS = Attribute(
    "finish_reasons",
    "gen_ai.response.finish_reasons",
    "Why the model ended its answer; `other`: a reason that is not listed here.",
    type="string[]",
    examples=(["stop"],),
)
MAX_TOKENS = Attribute("max_tokens", "gen_ai.request.max_tokens", "The most tokens that were allowed.", type="int")
TEMPERATURE = Attribute("temperature", "gen_ai.request.temperature", "As it was sent.", type="double")
OUTPUT_TYPE = Attribute("output_type", "gen_ai.output.type", "Always `json`.", ("json",))
INPUT_TOKENS = Attribute("input_tokens", "gen_ai.usage.input_tokens", "Tokens of the question.", type="int")
OUTPUT_TOKENS = Attribute("output_tokens", "gen_ai.usage.output_tokens", "Tokens of the answer.", type="int")
SERVER = Attribute("server", "server.address", "The host of the provider.")
SERVER_PORT = Attribute("server_port", "server.port", "Its port.", type="int")
URL = Attribute("url", "url.full", "The address of the request, without query and credentials.")
METHOD = Attribute("method", "http.request.method", "The HTTP method.")
HTTP_STATUS = Attribute("http_status", "http.response.status_code", "The HTTP status.", type="int")
DATABASE = Attribute("database", "db.system.name", "Always `redis`.", ("redis",))
DATABASE_OPERATION = Attribute("database_operation", "db.operation.name", "The command.")
CPU_MODE = Attribute("cpu_mode", "cpu.mode", "Where the CPU time went.", ("user", "system"))

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
    "sprat.pairs", "{pair}", "Pairs of a text and a known task that the router has accepted.", (TASK, TENANT)
)
RESULTS = Counter(
    "sprat.results", "{result}", "Results that Kafka has acknowledged.", (TASK, TENANT, DECISION, REASON, STATUS)
)
POLICY_GOAL = Gauge(
    "sprat.policy.goal",
    "{task}",
    "Always 1; the attributes say what the policy asks of the answers of a task's default model.",
    (TASK, GOAL, EVIDENCE),
)
RESULT_SECONDS = Histogram(
    "sprat.result.duration",
    "s",
    "Seconds from the broker's append of a text to the append of its Result, both by the broker's clock.",
    (TASK, DECISION),
    boundaries=_LONG_SECONDS,
)
STAGE_SECONDS = Histogram(
    "sprat.stage.duration",
    "s",
    "Seconds in one stage: of a batch in the service of a small model (`wait`: its oldest text), of a Result in the "
    "frontier.",
    (TASK, STAGE),
    boundaries=_LONG_SECONDS,
)
CONFIDENCE = Histogram(
    "sprat.confidence",
    "1",
    "Confidence of the small model in a prediction that the router has decided on.",
    (TASK, MODEL, MODEL_VERSION, DECISION),
    boundaries=_TENTHS,
)
OUTSIDE = Counter(
    "sprat.outside",
    "{prediction}",
    "Of the predictions in `sprat.confidence`, those in which the small model names none of the task's labels, kept or "
    "escalated for whatever reason.",
    (TASK,),
)

NOT_MEASURED = Counter(
    "sprat.not_measured",
    "{prediction}",
    "Of the predictions in `sprat.confidence`, those that are to reach a goal and carry no level: their model has no "
    "thresholds, or its service is of an older version. The model's card decides, or they are escalated.",
    (TASK, MODEL),
)

# What every service does with records.

CONSUMED = Counter(
    "messaging.client.consumed.messages",
    "{message}",
    "Records that were polled.",
    (SYSTEM, OPERATION, DESTINATION, GROUP),
)
SENT = Counter(
    "messaging.client.sent.messages",
    "{message}",
    "Records that Kafka has acknowledged.",
    (SYSTEM, OPERATION, DESTINATION),
)
CLIENT_SECONDS = Histogram(
    "messaging.client.operation.duration",
    "s",
    "Seconds of sending a batch until all is acknowledged, and of committing it.",
    (SYSTEM, OPERATION, OPERATION_TYPE, ERROR),
    boundaries=SECONDS,
)
PROCESS_SECONDS = Histogram(
    "messaging.process.duration",
    "s",
    "Seconds from the poll of a record until all that it caused is acknowledged; skipped records are left out.",
    (SYSTEM, OPERATION, DESTINATION, GROUP, ERROR),
    boundaries=SECONDS,
)
BATCH_SIZE = Histogram("sprat.batch.size", "{record}", "Records of one poll.", (GROUP,), boundaries=_SIZES)
SKIPPED = Counter(
    "sprat.skipped", "{record}", "Records that are another service's, or of a text that was refused.", (REASON,)
)
REFUSED = Counter(
    "sprat.records.refused",
    "{record}",
    "Records of Sprat's own topics that are ignored because they are `unsigned`, their signature is `invalid` or they "
    "withdraw an announcement that another has followed (`outdated`), and texts with the header of a `replay` that "
    "`sprat dlq replay` did not write.",
    (DESTINATION, REASON),
)
DEAD_LETTERS = Counter("sprat.dead_letters", "{record}", "Records that became dead letters, by code.", (REASON,))
RETRIES = Counter("sprat.retries", "{retry}", "Attempts that failed and are made again.", (REASON,))
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
    (TASK, LANGUAGE, REASON, MODEL_STAGE),
)
THRESHOLDS = Gauge(
    "sprat.thresholds.info",
    "{file}",
    "Always 1; the attributes say by which thresholds a small model's answers get their levels. Not there without any.",
    (TASK, MODEL, MODEL_VERSION, THRESHOLDS_VERSION),
)
MODEL_SECONDS = Histogram(
    "sprat.model.duration", "s", "Seconds of the model for one batch.", (TASK, ERROR), boundaries=SECONDS
)
MODEL_TOKENS = Counter("sprat.model.tokens", "{token}", "Tokens that the model has read.", (TASK,))
MODEL_TEXTS = Counter("sprat.model.texts", "{text}", "Texts that the model has read.", (TASK,))
CACHE_LOOKUPS = Counter("sprat.cache.lookups", "{key}", "Keys that were looked up.", (CACHE, CACHE_RESULT))
CACHE_SECONDS = Histogram(
    "sprat.cache.duration",
    "s",
    "Seconds of one operation of Redis.",
    (CACHE, DATABASE_OPERATION, ERROR),
    boundaries=SECONDS,
)

CACHE_BREAKER = Gauge(
    "sprat.cache.breaker",
    "{breaker}",
    "1 for the state that the circuit breaker before Redis is in, 0 for the others. While it is open, all keys are "
    "misses at once.",
    (CACHE, BREAKER_STATE),
)

# The frontier: what leaves, and what it costs.

ESCALATIONS = Counter(
    "sprat.escalations",
    "{escalation}",
    "Escalations that the frontier service has concluded; the reason is why it declined, or `none`.",
    (TASK, TENANT, ESCALATION_RESULT, REASON),
)
TIER_CASES = Counter(
    "sprat.tier.cases",
    "{case}",
    "Hard cases that reached a tier, stored answers and refusals by the policy included.",
    (TASK, TIER, TIER_OUTCOME),
)
TIER_SECONDS = Histogram(
    "sprat.tier.duration",
    "s",
    "Seconds that a hard case spent at a tier that it may be put to: waits, calls and retries.",
    (TIER,),
    boundaries=_CALL_SECONDS,
)
COST_EUR = Counter(
    "sprat.cost", "{EUR}", "Euros for calls to the provider.", (TASK, TENANT, TIER, PROVIDER, REQUEST_MODEL)
)
USAGE_CAPPED = Counter(
    "sprat.provider.usage.capped",
    "{call}",
    "Calls whose tokens the provider counted beyond what was sent or allowed; the count is capped.",
    (PROVIDER, REQUEST_MODEL),
)
MODEL_REPLACED = Counter(
    "sprat.provider.model.replaced",
    "{answer}",
    "Answers in which the provider named something that is no model's name, or holds a personal value: the name of the "
    "model that was asked for stands in the Result.",
    (PROVIDER, REQUEST_MODEL),
)
PROVIDER_SECONDS = Histogram(
    "gen_ai.client.operation.duration",
    "s",
    "Seconds of one call to the provider.",
    (GEN_AI_OPERATION, PROVIDER, REQUEST_MODEL, ERROR),
    boundaries=_CALL_SECONDS,
)
PROVIDER_TOKENS = Histogram(
    "gen_ai.client.token.usage",
    "{token}",
    "Tokens of one call to the provider.",
    (GEN_AI_OPERATION, PROVIDER, REQUEST_MODEL, TOKEN_TYPE),
    boundaries=_TOKENS,
)
BREAKER = Gauge(
    "sprat.breaker",
    "{breaker}",
    "1 for the state that the circuit breaker is in, 0 for the others.",
    (PROVIDER, BREAKER_STATE),
)
EGRESS_CALLS = Counter(
    "sprat.egress.calls",
    "{call}",
    "Calls with which a text has left; each has an acknowledged egress record.",
    (TENANT, PROVIDER, REGION),
)
EGRESS_BYTES = Counter("sprat.egress.size", "By", "Bytes that have left with calls.", (TENANT, PROVIDER, REGION))
CHECKPOINT_OVERDUE = Gauge(
    "sprat.audit.checkpoint.overdue",
    "s",
    "Seconds by which the checkpoint of the last egress records is overdue. Not there without a second place.",
)
MASKED_ITEMS = Counter(
    "sprat.masked.items", "{item}", "Values that were masked before a call, by type.", (ENTITY_TYPE,)
)
MASKING_SECONDS = Histogram(
    "sprat.masking.duration", "s", "Seconds to mask a text, with the wait for the thread.", (ERROR,), boundaries=SECONDS
)

# The installation as one reader sees it: the router that holds partition 0 of the texts.

GROUP_LAG = Gauge("sprat.group.lag", "{record}", "Records that a group has not committed.", (GROUP, DESTINATION))
GROUP_AGE = Gauge(
    "sprat.group.oldest.age",
    "s",
    "Age of the oldest record that a group has not committed, by the broker's clock.",
    (GROUP, DESTINATION),
)
GROUP_MEMBERS = Gauge("sprat.group.members", "{member}", "Members of a group.", (GROUP,))
HELD_BACK = Gauge(
    "sprat.stable_offset.held",
    "s",
    "Seconds for which an open transaction has held back the last stable offset: consumers see nothing behind it.",
    (DESTINATION,),
)
KAFKA_REACHABLE = Gauge("sprat.kafka.reachable", "{broker}", "1 while the reader of the groups reaches Kafka, else 0.")

# The process.

BUILD = Gauge("sprat.build.info", "{build}", "Always 1; the attributes say what runs.", (VERSION, MODEL, MODEL_VERSION))
CPU_SECONDS = Counter("process.cpu.time", "s", "CPU seconds of the process.", (CPU_MODE,))
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

_RECORD = (SYSTEM, OPERATION, OPERATION_TYPE, DESTINATION, PARTITION, OFFSET, GROUP, MESSAGE_ID, ERROR)
_TEXT = (
    TASK,
    TENANT,
    MODEL,
    MODEL_VERSION,
    MODEL_STAGE,
    DECISION,
    REASON,
    THRESHOLD,
    GOAL,
    EVIDENCE,
    LEVEL,
    CONFIDENCE_BUCKET,
    STATUS,
    CACHED,
)

ACCEPT = SpanType(
    "accept {messaging.destination.name}",
    SpanKind.CONSUMER,
    "The root of a text's trace, from the broker's append to the router's judgement; only where the sender sent no "
    "`traceparent`, and by the router alone. Its id is the one that the trace context derived from the text names.",
    (SYSTEM, OPERATION, DESTINATION, MESSAGE_ID, TENANT, TASKS, ERROR),
)
POLL = SpanType(
    "poll",
    SpanKind.CLIENT,
    "A batch from the poll until it is committed, or, in the frontier service, until its last record is in progress; "
    "with a link to each record that is not skipped.",
    (SYSTEM, OPERATION, OPERATION_TYPE, GROUP, MESSAGES, ERROR),
)
PROCESS = SpanType(
    "process {messaging.destination.name}",
    SpanKind.CONSUMER,
    "One record, from the poll until all that it caused is acknowledged: a child of the span that sent it, with a link "
    "to its batch.",
    (*_RECORD, *_TEXT, TASKS),
)
SEND = SpanType(
    "send {messaging.destination.name}",
    SpanKind.PRODUCER,
    "One record until Kafka has acknowledged it. The record's `traceparent` names this span.",
    (SYSTEM, OPERATION, OPERATION_TYPE, DESTINATION, PARTITION, OFFSET, MESSAGE_ID, PHASE, ERROR),
)
COMMIT = SpanType(
    "commit",
    SpanKind.CLIENT,
    "The commit of a batch's offsets; `poll`, its parent, names the group.",
    (SYSTEM, OPERATION, OPERATION_TYPE, ERROR),
)
INFER = SpanType(
    "infer {sprat.task}",
    SpanKind.INTERNAL,
    "The small model on the texts of a batch that were not cached.",
    (TASK, TEXTS, TOKENS, ERROR),
)
REDIS = SpanType(
    "{db.operation.name}",
    SpanKind.CLIENT,
    "One operation of Redis.",
    (DATABASE, DATABASE_OPERATION, CACHE, KEYS, HITS, ERROR),
)
MASK = SpanType(
    "mask", SpanKind.INTERNAL, "The masking of one text: how many values of which type, never a value.", (MASKED, ERROR)
)
CHAT = SpanType(
    "chat {gen_ai.request.model}",
    SpanKind.CLIENT,
    "One call to the provider.",
    (
        GEN_AI_OPERATION,
        PROVIDER,
        REQUEST_MODEL,
        MAX_TOKENS,
        TEMPERATURE,
        OUTPUT_TYPE,
        RESPONSE_MODEL,
        RESPONSE_ID,
        FINISH_REASONS,
        INPUT_TOKENS,
        OUTPUT_TOKENS,
        COST,
        SERVER,
        SERVER_PORT,
        ERROR,
    ),
)
HTTP = SpanType(
    "{http.request.method}",
    SpanKind.CLIENT,
    "The HTTP request of a call.",
    (METHOD, URL, SERVER, SERVER_PORT, HTTP_STATUS, ERROR),
)

SPANS: Final[tuple[SpanType, ...]] = tuple(value for value in list(globals().values()) if isinstance(value, SpanType))
"""Every kind of span, in the order of this page."""
