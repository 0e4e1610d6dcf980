"""The wire format: what is read, what is refused and what is said about it."""

import json
from base64 import b64encode
from codecs import BOM_UTF8
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from sprat_contracts import (
    TASKS,
    Envelope,
    Message,
    Prediction,
    Record,
    Result,
    TextSubmitted,
    Traceparent,
    WireError,
    decode,
    encode,
)
from sprat_contracts.signing import signature_of
from support.wire_records import PLAIN, TRACE_CONTEXT, TRACEPARENT, event, plain

SECRET = "Anna Müller, DE89 3704 0044 0532 0130 00"
SAID = json.dumps({"text": SECRET, "tasks": {"intent": {}}})
NULL = object()
STRUCTURED = (("content-type", b"application/cloudevents+json"),)


def structured(**changes: Any) -> Record:
    """Return an event in structured mode; what is None is left out, what is NULL is null."""
    attributes = {"specversion": "1.0", "id": "t-1", "source": "/app", "type": TextSubmitted.event_type}
    whole = attributes | {"data": json.loads(SAID)} | changes
    given = {name: None if each is NULL else each for name, each in whole.items() if each is not None}
    return plain(json.dumps(given).encode(), headers=STRUCTURED)


def twice(record: Record | None = None, **headers: bytes) -> Record:
    """Return a record with further headers."""
    of = record or event()
    return replace(of, headers=(*of.headers, *headers.items()))


def wrong(**fields: Any) -> Record:
    return plain(json.dumps({"text": "hi", "tasks": {"intent": {}}} | fields).encode())


