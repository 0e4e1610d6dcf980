"""One AsyncAPI 3 document of the whole system, merged from the documents that FastStream makes of each service."""

import tomllib
from typing import Any

from contracts.generators.examples import degraded, examples
from contracts.generators.headers import dead_letter_headers, example_headers, headers_schema
from contracts.generators.operations import Operation, operations
from contracts.generators.paths import CONTRACTS
from sprat.base.channels import gateway_channels, service_channels
from sprat_contracts import Message, Topic, Topics
from sprat_contracts.topics import TOMBSTONES_MS

DEAD_LETTER = "DeadLetter"
_DESCRIPTION = (
    "Small language models on the event stream. An upstream system sends to `texts` and receives from `results`; the "
    "operations are those of the services. Topics begin with a prefix, `sprat` by default. Delivery is at least once; "
    "a redelivered event carries the same id. Readers ignore unknown fields."
)
_BINDING = "0.5.0"
_TOPIC_DESCRIPTIONS = {
    "texts": "Texts and the requested tasks, from upstream systems. Every consumer group reads every text.",
    "predictions": "Answers of a small model.",
    "results": "Results, written by the router alone. Keep the first Result with an output for each "
    "`text_source`, `text_id` and `task`.",
    "frontier.requests": "Hard cases for a frontier model.",
    "frontier.answers": "Hard cases, answered by a frontier model or declined.",
    "models": "Which model serves which texts, compacted by `task/model`; a tombstone retires a model.",
    "dead-letters": "Records that could not be handled: key, value and headers unchanged, and the reason.",
    "audit.egress": "What left the perimeter: one record before each call, one after it. No text.",
    "feedback": "Corrections of Results, and answers to reviews.",
    "reviews": "Kept answers that were drawn at random to be reviewed, each with the whole prediction.",
    "reviews.closed": "How each draw ended, without the text. Count the first record of each.",
    "alarms": "Alarms of what is kept, compacted by kind, task, tenant and language.",
}


def document() -> dict[str, Any]:
    """Return the document: every topic once with its settings and its message, and who reads and writes it."""
    topics = Topics()
    table = topics.table()
    order = {topic.name: place for place, topic in enumerate(table)}
    declared: list[Operation] = []
    schemas: dict[str, Any] = {}
    for channels in (*service_channels(topics), gateway_channels(topics)):
        found = sorted(operations(channels), key=lambda pair: (pair[0].action, order[pair[0].topic]))
        for operation, operation_schemas in found:
            declared.append(operation)
            schemas |= operation_schemas
    messages = {topic.message.__name__: topic.message for topic in table if topic.message is not None}
    schemas |= {
        name: schema for message in messages.values() for name, schema in _missing_schemas(message, schemas).items()
    }
    return {
        "asyncapi": "3.0.0",
        "id": "urn:sprat",
        "info": {
            "title": "Sprat",
            "version": version(),
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {channel_id(topics, topic.name): _channel(topics, topic) for topic in table},
        "operations": {
            f"{operation.service}.{operation.action}.{channel_id(topics, operation.topic)}": _operation(
                topics, operation
            )
            for operation in declared
        },
        "components": {
            "messages": {name: _message(message) for name, message in messages.items()} | {DEAD_LETTER: _dead_letter()},
            "schemas": {name: _without_titles(schemas[name]) for name in sorted(schemas)},
        },
    }


def version() -> str:
    """Return the version of the contracts."""
    project = tomllib.loads((CONTRACTS / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["version"])


def channel_id(topics: Topics, name: str) -> str:
    """Return a topic's name without prefix and version."""
    return name.removeprefix(f"{topics.prefix}.").removesuffix(".v1")


def _channel(topics: Topics, topic: Topic) -> dict[str, Any]:
    place = channel_id(topics, topic.name)
    message = topic.message.__name__ if topic.message else DEAD_LETTER
    config = topic.config()
    settings: dict[str, Any] = {"cleanup.policy": [topic.cleanup], "max.message.bytes": topic.max_batch_bytes}
    if topic.retention_ms is not None:
        settings |= {"retention.ms": topic.retention_ms, "segment.ms": int(config["segment.ms"])}
    else:
        settings["delete.retention.ms"] = TOMBSTONES_MS
    settings |= {name: config[name] for name in ("compression.type", "message.timestamp.type")}
    return {
        "address": topic.name,
        "description": _TOPIC_DESCRIPTIONS.get(place) or _TOPIC_DESCRIPTIONS[place.partition(".")[0]],
        "messages": {message: {"$ref": f"#/components/messages/{message}"}},
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions,
                "topicConfiguration": settings,
                "bindingVersion": _BINDING,
            }
        },
    }


def _operation(topics: Topics, operation: Operation) -> dict[str, Any]:
    channel = channel_id(topics, operation.topic)
    return {
        "action": operation.action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "description": operation.description,
        "tags": [{"name": operation.service}],
        "messages": [{"$ref": f"#/channels/{channel}/messages/{operation.message or DEAD_LETTER}"}],
    }


def _message(message: type[Message]) -> dict[str, Any]:
    name = message.__name__
    headers = example_headers(message)
    shown: list[dict[str, Any]] = [
        {"name": "example", "headers": headers, "payload": examples()[message.event_type].model_dump(mode="json")}
    ]
    if message.plain_json_allowed:
        payload = {"text": "please move 100 euros to my savings", "tasks": {"intent": {}}}
        shown.append({"name": "plain", "summary": "No header at all: `kcat` is enough.", "payload": payload})
    if name == "Result":
        payload = degraded().model_dump(mode="json")
        shown.append({"name": "degraded", "headers": headers | {"ce_status": "degraded"}, "payload": payload})
    return {
        "name": message.event_type,
        "title": name,
        "summary": (message.__doc__ or "").partition("\n")[0],
        "contentType": "application/json",
        "headers": headers_schema(message),
        "payload": {"$ref": f"#/components/schemas/{name}"},
        "correlationId": {"location": "$message.header#/traceparent"},
        "examples": shown,
    }


def _dead_letter() -> dict[str, Any]:
    return {
        "name": "dead-letter",
        "title": DEAD_LETTER,
        "summary": "A record that could not be handled.",
        "contentType": "application/octet-stream",
        "headers": dead_letter_headers(),
        "payload": {"description": "The value of the record, unchanged; absent where it had none."},
    }


def _missing_schemas(message: type[Message], known: dict[str, Any]) -> dict[str, Any]:
    """Return the schemas of a message that no service reads or writes, as feedback."""
    if message.__name__ in known:
        return {}
    schema = message.model_json_schema(ref_template="#/components/schemas/{model}")
    definitions: dict[str, Any] = schema.pop("$defs", {})
    return definitions | {message.__name__: schema}


def _without_titles(schema: Any, *, names: bool = False) -> Any:
    """Remove the titles that pydantic makes of field names; `names`: the keys of `schema` are field names."""
    if isinstance(schema, list):
        return [_without_titles(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    kept = schema if names or "properties" in schema else {k: v for k, v in schema.items() if k != "title"}
    return {key: _without_titles(value, names=key == "properties" and not names) for key, value in kept.items()}
