"""The wire format: what is read, what is refused and what is said about it."""

import json
from typing import Any

import pytest

from sprat_contracts import (
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
from support.wire_records import PLAIN, TRACE_CONTEXT, TRACEPARENT, event, plain

SECRET = "Anna Müller, DE89 3704 0044 0532 0130 00"


def wrong(**fields: Any) -> Record:
    return plain(json.dumps({"text": "hi", "tasks": {"intent": {}}} | fields).encode())


BAD = [
    pytest.param(plain(None), "empty_value", "the record has no value", id="tombstone"),
    pytest.param(plain(b""), "empty_value", "the record has no value", id="nothing"),
    pytest.param(plain(b"hello " + SECRET.encode()), "invalid_json", "Invalid JSON: expected value", id="not JSON"),
    pytest.param(plain(b'{"text": "hi"'), "invalid_json", "Invalid JSON: EOF", id="cut off"),
    pytest.param(plain(b'{"text": "\xff\xfe"}'), "invalid_json", "Invalid JSON: invalid unicode", id="not UTF-8"),
    pytest.param(plain(b'{"text": "\\ud83d"}'), "invalid_json", "Invalid JSON: ", id="lone surrogate"),
    pytest.param(plain(b'{"text": "a\nb"}'), "invalid_json", "Invalid JSON: control", id="raw line break"),
    pytest.param(plain(b"[" * 100_000), "invalid_json", "Invalid JSON: recursion", id="nesting without end"),
    pytest.param(plain(b'{"x": ' + b"9" * 9_999 + b"}"), "invalid_json", "Invalid JSON: number", id="endless number"),
    pytest.param(plain(b"\xef\xbb\xbf{}"), "invalid_json", "Invalid JSON: ", id="byte order mark"),
    pytest.param(plain(b"[1]"), "invalid_text", "the value: Input should be an object", id="an array"),
    pytest.param(plain(b"{}"), "invalid_text", "text: Field required; tasks: Field required", id="empty object"),
    pytest.param(wrong(text="  "), "invalid_text", "text: the text is blank", id="blank"),
    pytest.param(wrong(text="x" * 20_001), "invalid_text", "text: String should have at most 20000", id="too long"),
    pytest.param(wrong(text=[SECRET]), "invalid_text", "text: Input should be a valid string", id="not a string"),
    pytest.param(wrong(tasks={"mood": {}}), "no_known_task", "tasks: at least one known task is needed", id="no task"),
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
    pytest.param(event(content_type="application/cloudevents+json"), "structured_mode", "binary mode", id="structured"),
    pytest.param(
        plain(headers=(("content-type", b"application/cloudevents+json; charset=utf-8"),)),
        "structured_mode",
        "header content-type",
        id="structured, without attributes",
    ),
    pytest.param(
        event(content_type="application/cloudevents-batch+json"),
        "structured_mode",
        "binary mode",
        id="a batch of events",
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
    pytest.param(
        event(ce_specversion=None), "invalid_cloudevent", "ce_specversion: missing or not 1.0", id="no version"
    ),
    pytest.param(
        event(ce_specversion="0.3"), "invalid_cloudevent", "ce_specversion: missing or not 1.0", id="version 0.3"
    ),
    pytest.param(event(ce_id=None), "invalid_cloudevent", "ce_id: missing, empty or over 1024", id="no id"),
    pytest.param(event(ce_source=""), "invalid_cloudevent", "ce_source: missing, empty or over 1024", id="no source"),
    pytest.param(event(ce_id="x" * 1025), "invalid_cloudevent", "ce_id: missing, empty or over 1024", id="endless id"),
    pytest.param(event(ce_type=None), "invalid_cloudevent", "ce_type: missing, empty or over 1024", id="no type"),
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


def test_of_a_header_that_stands_twice_the_last_counts() -> None:
    record = event()
    twice = Record("t", 0, 0, 0, None, record.value, (*record.headers, ("ce_id", b"t-2")))
    assert decode(twice, TextSubmitted).envelope.id == "t-2"


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