BAD = [
    pytest.param(plain(None), "empty_value", "the record has no value", id="tombstone"),
    pytest.param(plain(b""), "empty_value", "the record has no value", id="nothing"),
    pytest.param(
        plain(b"hello " + SECRET.encode()), "invalid_json", "the value is no JSON; send an object", id="not JSON"
    ),
    pytest.param(plain(b'{"text": "hi"'), "invalid_json", "Invalid JSON: EOF", id="cut off"),
    pytest.param(plain(b'{"text": "\xff\xfe"}'), "invalid_json", "the value is not UTF-8 at byte 10,", id="not UTF-8"),
    pytest.param(plain('{"text": "Grüße"}'.encode("cp1252")), "invalid_json", "perhaps Windows-1252", id="cp1252"),
    pytest.param(plain(b'<?xml version="1.0"?><text/>'), "invalid_json", "the value begins with <, as XML", id="XML"),
    pytest.param(plain(b"\x1f\x8b\x08\0\0"), "invalid_json", "the value is compressed;", id="gzip"),
    pytest.param(plain(b'{"text": "\\ud83d"}'), "invalid_json", "Invalid JSON: ", id="lone surrogate"),
    pytest.param(plain(b'{"text": "a\nb"}'), "invalid_json", "Invalid JSON: control", id="raw line break"),
    pytest.param(plain(b"[" * 100_000), "invalid_json", "Invalid JSON: recursion", id="nesting without end"),
    pytest.param(plain(b'{"x": ' + b"9" * 9_999 + b"}"), "invalid_json", "Invalid JSON: number", id="endless number"),
    pytest.param(plain(SAID.encode("utf-16")), "invalid_json", "the value is UTF-16; send UTF-8", id="UTF-16"),
    pytest.param(plain(SAID.encode("utf-16-be")), "invalid_json", "the value is UTF-16;", id="UTF-16 without a mark"),
    pytest.param(
        plain(b"\0\0\0\0\7" + SAID.encode()), "invalid_json", "the value begins with byte 0,", id="schema registry"
    ),
    pytest.param(plain(b"\0\0\0\0\7\x0cbalance"), "invalid_json", "those of a schema registry", id="Avro"),
    pytest.param(plain(b"[1]"), "invalid_text", "the value: a list; it must be an object", id="an array"),
    pytest.param(plain(b"{}"), "invalid_text", "text: Field required; tasks: Field required", id="empty object"),
    pytest.param(
        plain(b'{"txt": "sesame-4711", "tasks": {"intent": {}}}'),
        "invalid_text",
        "text: Field required (txt, did you mean text?)",
        id="a misspelt field",
    ),
    pytest.param(
        wrong(tasks={"translation": {"tarjet": SECRET}}),
        "invalid_text",
        "tasks.translation.target: Field required (tarjet, did you mean target?)",
        id="a misspelt option",
    ),
    pytest.param(
        plain(b'{"text4711": "x", "tasks": {"intent": {}}}'),
        "invalid_text",
        "text: Field required",
        id="a name with digits",
    ),
    pytest.param(
        wrong(language="Anna Müller"),
        "invalid_text",
        "language: it is no language tag, such as en or pt-BR",
        id="language",
    ),
    pytest.param(wrong(text="  "), "invalid_text", "text: the text is blank", id="blank"),
    pytest.param(wrong(text="x" * 20_001), "invalid_text", "text: String should have at most 20000", id="too long"),
    pytest.param(wrong(text=[SECRET]), "invalid_text", "text: Input should be a valid string", id="not a string"),
    pytest.param(
        wrong(tasks={"Mood": {}}),
        "no_known_task",
        "tasks: 1 unknown; at least one known task is needed: ",
        id="no task",
    ),
    pytest.param(wrong(tasks={"Intent": {}}), "no_known_task", "tasks: 1 unknown, did you mean intent?; at", id="case"),
    pytest.param(
        wrong(tasks={"INTENT": {}, "Ner": {}, SECRET + " 4711": {}}),
        "no_known_task",
        "tasks: 3 unknown, did you mean intent or ner?; at least one known task is needed: intent, ner,",
        id="several in other letters",
    ),
    pytest.param(
        wrong(tasks=["intent"]), "invalid_text", 'tasks: a list; it must be an object, as {"intent": {}}', id="a list"
    ),
    pytest.param(wrong(tasks="intent"), "invalid_text", "tasks: a string; it must be an object, as", id="one task"),
    pytest.param(
        wrong(tasks={"intent": True}), "invalid_text", "tasks.intent: a boolean; it must be an object: {}", id="a yes"
    ),
    pytest.param(
        wrong(tasks={"desk": True}),
        "no_known_task",
        'the options of a task are an object: write {"name": {}}',
        id="a yes, added",
    ),
    pytest.param(
        wrong(tasks={"translation": True}),
        "invalid_text",
        'must be an object: {"target": "de"}',
        id="a yes to translation",
    ),
    pytest.param(wrong(tasks={"translation": None}), "no_known_task", '{"translation": {"target": "de"}}', id="null"),
    pytest.param(plain(json.dumps(SAID).encode()), "invalid_text", "a string; it must be an object; was", id="twice"),
    pytest.param(
        plain(b'{"schema": {}, "payload": {"text": "hi"}}'), "invalid_text", "envelope of Kafka Connect", id="envelope"
    ),
    pytest.param(plain(b"Obj\x01\x04\x14"), "invalid_json", "the value is an Avro file", id="an Avro file"),
    pytest.param(wrong(tasks={}), "no_known_task", "tasks: at least one known task is needed: intent", id="empty"),
    pytest.param(
        wrong(tasks={"ner": None, "intent": None}),
        "no_known_task",
        f'{TASKS[-1]}; null counts as not asked, write {{"intent": {{}}}}',
        id="null for a task",
    ),
    pytest.param(
        wrong(tasks={"translation": {}}), "invalid_text", "tasks.translation.target: Field required", id="no target"
    ),
    pytest.param(wrong(later=json.loads("[" * 65 + "]" * 65)), "invalid_text", "the value: unknown fields", id="deep"),
    pytest.param(
        wrong(reference={SECRET: 1}), "invalid_text", "reference.*: Input should be", id="key of the upstream"
    ),
    pytest.param(
        wrong(reference={"text": SECRET * 9}), "invalid_text", "reference.text: String", id="key like a field"
    ),
    pytest.param(
        wrong(text="", language=SECRET, tenant="", deadline_ms=-1, reference={"a": 1, "b": 2}),
        "invalid_text",
        "and 1 more",
        id="many problems",
    ),
    pytest.param(
        event(content_type="application/cloudevents+json"),
        "structured_mode",
        'structured mode, but the value has no specversion; add "specversion": "1.0", or send the text alone, as',
        id="binary mode that says structured",
    ),
    pytest.param(structured(specversion=None), "structured_mode", "has no specversion;", id="structured, no version"),
    pytest.param(
        structured(specversion="0.3"),
        "invalid_cloudevent",
        "structured mode: attribute specversion: 0.3 is not 1.0",
        id="structured, version 0.3",
    ),
    pytest.param(structured(type=SECRET), "unexpected_type", "structured mode: attribute type: dev.", id="its type"),
    pytest.param(structured(data=None), "structured_mode", "structured mode: data: missing", id="no data"),
    pytest.param(
        structured(data_base64="e30="), "invalid_cloudevent", "data and data_base64: only one", id="both data"
    ),
    pytest.param(structured(data=None, data_base64="%"), "structured_mode", "data: missing, or base64", id="no base64"),
    pytest.param(
        structured(datacontenttype="text/plain"), "unsupported_content_type", "attribute datacontenttype", id="its data"
    ),
    pytest.param(structured(data={"text": "hi"}), "invalid_text", "tasks: Field required", id="a text in an event"),
    pytest.param(structured(data=SECRET), "invalid_json", "the value is no JSON;", id="words in an event"),
    pytest.param(plain(b"[1]", headers=STRUCTURED), "structured_mode", "no specversion", id="structured, an array"),
    pytest.param(plain(b"", headers=STRUCTURED), "empty_value", "the record has no value", id="structured, nothing"),
    pytest.param(plain(b"{" + SECRET.encode(), headers=STRUCTURED), "invalid_json", "key must", id="structured, cut"),
    pytest.param(plain(SAID.encode("utf-16"), headers=STRUCTURED), "invalid_json", "UTF-16", id="structured, UTF-16"),
    pytest.param(plain(b"{".ljust(600_000), headers=STRUCTURED), "too_large", "524288", id="structured, too large"),
    pytest.param(
        event(content_type="application/cloudevents+avro"), "structured_mode", "another format than JSON", id="Avro"
    ),
    pytest.param(
        plain(structured(id="").value), "invalid_cloudevent", "structured mode: attribute id", id="no content type"
    ),
    pytest.param(twice(ce_id=b"t-2"), "invalid_cloudevent", "header ce_id: twice, with different values", id="two ids"),
    pytest.param(
        twice(CE_ID=b"t-2"), "invalid_cloudevent", "header ce_id: twice, with different values", id="two cases"
    ),
    pytest.param(plain(headers=(("Ce_Id", b"1"),)), "invalid_cloudevent", "ce_specversion: missing", id="an id alone"),
    pytest.param(
        plain(headers=(("Content-Type", b"text/plain"),)), "unsupported_content_type", "only app", id="Content-Type"
    ),
    pytest.param(
        twice(twice(ce_anna=b"1"), ce_anna=b"2"), "invalid_cloudevent", "header *: twice", id="two of its own"
    ),
    pytest.param(
        plain(headers=(("content-type", b"application/cloudevents+json; charset=utf-8"),)),
        "structured_mode",
        "header content-type",
        id="structured, without attributes",
    ),
    pytest.param(
        event(content_type="application/cloudevents-batch+json"),
        "structured_mode",
        "batched mode; send each event as a record of its own, in structured or binary mode",
        id="a batch of events",
    ),
    *(
        pytest.param(
            structured(**{name: given}),
            "invalid_cloudevent",
            f"structured mode: attribute {name}: {why}",
            id=f"structured, {name}: {why}",
        )
        for name in ("id", "source", "type")
        for given, why in (
            (None, "missing"),
            (NULL, "null; it must be a string"),
            (7, "a number; it must be a string"),
            (7.5, "a number; it must be a string"),
            (True, "a boolean; it must be a string"),
            (["Anna"], "a list; it must be a string"),
            ({"Anna": 1}, "an object; it must be a string"),
            ("", "empty"),
            ("x" * 1025, "over 1024 characters"),
        )
    ),
    pytest.param(
        structured(specversion=1.0),
        "invalid_cloudevent",
        "structured mode: attribute specversion: a number; it must be a string",
        id="structured, a version that is a number",
    ),
    pytest.param(
        structured(specversion=SECRET),
        "invalid_cloudevent",
        "structured mode: attribute specversion: not 1.0",
        id="structured, something else as version",
    ),
    pytest.param(event(content_type="text/plain"), "unsupported_content_type", "application/json", id="text/plain"),
    pytest.param(event(content_type=""), "unsupported_content_type", "application/json", id="empty content type"),
    pytest.param(event(ce_id=b"\xff"), "invalid_header", "header ce_id: not UTF-8", id="header not UTF-8"),
    pytest.param(
        plain(headers=(("Anna.Schmidt", b"\xff"),)),
        "invalid_header",
        "header *: not UTF-8",
        id="header named by a person",
    ),
    pytest.param(
        plain(headers=((SECRET, b"\xff"),)), "invalid_header", "header *: not UTF-8", id="header with a name of its own"
    ),
    pytest.param(event(ce_specversion=None), "invalid_cloudevent", "header ce_specversion: missing", id="no version"),
    pytest.param(
        event(ce_specversion="0.3"), "invalid_cloudevent", "header ce_specversion: 0.3 is not 1.0", id="version 0.3"
    ),
    pytest.param(event(ce_id=None), "invalid_cloudevent", "header ce_id: missing", id="no id"),
    pytest.param(event(ce_source=""), "invalid_cloudevent", "header ce_source: empty", id="no source"),
    pytest.param(event(ce_id="x" * 1025), "invalid_cloudevent", "header ce_id: over 1024 characters", id="endless id"),
    pytest.param(event(ce_type=None), "invalid_cloudevent", "header ce_type: missing", id="no type"),
    pytest.param(event(ce_type=SECRET), "unexpected_type", "dev.sprat.text.submitted.v1 is expected", id="other type"),
]


