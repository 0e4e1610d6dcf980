"""What of a record stands in the store: one row for each kind of record, made without any I/O.

What a later record repeats is left out: a prediction holds the whole text, a request the prediction, an answer the
request. A record that does not fit its topic has no row.
"""

from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from pydantic_core import from_json, to_json

from sprat.base.model import DEFAULT_MODEL
from sprat_contracts import KafkaRecord, ModelAnnounced, ReasonCode, Result, Topics, Traceparent
from sprat_contracts.dead_letters import DeadLetterReason
from sprat_contracts.headers import decoded
from sprat_contracts.topics import DAY_MS
from sprat_gateway.page.reviews import ReviewRow, review_readings
from sprat_operations.record_summary import ATTEMPT, RecordKind, record_kinds, short_answer
from sprat_operations.trace_records import submitted_in, text_identity

_JSON: Final = b"application/json"
_DEFAULT_TENANT: Final = "default"
ROUTER: Final = "router"
_TRACEPARENT: Final = "traceparent"
_ENDLESS_MS: Final = 400 * DAY_MS
"""How long parts stand here whose topic keeps them without end."""
_LAST_MS: Final = 253_402_300_799_999
"""The last moment that can be shown as a date: the end of the year 9999."""


class TextRef(NamedTuple):
    """Whose text it is. Two tenants may use the same source and id: they are two texts."""

    tenant: str
    source: str
    id: str


class KeptPlace(NamedTuple):
    """Where a record is, when it came, and until when its topic keeps it: epoch milliseconds."""

    topic: str
    partition: int
    offset: int
    at: int
    expires: int


class StepRow(NamedTuple):
    """A record that a text caused, or the text itself."""

    place: KeptPlace
    kind: str
    text: TextRef
    task: str | None
    service: str
    trace: str | None
    value: bytes
    """JSON, without what stands in earlier records."""
    calls: tuple[str, ...] = ()
    """Of an answer: ids of the calls that were made for it."""


class TextRow(NamedTuple):
    """What a text asks for."""

    step: StepRow
    tasks: tuple[str, ...]
    """Those of this installation: each is to end in a Result."""
    key: bytes | None


class CountedText(NamedTuple):
    """A text that came, for the sums."""

    text: TextRef
    at: int


class ResultRow(NamedTuple):
    """A Result, with what lists and sums need of it."""

    step: StepRow
    whole: bool
    """Whether its text is in the sample."""
    requested: tuple[str, ...]
    status: str
    decision: str
    reason: str
    answered_by: str
    tier: str | None
    model: str | None
    answer: str
    declined: str | None
    confidence: float | None
    level: float | None
    goal: float | None
    evidence: str | None
    asked_model: str
    cached: bool
    cost_eur: float
    arrived: int
    """When its text was appended."""
    total_ms: int
    language: str
    masked: dict[str, int]
    left: bool


class CallRow(NamedTuple):
    """One of the two records of a call; it holds no text."""

    place: KeptPlace
    trace: str | None
    value: Mapping[str, Any]
    is_attempt: bool


class LetterRow(NamedTuple):
    """A dead letter, without the record in it."""

    place: KeptPlace
    text: TextRef | None
    """None where its tenant or its text cannot be read."""
    reason: DeadLetterReason
    ends_text: bool
    """Whether the router rejected the whole text."""
    tasks: tuple[str, ...]
    """Of such a text: those that would have ended in a Result."""


class ModelRow(NamedTuple):
    """An announcement; the value is None where the model was withdrawn."""

    task: str
    model: str
    at: int
    value: Mapping[str, Any] | None


Row = StepRow | TextRow | CountedText | ResultRow | CallRow | LetterRow | ModelRow | ReviewRow
_Reading = Callable[[KafkaRecord, KeptPlace], Iterable[Row]]


