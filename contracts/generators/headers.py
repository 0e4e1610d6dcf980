"""The headers of a record, as JSON Schema and as an example: CloudEvents 1.0, Kafka binding, binary mode."""

from typing import Any

from contracts.generators.examples import TEXT_ID, TEXT_SOURCE, examples
from sprat_contracts import (
    SIGNATURE_HEADER,
    EgressRecord,
    Envelope,
    Message,
    Result,
    TextSubmitted,
    Traceparent,
    encode,
    ids,
)
from sprat_contracts import dead_letters as dead
from sprat_contracts.wire import SIGNATURE

TIME = "2026-01-01T00:00:00.000Z"
_STAGES = {"prediction.made": ids.PREDICTION, "frontier.requested": ids.REQUEST, "frontier.answered": ids.ANSWER}
_MANDATORY = ("ce_specversion", "ce_id", "ce_source", "ce_type")


def headers_schema(message: type[Message]) -> dict[str, Any]:
    """Return the schema of the headers of a message's records."""
    properties: dict[str, Any] = {
        "ce_specversion": {"const": "1.0", "description": "Version of CloudEvents."},
        "ce_id": _text("The same at every delivery of this event.", minLength=1, maxLength=1024),
        "ce_source": _text("Who wrote it; together with `ce_id` it identifies the event.", minLength=1, maxLength=1024),
        "ce_type": {"const": message.event_type, "description": "Which message this is, and its version."},
        "ce_time": _text("When it was written. Informative: all clocks are the broker's.", format="date-time"),
        "content-type": _text("application/json where it is missing.", examples=["application/json"]),
        "traceparent": _text("W3C trace context: one text has one trace id on every topic."),
        "tracestate": _text("W3C trace context of the tracing systems."),
    }
    if message is TextSubmitted:
        properties[SIGNATURE_HEADER] = _text(
            "HMAC of tenant, source, id and value, by a key of the tenant; needed where the policy names its keys."
        )
    else:
        properties["ce_tenant"] = _text("The text's tenant, to filter by without decoding.")
    if message.signed:
        properties[SIGNATURE] = _text(
            "HMAC of the installation over topic, key, `ce_` headers and value. Services ignore a record without one."
        )
    if message is EgressRecord:
        properties[SIGNATURE] = _text(
            "Ed25519 signature of the value, by the service that sends: `ed25519`, the id of its key, base64."
        )
    if message is Result:
        properties["ce_status"] = _text("The result's status, to filter by without decoding.")
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    if message.plain_json_allowed:
        description = "A record without any `ce_` header is plain JSON: its id and source are derived from its place."
        together = {name: [other for other in _MANDATORY if other != name] for name in _MANDATORY}
        return {"description": description} | schema | {"dependencies": together}
    return schema | {"required": list(_MANDATORY)}


def dead_letter_headers() -> dict[str, Any]:
    """Return the schema of the headers that a dead letter has in addition to the original ones."""
    own = {
        dead.ERROR_CODE: "What is wrong, for machines: an open list.",
        dead.ERROR_DETAIL: "Field and reason, for people; never the text.",
        dead.ORIGIN_TOPIC: "Topic of the record.",
        dead.ORIGIN_PARTITION: "Partition of the record.",
        dead.ORIGIN_OFFSET: "Offset of the record.",
        dead.ORIGIN_TIMESTAMP: "When the broker appended the record: epoch milliseconds.",
        dead.SERVICE: "The service that could not handle the record.",
        dead.VERSION: "Version of that service.",
        dead.REPLAYS: f"How often the record was replayed; at most {dead.MAX_REPLAYS} times.",
    }
    about = (
        "The record's own headers, untouched, and these. That of an event in structured mode has the id and the source "
        "of the event as `ce_id` and `ce_source`, too."
    )
    signature = "The installation's signature on the dead letter; one of an earlier version has none."
    described = own | {dead.DEAD_LETTER_SIGNATURE: signature}
    properties = {name: _text(description) for name, description in described.items()}
    return {"description": about, "type": "object", "properties": properties, "required": list(own)}


def example_headers(message: type[Message]) -> dict[str, str]:
    """Return the headers of the example, as `encode` writes them."""
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