@pytest.mark.parametrize(("record", "code", "detail"), BAD)
def test_what_cannot_be_read_is_refused_with_field_and_reason(record: Record, code: str, detail: str) -> None:
    with pytest.raises(WireError) as refused:
        decode(record, TextSubmitted)
    assert refused.value.code == code
    assert detail in refused.value.detail
    assert str(refused.value) == f"{code}: {refused.value.detail}"
    assert len(refused.value.detail) < 1000


@pytest.mark.parametrize(("record", "code", "detail"), BAD)
def test_nothing_of_the_input_is_in_the_error_or_behind_it(record: Record, code: str, detail: str) -> None:
    with pytest.raises(WireError) as refused:
        decode(record, TextSubmitted)
    assert not any(word in str(refused.value) for word in ("Anna", "DE89", "0044"))
    assert refused.value.__cause__ is None
    assert refused.value.__context__ is None or refused.value.__suppress_context__


@pytest.mark.parametrize("kind", [Prediction, Result], ids=lambda kind: kind.__name__)
def test_only_texts_may_come_as_plain_json(kind: type[Message]) -> None:
    with pytest.raises(WireError, match="invalid_cloudevent: header ce_id: missing; only texts"):
        decode(PLAIN, kind)


def test_other_messages_have_their_own_code() -> None:
    with pytest.raises(WireError, match="invalid_message: text_id: Field required"):
        decode(event(b'{"confidence": 2}', Result), Result)


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="as promised"),
        pytest.param({"content_type": None}, id="no content type"),
        pytest.param({"content_type": "Application/JSON; charset=utf-8"}, id="with a charset"),
        pytest.param({"content_type": "application/vnd.acme+json"}, id="a kind of JSON"),
        pytest.param({"ce_time": "yesterday"}, id="a time that nobody reads"),
    ],
)
def test_a_cloudevent_is_read(headers: dict[str, str | None]) -> None:
    read = decode(event(**headers), TextSubmitted)
    assert (read.envelope.id, read.envelope.source, read.message.text) == ("t-1", "/app", "hi")