class TextSample:
    """Which texts are read whole: one in so many, all records of it alike, by the id of its trace."""

    def __init__(self) -> None:
        self.one_in = 1

    def holds(self, trace: str | None) -> bool:
        """Return whether a text is read whole."""
        return self.one_in == 1 or trace is None or int(trace[-4:], 16) % self.one_in == 0


class RecordReader:
    """Reads the records of an installation."""

    def __init__(self, topics: Topics, kept_ms: Mapping[str, int], sample: TextSample) -> None:
        """Read by the topics' own retention.

        Args:
            topics: of the installation.
            kept_ms: how long each topic keeps a record; those that are missing count as their settings say.
            sample: which texts are read whole. What escalates is, in any case.
        """
        self._topics = topics
        self._sample = sample
        self._tasks = frozenset(topics.tasks)
        table = {topic.name: topic.retention_ms or _ENDLESS_MS for topic in topics.table()}
        self._kept_ms = {**table, **kept_ms}
        self._kinds = record_kinds(topics)
        by_kind: Mapping[RecordKind, _Reading] = {
            RecordKind.text: self._text,
            RecordKind.prediction: self._prediction,
            RecordKind.request: self._request,
            RecordKind.answer: _answer,
            RecordKind.result: self._result,
            RecordKind.egress: _call,
            RecordKind.dead_letter: self._letter,
        }
        self._readings = {topic: by_kind[kind] for topic, kind in self._kinds.items() if kind in by_kind}
        self._readings[topics.models] = _model
        self._reviews = review_readings(topics)
        self.left_out = 0
        """Records of services that did not fit their topics; of senders, dead letters tell."""

    def read(self, record: KafkaRecord) -> Iterable[Row]:
        """Return the rows of a record; none of one that does not fit its topic."""
        reading = self._readings.get(record.topic, self._review)
        try:
            return reading(record, self._place(record.topic, record.partition, record.offset, record.timestamp))
        except (KeyError, TypeError, ValueError, AttributeError):
            self.left_out += record.topic != self._topics.texts
            return ()

    def kept_ms(self, topic: str) -> int:
        """Return how long a topic keeps a record."""
        return self._kept_ms[topic]

    def _place(self, topic: str, partition: int, offset: int, at: int) -> KeptPlace:
        return KeptPlace(topic, partition, offset, at, at + self._kept_ms[topic])

    def _review(self, record: KafkaRecord, place: KeptPlace) -> Iterable[Row]:
        return self._reviews[record.topic](record, place.expires)

    def _text(self, record: KafkaRecord, place: KeptPlace) -> Iterable[Row]:
        identity, submitted = _opened(record)
        value = from_json(submitted)
        tenant = _tenant(value)
        if identity is None or tenant is None:
            return ()
        text = TextRef(tenant, *identity)
        trace = _trace(record) or Traceparent.root(*identity).trace_id
        if not self._sample.holds(trace):
            return (CountedText(text, place.at),)
        step = StepRow(place, RecordKind.text, text, None, identity[0], trace, submitted)
        return TextRow(step, self._asked(value), record.key), CountedText(text, place.at)

    def _asked(self, submitted: Mapping[str, Any]) -> tuple[str, ...]:
        tasks = submitted.get("tasks")
        if not isinstance(tasks, dict):
            return ()
        return tuple(task for task, options in tasks.items() if task in self._tasks and isinstance(options, dict))

    def _prediction(self, record: KafkaRecord, place: KeptPlace) -> Iterable[Row]:
        if self._sample.one_in > 1 and not self._sample.holds(_trace(record)):
            return ()
        value = from_json(record.value or b"")
        kept = {name: each for name, each in value.items() if name not in _NAMES}
        return _step(record, place, RecordKind.prediction, value, kept)

    def _request(self, record: KafkaRecord, place: KeptPlace) -> Iterable[Row]:
        value = from_json(record.value or b"")
        prediction = value["prediction"]
        kept = {name: each for name, each in value.items() if name != "labels"}
        kept["prediction"] = {"confidence": prediction["confidence"], "task": prediction["task"]}
        steps = _step(record, place, RecordKind.request, prediction, kept)
        return [row for step in steps for row in (self._escalated_text(step, prediction), step)]

    def _escalated_text(self, step: StepRow, prediction: Mapping[str, Any]) -> TextRow:
        """Return the text, which may not have been read whole: what escalates is shown whole."""
        origin, submitted = prediction["origin"], prediction["submitted"]
        place = self._place(self._topics.texts, origin["partition"], origin["offset"], origin["appended_at"])
        key = None if origin.get("key") is None else b64decode(origin["key"])
        text = StepRow(place, RecordKind.text, step.text, None, step.text.source, step.trace, to_json(submitted))
        return TextRow(text, self._asked(submitted), key)

    def _result(self, record: KafkaRecord, place: KeptPlace) -> Iterable[Row]:
        whole = self._sample.one_in == 1 or self._sample.holds(_trace(record))
        value = record.value or b""
        Result.model_validate_json(value)  # screens show its fields as they are
        return (_result(record, place, from_json(value), whole=whole),)

    def _letter(self, record: KafkaRecord, place: KeptPlace) -> Iterable[Row]:
        reason = DeadLetterReason.from_headers((name, value or b"") for name, value in record.headers)
        kind = self._kinds.get(reason.topic)
        identity: tuple[str, str] | None = None
        submitted: Mapping[str, Any] = {}
        if kind is RecordKind.text:
            headers = decoded(record.headers)
            cause = (reason.topic, reason.partition, reason.offset, reason.timestamp_ms)
            identity = text_identity(headers, record.value, *cause)
            submitted = _object(submitted_in(headers, record.value))
        elif kind is not None:
            prediction = _prediction_in(_object(record.value))
            given, source, id = (prediction.get(name) for name in ("submitted", "text_source", "text_id"))
            submitted = given if isinstance(given, dict) else {}
            identity = (source, id) if isinstance(source, str) and isinstance(id, str) else None
        tenant = _tenant(submitted) if submitted else None
        text = None if identity is None or tenant is None else TextRef(tenant, *identity)
        ends = kind is RecordKind.text and reason.service == ROUTER and reason.code != ReasonCode.UNKNOWN_TASK
        return (LetterRow(place, text, reason, ends, self._asked(submitted) if ends else ()),)


