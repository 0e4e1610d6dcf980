"""The wire format against the official CloudEvents SDK, both ways."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_kafka, to_binary, to_structured
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from cloudevents.v1.http import CloudEvent as V1CloudEvent
from cloudevents.v1.kafka import to_structured as v1_to_structured

from contracts.generators.examples import examples
from sprat_contracts import Envelope, Message, Record, TextSubmitted, WireError, decode, encode
from support.wire_records import TRACE_CONTEXT

SOURCE, ID, TIME = "/büro/Köln", 'say "hi" 🐟', "2026-01-01T12:30:00.250Z"
TEXT = {"text": "Grüße, 東京 🐟", "tasks": {"intent": {}}, "later": [1, None, {"x": 2.5}]}


@pytest.mark.parametrize("message", examples().values(), ids=lambda message: type(message).__name__)
def test_the_sdk_reads_what_we_write(message: Message) -> None:
    envelope = Envelope(ID, SOURCE, TRACE_CONTEXT, "a=b", TIME, {"tenant": "Büro", "status": "answered"})
    value, headers = encode(message, envelope)
    read = from_kafka(KafkaMessage(headers=dict(headers), key=b"k", value=value), JSONFormat())
    assert read.get_attributes() == {
        "specversion": "1.0",
        "id": ID,
        "source": SOURCE,
        "type": message.event_type,
        "time": datetime(2026, 1, 1, 12, 30, 0, 250_000, UTC),
        "datacontenttype": "application/json",
        "tenant": "Büro",
        "status": "answered",
        "partitionkey": "k",
    }
    assert read.get_data() == message.model_dump(mode="json")


def test_the_sdk_reads_the_time_that_we_make() -> None:
    value, headers = encode(TextSubmitted.model_validate_json(json.dumps(TEXT)), Envelope(ID, SOURCE, TRACE_CONTEXT))
    made = from_kafka(KafkaMessage(headers=dict(headers), key=None, value=value), JSONFormat()).get_time()
    assert made is not None
    assert abs((datetime.now(UTC) - made).total_seconds()) < 60


def of_the_sdk(**attributes: Any) -> CloudEvent:
    standard = {"type": TextSubmitted.event_type, "source": SOURCE, "id": ID, "datacontenttype": "application/json"}
    return CloudEvent(attributes=standard | attributes, data=TEXT)


def as_record(message: Any) -> Record:
    return Record("sprat.texts.v1", 0, 0, 0, None, message.value, tuple(message.headers.items()))


def test_we_read_what_the_sdk_writes() -> None:
    time = datetime(2026, 1, 1, 12, 30, 0, 250_000, UTC)
    written = to_binary(of_the_sdk(time=time, tenant="Büro", partitionkey="k"), JSONFormat())
    read = decode(as_record(written), TextSubmitted)
    assert (read.envelope.id, read.envelope.source, read.envelope.time) == (ID, SOURCE, "2026-01-01T12:30:00.250000Z")
    assert read.envelope.extensions == {"tenant": "Büro", "partitionkey": "k"}
    assert (read.message.text, read.message.model_extra) == (TEXT["text"], {"later": TEXT["later"]})


def test_what_the_sdk_fills_in_by_itself_is_read() -> None:
    event = CloudEvent(attributes={"type": TextSubmitted.event_type, "source": SOURCE}, data=TEXT)
    read = decode(as_record(to_binary(event, JSONFormat())), TextSubmitted)
    assert read.envelope.id == event.get_id()


def test_what_is_handed_on_is_the_same_event_to_the_sdk() -> None:
    first = to_binary(of_the_sdk(tenant="shop"), JSONFormat())
    read = decode(as_record(first), TextSubmitted)
    value, headers = encode(read.message, read.envelope)
    again = from_kafka(KafkaMessage(headers=dict(headers), key=None, value=value), JSONFormat())
    before = from_kafka(first, JSONFormat())
    shared = ("id", "source", "type", "specversion", "tenant", "datacontenttype")
    assert [again.get_attributes()[name] for name in shared] == [before.get_attributes()[name] for name in shared]


@pytest.mark.parametrize("data", [TEXT, json.dumps(TEXT), json.dumps(TEXT).encode()], ids=["object", "string", "bytes"])
def test_we_read_what_the_sdk_writes_in_structured_mode(data: Any) -> None:
    time = datetime(2026, 1, 1, 12, 30, 0, 250_000, UTC)
    standard = {"type": TextSubmitted.event_type, "source": SOURCE, "id": ID, "datacontenttype": "application/json"}
    sent = CloudEvent(attributes=standard | {"time": time, "tenant": "Büro", "partitionkey": "k"}, data=data)
    read = decode(as_record(to_structured(sent, JSONFormat())), TextSubmitted)
    assert (read.envelope.id, read.envelope.source, read.envelope.time) == (ID, SOURCE, "2026-01-01T12:30:00.250000Z")
    assert read.envelope.extensions["tenant"] == "Büro"
    assert (read.message.text, read.message.model_extra) == (TEXT["text"], {"later": TEXT["later"]})


@pytest.mark.parametrize("data", [TEXT, json.dumps(TEXT), json.dumps(TEXT).encode()], ids=["object", "string", "bytes"])
@pytest.mark.parametrize("more", [{}, {"datacontenttype": "application/json"}], ids=["no content type", "JSON"])
def test_we_read_what_the_sdk_wrote_before_version_2(data: Any, more: dict[str, str]) -> None:
    """It writes no content type in structured mode, or that of the data."""
    event = V1CloudEvent({"type": TextSubmitted.event_type, "source": SOURCE, "id": ID, **more}, data)
    read = decode(as_record(v1_to_structured(event)), TextSubmitted)
    assert (read.envelope.id, read.envelope.source) == (ID, SOURCE)
    assert read.message.text == TEXT["text"]


def test_an_event_of_another_type_is_refused_in_either_mode() -> None:
    other = of_the_sdk(type="com.example.other")
    for written, where in (
        (to_binary(other, JSONFormat()), "header ce_"),
        (to_structured(other, JSONFormat()), "mode"),
    ):
        with pytest.raises(WireError, match=f"unexpected_type: .*{where}"):
            decode(as_record(written), TextSubmitted)