@pytest.mark.parametrize("written", [str.upper, str.title, str.lower], ids=lambda each: each.__name__)
def test_names_of_headers_are_read_in_any_case(written: Callable[[str], str]) -> None:
    signature = {"traceparent": TRACEPARENT, "tracestate": "a=b", "ce_tenant": "shop", "sprat_text_signature": "v1=0"}
    small = event(**signature)
    read = decode(replace(small, headers=[(written(name), value) for name, value in small.headers]), TextSubmitted)
    assert read == decode(small, TextSubmitted)
    assert (read.envelope.id, read.envelope.traceparent, read.envelope.extensions) == (
        "t-1",
        TRACE_CONTEXT,
        {"tenant": "shop"},
    )
    assert read.envelope.signature is not None
    named = structured()
    content_type = [(written(name), value) for name, value in named.headers]
    assert decode(replace(named, headers=content_type), TextSubmitted) == decode(named, TextSubmitted)


def test_the_header_of_a_replay_is_read_as_sprat_writes_it() -> None:
    assert decode(event(SPRAT_REPLAY_FOR="intent"), TextSubmitted).envelope.replay_for is None


def test_of_a_header_that_stands_twice_the_last_counts() -> None:
    """Those of agents and gateways; attributes may stand twice with one value."""
    state = {"traceparent": TRACEPARENT.encode(), "tracestate": b"a=b"}
    assert decode(twice(event(**state), ce_id=b"t-1", tracestate=b"c=d"), TextSubmitted).envelope.tracestate == "c=d"