def _trace(record: KafkaRecord) -> str | None:
    for name, value in record.headers:
        if len(name) == len(_TRACEPARENT) and name.lower() == _TRACEPARENT:
            found = Traceparent.parse(value)
            return None if found is None else found.trace_id
    return None


def _opened(record: KafkaRecord) -> tuple[tuple[str, str] | None, bytes]:
    """Return source and id of a text, and what it submits: of one in binary mode at once, as most are."""
    given = dict(record.headers)
    source, id = given.get("ce_source"), given.get("ce_id")
    if source and id and given.get("content-type") == _JSON:
        return (source.decode(), id.decode()), record.value or b""
    headers = decoded(record.headers)
    place = (record.topic, record.partition, record.offset, record.timestamp)
    return text_identity(headers, record.value, *place), submitted_in(headers, record.value) or b""


def _tenant(submitted: Mapping[str, Any]) -> str | None:
    """Return the tenant of a text; None where it cannot be read. A null counts as absent, as services read it."""
    tenant = submitted.get("tenant")
    tenant = _DEFAULT_TENANT if tenant is None else tenant
    return tenant if isinstance(tenant, str) else None


def _object(value: bytes | None) -> dict[str, Any]:
    try:
        found = from_json(value or b"")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _prediction_in(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the part of a record that names text and task, of whichever kind it is."""
    for name in ("request", "prediction"):
        part = value.get(name)
        value = part if isinstance(part, dict) else value
    return value


_NAMES: Final = frozenset({"submitted", "text_id", "text_source", "origin", "text_signature"})
"""Of a prediction: what stands in its text."""


def _step(
    record: KafkaRecord, place: KeptPlace, kind: RecordKind, prediction: Mapping[str, Any], kept: Mapping[str, Any]
) -> tuple[StepRow, ...]:
    tenant = _tenant(prediction["submitted"])
    if tenant is None:
        return ()
    text = TextRef(tenant, prediction["text_source"], prediction["text_id"])
    # Most texts come before their predictions: these need not be asked for the trace.
    trace = None if kind is RecordKind.prediction else _trace(record)
    return (StepRow(place, kind, text, prediction["task"], _service(record), trace, to_json(kept)),)


def _service(record: KafkaRecord) -> str:
    for name, value in record.headers:
        if name == "ce_source":
            return value.decode("utf-8", "replace").rpartition("/")[2] or "unknown"
    return "unknown"


def _answer(record: KafkaRecord, place: KeptPlace) -> Iterable[Row]:
    value = from_json(record.value or b"")
    prediction = value["request"]["prediction"]
    # The output of the small model says of which form an answer of this task is.
    kept = {**value, "request": {"prediction": {"task": prediction["task"], "output": prediction.get("output")}}}
    asked = [value, *(value.get("tiers") or ())]
    paid = [each["egress"]["call_id"] for each in asked if each.get("egress") and not each.get("cached")]
    calls = tuple(dict.fromkeys(each for each in paid if isinstance(each, str)))
    return [step._replace(calls=calls) for step in _step(record, place, RecordKind.answer, prediction, kept)]


def _call(record: KafkaRecord, place: KeptPlace) -> Iterable[Row]:
    value = from_json(record.value or b"")
    return (CallRow(place, _trace(record), value, value["phase"] == ATTEMPT),)


def _result(record: KafkaRecord, place: KeptPlace, value: Mapping[str, Any], *, whole: bool) -> ResultRow:
    route, egress = value["route"], value.get("egress") or {}
    text = TextRef(value["tenant"], value["text_source"], value["text_id"])
    task, arrived = value["task"], _in_time(value["origin"]["appended_at"])
    model, declined, output = value.get("model"), value.get("declined"), value["output"]
    kept = next((each["tier"] for each in value.get("tiers") or () if each["outcome"] == "kept"), None)
    return ResultRow(
        step=StepRow(place, RecordKind.result, text, task, _service(record), None, record.value or b""),
        whole=whole,
        requested=tuple(value["requested"]),
        status=value["status"],
        decision=route["decision"],
        reason=route["reason"],
        answered_by=value["source"],
        tier=kept,
        model=None if model is None else model["name"],
        answer="" if output is None else short_answer(output, task),
        declined=None if declined is None else declined["code"],
        confidence=value.get("confidence"),
        level=route.get("level"),
        goal=route.get("goal"),
        evidence=route.get("evidence"),
        asked_model=value.get("asked_model") or DEFAULT_MODEL,
        cached=bool(value.get("cached")),
        cost_eur=float(value.get("cost_eur") or 0.0),
        arrived=arrived,
        total_ms=max(0, record.timestamp - arrived),
        language=(value.get("language_detected") or value)["language"],
        masked=egress.get("masked") or {},
        left=bool(egress.get("left")),
    )


def _model(record: KafkaRecord, _: KeptPlace) -> Iterable[Row]:
    task, model = (record.key or b"").decode().split("/", 1)
    if not record.value:
        return (ModelRow(task, model, record.timestamp, None),)
    announced = ModelAnnounced.model_validate_json(record.value)
    _in_time(announced.owns_from or 0)
    value = from_json(record.value)
    return (ModelRow(value["task"], value.get("model") or DEFAULT_MODEL, record.timestamp, value),)


def _in_time(epoch_ms: int) -> int:
    """Return a time that can be shown.

    Raises:
        ValueError: it cannot.
    """
    if epoch_ms > _LAST_MS:
        raise ValueError(epoch_ms)
    return epoch_ms
