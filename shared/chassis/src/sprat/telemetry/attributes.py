"""All attributes that metrics and spans may have, with their meaning and their values or bounds.

Names without the prefix `sprat.` are those of OpenTelemetry's semantic conventions.
"""

from sprat.base.settings import TelemetrySettings
from sprat.telemetry.instruments import Attribute
from sprat_contracts import TASKS as KNOWN_TASKS
from sprat_contracts import ReasonCode
from sprat_contracts.predictions import DOUBTS

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
        "each_name",
        "out_of_scope",
        "uncalibrated",
        "low_confidence",
        "not_certified",
        "not_measured",
        "may_miss",
        "no_level",
        "alarm",
        *DOUBTS,
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
    "Which cache: `answers` of small models, of the `frontier`, or Results of the `door`.",
    ("answers", "frontier", "door"),
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
CELL = Attribute(
    "cell",
    "sprat.review.cell",
    "Whose reviews are counted together: tenant of the policy and language, or `all` of the task.",
    limit=200,
    examples=("acme-bank/de", "all"),
)
VERDICT = Attribute(
    "verdict",
    "sprat.review.verdict",
    "How a draw ended.",
    ("right", "wrong", "cannot_tell", "unanswered"),
)
ALARM_KIND = Attribute(
    "kind",
    "sprat.alarm.kind",
    "What an alarm says: `errors`: more of what is kept is wrong than the goal allows; `shift`: confidences or "
    "escalations are not those of the measured rows; `too_few_reviews`.",
    ("errors", "shift", "too_few_reviews"),
)
IGNORED = Attribute(
    "why",
    "sprat.review.ignored",
    "Why a record of reviews does not count: no draw has its `token`, its `reviewer` is a tier where people "
    "were asked or the other way round, its `output` cannot be compared, it is the "
    "`second` answer, or too `late`, it was `replayed`, or is `unreadable`.",
    ("token", "reviewer", "output", "second", "late", "replayed", "unreadable"),
)

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
METHOD = Attribute(
    "method",
    "http.request.method",
    "The HTTP method.",
    ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"),
)
ROUTE = Attribute(
    "route",
    "http.route",
    "The route, without the values in its path. `none`: no route takes the request, or it was refused before.",
    limit=60,
    examples=("/v1/texts", "/v1/texts/{uuid}"),
)
HTTP_RESULT = Attribute(
    "http_result",
    "sprat.gateway.status",
    "The HTTP status, as text. `none`: the client has gone before the response began.",
    limit=40,
    examples=("200", "202", "429"),
)
HTTP_STATUS = Attribute("http_status", "http.response.status_code", "The HTTP status.", type="int")
DATABASE = Attribute("database", "db.system.name", "Always `redis`.", ("redis",))
DATABASE_OPERATION = Attribute("database_operation", "db.operation.name", "The command.")
CPU_MODE = Attribute("cpu_mode", "cpu.mode", "Where the CPU time went.", ("user", "system"))