STRUCTURED_EVENTS = [
    pytest.param({}, STRUCTURED, id="as the specification says"),
    pytest.param({}, (("content-type", b"Application/CloudEvents+JSON; charset=utf-8"),), id="with a charset"),
    pytest.param({"data": SAID}, STRUCTURED, id="data as a string"),
    pytest.param({"data": None, "data_base64": b64encode(SAID.encode()).decode()}, STRUCTURED, id="data as base64"),
    pytest.param({}, (), id="no content type"),
    pytest.param({}, (("content-type", b"application/json"),), id="content type of the data"),
]


@pytest.mark.parametrize(("changes", "headers"), STRUCTURED_EVENTS)
def test_an_event_in_structured_mode_is_the_one_in_binary_mode(
    changes: dict[str, Any], headers: tuple[tuple[str, bytes], ...]
) -> None:
    written = structured(**{"subject": "s", "time": "yesterday", "tenant": "shop", "n": 3, "b": True} | changes)
    signature = ("sprat_text_signature", b"v1=0")
    record = plain(written.value, headers=(*headers, signature, ("traceparent", TRACEPARENT.encode())))
    read = decode(record, TextSubmitted)
    envelope = read.envelope
    assert read.message == TextSubmitted.model_validate_json(SAID)
    assert (envelope.id, envelope.source, envelope.time) == ("t-1", "/app", "yesterday")
    assert envelope.extensions == {"subject": "s", "tenant": "shop", "n": "3", "b": "true"}
    assert envelope.traceparent == TRACE_CONTEXT
    assert envelope.signature == signature_of("v1=0", written.value)
    assert decode(plain(BOM_UTF8 + (written.value or b""), headers=headers), TextSubmitted).message == read.message


def test_a_text_that_speaks_of_events_is_a_text() -> None:
    fields = {"specversion": "1.0", "data": {"specversion": "1.0"}} | json.loads(SAID)
    read = decode(plain(json.dumps(fields).encode()), TextSubmitted)
    assert (read.envelope.source, read.message.text) == ("/sprat.texts.v1/3", SECRET)


@pytest.mark.parametrize("kind", [Prediction, Result], ids=lambda kind: kind.__name__)
def test_what_services_write_is_not_read_in_structured_mode(kind: type[Message]) -> None:
    with pytest.raises(WireError, match=r"structured_mode: header content-type: .* only texts"):
        decode(structured(type=kind.event_type), kind)
    with pytest.raises(WireError, match="invalid_cloudevent: header ce_id: missing"):
        decode(plain(structured(type=kind.event_type).value), kind)


def test_a_byte_order_mark_is_skipped_and_signed() -> None:
    value = BOM_UTF8 + SAID.encode()
    read = decode(plain(value, headers=(("sprat_text_signature", b"v1=0"),)), TextSubmitted)
    assert read.message.text == SECRET
    assert read.envelope.signature == signature_of("v1=0", value)


def test_extensions_are_read_without_their_prefix() -> None:
    read = decode(
        event(ce_tenant="shop", ce_status="answered", ce_time="2026-01-01T00:00:00Z", other="x"), TextSubmitted
    )
    assert read.envelope.extensions == {"tenant": "shop", "status": "answered"}
    assert read.envelope.time == "2026-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("replays", "read"), [("2", 2), ("-1", 0), ("many", 0), ("9999", 0), ("", 0), (None, 0)], ids=repr
)
def test_a_replay_says_for_whom_and_how_often(replays: str | None, read: int) -> None:
    envelope = decode(event(sprat_replay_for="intent", sprat_replays=replays), TextSubmitted).envelope
    assert (envelope.replay_for, envelope.replays) == ("intent", read)


