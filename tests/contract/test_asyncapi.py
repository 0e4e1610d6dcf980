"""The AsyncAPI document: valid, complete, and the same as what the services and the models say."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from contracts.generators.asyncapi import DEAD_LETTER, _without_titles, channel_id
from contracts.generators.paths import ASYNCAPI, ROOT
from contracts.generators.schemas import messages
from sprat.base.channels import gateway_channels, service_channels
from sprat_contracts import TASKS, Record, Topics, decode

DOCUMENT: dict[str, Any] = json.loads(ASYNCAPI.read_text(encoding="utf-8"))
OFFICIAL = Path(__file__).parent / "asyncapi-3.0.0.schema.json"
TOPICS = Topics()
SERVICES = (*service_channels(TOPICS), gateway_channels(TOPICS))
NOT_SERVICES = {"simulator", "classify"}
"""One stands outside Kafka: an API for the frontier service. The other runs under the name of a task from a file."""


def test_the_official_schema_accepts_it() -> None:
    validator = Draft7Validator(json.loads(OFFICIAL.read_text(encoding="utf-8")))
    assert [f"{list(error.absolute_path)}: {error.message[:200]}" for error in validator.iter_errors(DOCUMENT)] == []


def test_the_official_schema_refuses_what_is_wrong() -> None:
    validator = Draft7Validator(json.loads(OFFICIAL.read_text(encoding="utf-8")))
    operation = {"x": {"action": "eat", "channel": {"$ref": "#/channels/texts"}}}
    assert not validator.is_valid(DOCUMENT | {"operations": operation})


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_every_reference_leads_somewhere() -> None:
    for reference in set(references(DOCUMENT)):
        place = DOCUMENT
        for step in reference.removeprefix("#/").split("/"):
            assert step in place, reference
            place = place[step]


def test_every_topic_is_one_channel_with_its_message_and_settings() -> None:
    channels = {channel["address"]: channel for channel in DOCUMENT["channels"].values()}
    assert list(channels) == [topic.name for topic in TOPICS.table()]
    assert len(channels) == len(DOCUMENT["channels"])
    for topic in TOPICS.table():
        channel = channels[topic.name]
        assert list(channel["messages"]) == [topic.message.__name__ if topic.message else DEAD_LETTER]
        kafka = channel["bindings"]["kafka"]
        assert kafka["partitions"] == topic.partitions
        told = {key: ",".join(v) if isinstance(v, list) else str(v) for key, v in kafka["topicConfiguration"].items()}
        assert told == topic.config()


def test_every_service_declares_what_it_does() -> None:
    names = {path.parent.name for path in (ROOT / "services").glob("*/pyproject.toml")} - NOT_SERVICES
    assert {channels.service for channels in SERVICES} == names


def test_the_operations_are_what_the_services_declare() -> None:
    found = {
        (one["tags"][0]["name"], one["action"], one["channel"]["$ref"].removeprefix("#/channels/"))
        for one in DOCUMENT["operations"].values()
    }
    declared = {
        (channels.service, action, channel_id(TOPICS, topic))
        for channels in SERVICES
        for action, side in (
            ("receive", channels.reads),
            ("receive", channels.follows),
            ("receive", channels.watches),
            ("send", channels.writes),
        )
        for topic in side
    }
    assert found == declared
    assert len(DOCUMENT["operations"]) == len(declared)


@pytest.mark.parametrize("channels", SERVICES, ids=lambda channels: channels.service)
def test_a_service_declares_the_message_that_the_topic_holds(channels: Any) -> None:
    holds = {topic.name: topic.message for topic in TOPICS.table()}
    for side in (channels.reads, channels.follows, channels.watches, channels.writes):
        assert {topic: holds[topic] for topic in side} == dict(side)


def test_the_router_alone_writes_results() -> None:
    writers = {
        channels.service for channels in SERVICES if {TOPICS.results(task) for task in TASKS} & channels.writes.keys()
    }
    assert writers == {"router"}


def test_it_names_no_server() -> None:
    assert "servers" not in DOCUMENT
    assert "127.0.0.1" not in ASYNCAPI.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [message.__name__ for message in messages().values()])
def test_the_payload_that_faststream_shows_is_the_published_schema(name: str) -> None:
    message = next(message for message in messages().values() if message.__name__ == name)
    schema = _without_titles(message.model_json_schema(ref_template="#/components/schemas/{model}"))
    parts = schema.pop("$defs", {})
    shown = DOCUMENT["components"]["schemas"]
    assert shown[name] == schema
    assert {part: shown[part] for part in parts} == parts


@pytest.mark.parametrize("message", messages().values(), ids=lambda message: message.__name__)
def test_the_examples_are_records_that_can_be_read(message: Any) -> None:
    shown = DOCUMENT["components"]["messages"][message.__name__]
    assert shown["examples"]
    for example in shown["examples"]:
        headers = example.get("headers", {})
        Draft7Validator(shown["headers"]).validate(headers)
        encoded = tuple((name, value.encode()) for name, value in headers.items())
        record = Record("sprat.texts.v1", 3, 41, 0, None, json.dumps(example["payload"]).encode(), encoded)
        assert decode(record, message).message.model_extra == {}


def test_the_headers_of_a_cloudevent_go_together() -> None:
    texts = Draft7Validator(DOCUMENT["components"]["messages"]["TextSubmitted"]["headers"])
    whole = {"ce_specversion": "1.0", "ce_id": "1", "ce_source": "/a", "ce_type": "dev.sprat.text.submitted.v1"}
    assert texts.is_valid({})
    assert texts.is_valid(whole)
    assert not texts.is_valid({"ce_id": "1"})
    results = Draft7Validator(DOCUMENT["components"]["messages"]["Result"]["headers"])
    assert not results.is_valid({})
    assert not results.is_valid(whole)
