"""The headers of a record, as JSON Schema and as an example: CloudEvents 1.0, Kafka binding, binary mode."""

from typing import Any

from contracts.generators.examples import TEXT_ID, TEXT_SOURCE, examples
from sprat_contracts import Envelope, Message, Result, TextSubmitted, Traceparent, encode, ids
from sprat_contracts import dead_letters as dead

TIME = "2026-01-01T00:00:00.000Z"
_STAGES = {"prediction.made": ids.PREDICTION, "frontier.requested": ids.REQUEST, "frontier.answered": ids.ANSWER}
_MANDATORY = ("ce_specversion", "ce_id", "ce_source", "ce_type")


def headers_schema(message: type[Message]) -> dict[str, Any]:
    """Give the schema of the headers of a message's records."""
    properties: dict[str, Any] = {
        "ce_specversion": {"const": "1.0", "description": "Version of CloudEvents."},
        "ce_id": _text("The same at every delivery of this event.", minLength=1, maxLength=1024),
        "ce_source": _text("Who wrote it; with `ce_id` it names the event.", minLength=1, maxLength=1024),
        "ce_type": {"const": message.event_type, "description": "Which message this is, and its version."},
        "ce_time": _text("When it was written. Informative: all clocks are the broker's.", format="date-time"),
        "content-type": _text("application/json where it is left out.", examples=["application/json"]),
        "traceparent": _text("W3C trace context: one text has one trace id on every topic."),
        "tracestate": _text("W3C trace context of the tracing systems."),
    }
    if message is not TextSubmitted:
        properties["ce_tenant"] = _text("The text's tenant, to filter by without decoding.")
    if message is Result:
        properties["ce_status"] = _text("The result's status, to filter by without decoding.")
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    if message.plain_json_allowed:
        about = "A record without any `ce_` header is plain JSON: its id and source follow from where it stands."
        together = {name: [other for other in _MANDATORY if other != name] for name in _MANDATORY}
        return {"description": about} | schema | {"dependencies": together}
    return schema | {"required": list(_MANDATORY)}


def dead_letter_headers() -> dict[str, Any]:
    """Give the schema of the headers that a dead letter has beside the original ones."""
    ours = {
        dead.ERROR_CODE: "What was wrong, for machines: an open list.",
        dead.ERROR_DETAIL: "Field and reason, for people; never the text.",
        dead.ORIGIN_TOPIC: "Where the record stood: topic.",
        dead.ORIGIN_PARTITION: "Where the record stood: partition.",
        dead.ORIGIN_OFFSET: "Where the record stood: offset.",
        dead.ORIGIN_TIMESTAMP: "When the broker appended it: epoch milliseconds.",
        dead.SERVICE: "Which service could not handle it.",
        dead.VERSION: "Version of that service.",
        dead.REPLAYS: f"How often it was replayed; at most {dead.MAX_REPLAYS} times.",
    }
    about = "The record's own headers, untouched, and these."
    properties = {name: _text(description) for name, description in ours.items()}
    return {"description": about, "type": "object", "properties": properties, "required": list(ours)}


def example_headers(message: type[Message]) -> dict[str, str]:
    """Give the headers of the example, as `encode` writes them."""
    shown = examples()[message.event_type]
    task = "intent"
    if message is TextSubmitted:
        source, event_id, extensions = TEXT_SOURCE, TEXT_ID, {}
    else:
        stage = next((stage for part, stage in _STAGES.items() if part in message.event_type), ids.RESULT)
        source, event_id = "/sprat/example", str(ids.derive(stage, TEXT_SOURCE, TEXT_ID, task))
        extensions = {"tenant": "shop"}
    if isinstance(shown, Result):
        extensions["status"] = shown.status
    envelope = Envelope(
        id=event_id,
        source=source,
        traceparent=Traceparent.root(TEXT_SOURCE, TEXT_ID),
        time=TIME,
        extensions=extensions,
    )
    return {name: value.decode() for name, value in encode(shown, envelope)[1]}


def _text(description: str, **limits: Any) -> dict[str, Any]:
    return {"type": "string", "description": description, **limits}