def test_a_trace_is_continued_with_its_state() -> None:
    envelope = decode(event(traceparent=TRACEPARENT, tracestate="a=b"), TextSubmitted).envelope
    assert (envelope.traceparent, envelope.tracestate) == (TRACE_CONTEXT, "a=b")


@pytest.mark.parametrize(
    "traceparent",
    [
        None,
        "",
        TRACEPARENT + "\n",
        TRACEPARENT.upper(),
        "ff" + TRACEPARENT[2:],
        "00-" + "0" * 32 + "-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-" + "0" * 16 + "-01",
        TRACEPARENT + "-more",
    ],
    ids=repr,
)
def test_a_trace_that_is_none_is_replaced_by_the_one_of_the_text(traceparent: str | None) -> None:
    envelope = decode(event(traceparent=traceparent, tracestate="a=b"), TextSubmitted).envelope
    assert envelope.traceparent == Traceparent.root("/app", "t-1")
    assert envelope.tracestate is None


def test_what_is_written_has_the_promised_headers_in_order() -> None:
    envelope = Envelope(
        "i", "/s", TRACE_CONTEXT, "a=b", "2026-01-01T00:00:00Z", {"tenant": "Büro", "status": "answered"}
    )
    value, headers = encode(TextSubmitted.model_validate_json(PLAIN.value or b""), envelope)
    assert headers == [
        ("ce_specversion", b"1.0"),
        ("ce_id", b"i"),
        ("ce_source", b"/s"),
        ("ce_type", b"dev.sprat.text.submitted.v1"),
        ("ce_time", b"2026-01-01T00:00:00Z"),
        ("content-type", b"application/json"),
        ("traceparent", TRACEPARENT.encode()),
        ("tracestate", b"a=b"),
        ("ce_tenant", "Büro".encode()),
        ("ce_status", b"answered"),
    ]
    assert json.loads(value)["text"] == "hi"


@pytest.mark.parametrize("named", [{}, {"language": "en"}, {"language": "auto"}], ids=str)
def test_a_text_is_written_with_a_language_only_where_it_names_one(named: dict[str, str]) -> None:
    message = TextSubmitted.model_validate({"text": "hi", "tasks": {"intent": {}}} | named)
    value, _ = encode(message, decode(event(), TextSubmitted).envelope)
    written = json.loads(value)
    assert {name: written[name] for name in written.keys() & {"language"}} == named
    again = decode(plain(value), TextSubmitted).message
    assert (again, again.names_language) == (message, bool(named))


def test_the_time_is_now_where_none_is_given() -> None:
    value, headers = encode(TextSubmitted.model_validate_json(PLAIN.value or b""), Envelope("i", "/s", TRACE_CONTEXT))
    time = dict(headers)["ce_time"].decode()
    assert time.endswith("Z")
    assert len(time) == len("2026-01-01T00:00:00.000Z")
    assert decode(Record("t", 0, 0, 0, None, value, headers), TextSubmitted).envelope.time == time


def test_a_value_of_more_bytes_than_its_message_allows_is_refused_before_it_is_parsed() -> None:
    value = b'{"text": "hi", "tasks": {"intent": {}}}'
    limit = TextSubmitted.max_bytes
    assert limit is not None
    assert decode(plain(value.ljust(limit)), TextSubmitted).message.text == "hi"
    with pytest.raises(WireError, match="too_large"):
        decode(plain(value.ljust(limit + 1)), TextSubmitted)


@pytest.mark.parametrize("tenant", ['"y"', "null"])
def test_of_a_key_that_an_object_has_twice_the_last_one_counts(tenant: str) -> None:
    tasks = '"tasks": {"ner": {}}, "tasks": {"intent": {"model": "a", "model": "b"}}'
    said = f'{{"text": "a", "text": "b", {tasks}, "tenant": {tenant}, "tenant": "x"}}'
    whole = {"specversion": "1.0", "id": "1", "source": "/app", "type": TextSubmitted.event_type}
    event = f'{json.dumps(whole)[:-1]}, "id": "2", "data": {{}}, "data": {said}}}'
    for record in (plain(said.encode()), plain(event.encode(), headers=STRUCTURED)):
        text = decode(record, TextSubmitted).message
        asked = {task: options.model for task, options in text.tasks.known.items()}
        assert (text.text, text.tenant, asked) == ("b", "x", {"intent": "b"})
    assert decode(plain(event.encode(), headers=STRUCTURED), TextSubmitted).envelope.id == "2"
