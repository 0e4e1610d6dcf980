"""Records as the demo finds them on the topics."""

from dataclasses import dataclass, field
from typing import Any

from sprat_contracts import DeadLetterReason, Envelope, Message, Prediction, Result, Topics, Traceparent, encode
from sprat_local.demo.records import Observations, PublishedRecord, SampleRecord
from sprat_local.demo.samples import BrokenSample, Sample

TOPICS = Topics()
APPENDED_AT = 1_700_000_000_000
SOURCE = "/here"
TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"
LABEL = {"label": "transfer"}


@dataclass
class Record:
    """A Kafka record as a client hands it over."""

    topic: str
    value: bytes | None
    headers: list[tuple[str, bytes]] = field(default_factory=list)
    timestamp: int = APPENDED_AT
    partition: int = 0
    offset: int = 0
    key: bytes | None = None


def record(topic: str, message: Message, id: str = "r-1", timestamp: int = APPENDED_AT) -> Record:
    value, headers = encode(
        message, Envelope(id=id, source="/sprat/router", traceparent=Traceparent.parse(TRACEPARENT))
    )
    return Record(topic, value, headers, timestamp)


def prediction(id: str = "s-1", task: str = "intent", **fields: Any) -> Prediction:
    defaults = {
        "text_id": id,
        "text_source": SOURCE,
        "task": task,
        "origin": {"partition": 0, "offset": 0, "appended_at": APPENDED_AT},
        "submitted": {"text": "hello", "tasks": {task: {}}},
        "output": LABEL,
        "confidence": 0.9,
        "model": {"name": "en-fast", "version": "v1"},
    }
    return Prediction.model_validate(defaults | fields, strict=False)


def result(
    id: str = "s-1", task: str = "intent", decision: str = "kept", reason: str = "confident", **fields: Any
) -> Result:
    defaults = {
        "text_id": id,
        "text_source": SOURCE,
        "task": task,
        "requested": [task],
        "origin": {"partition": 0, "offset": 0, "appended_at": APPENDED_AT},
        "status": "answered",
        "output": LABEL,
        "source": "small" if decision == "kept" else "frontier",
        "route": {"decision": decision, "reason": reason},
        "model": {"name": "en-fast" if decision == "kept" else "simulated-frontier", "version": "v1"},
        "language": "en",
        "tenant": "default",
    }
    return Result.model_validate(defaults | fields, strict=False)


def published(
    id: str = "s-1", offset: int = 0, gold: dict[str, Any] | None = None, tasks: tuple[str, ...] = ("intent",)
) -> PublishedRecord:
    answers = gold if gold is not None else {"intent": "transfer"}
    sample = Sample(id, {"text": "hello", "tasks": {task: {} for task in tasks}}, answers)
    headers = (("ce_id", id.encode()), ("ce_source", SOURCE.encode()), ("traceparent", TRACEPARENT.encode()))
    return PublishedRecord(SampleRecord(sample, id.encode(), b"{}", headers), TOPICS.texts, 0, offset, APPENDED_AT)


def published_broken(id: str = "b-1", offset: int = 7, accepted: tuple[str, ...] = ()) -> PublishedRecord:
    broken = BrokenSample(id, b"not JSON", (("x", b"\xff"),), "invalid_json", accepted)
    return PublishedRecord(
        SampleRecord(broken, None, broken.value, broken.headers), TOPICS.texts, 0, offset, APPENDED_AT
    )


def dead_letter_for(one: PublishedRecord, code: str = "invalid_json", value: bytes | None = None) -> Record:
    reason = DeadLetterReason(code, "", one.topic, one.partition, one.offset, one.timestamp_ms, "router", "0.1.0")
    headers = reason.headers(one.record.headers)
    return Record(TOPICS.dead_letters, one.record.value if value is None else value, headers)


def observe(*records: Record) -> Observations:
    observed = Observations(TOPICS)
    for each in records:
        observed.add(each)
    return observed
