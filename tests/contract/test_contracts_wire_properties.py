"""The wire format under any input: only WireError, nothing of the input in it, and what is written is read again."""

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sprat_contracts import (
    Envelope,
    Message,
    Prediction,
    Record,
    Result,
    TextSubmitted,
    Topics,
    WireError,
    decode,
    encode,
)
from support.wire_records import TRACE_CONTEXT, event, plain

MESSAGES = list(dict.fromkeys(topic.message for topic in Topics().table() if topic.message is not None))
MARK = "Xqzjv"
quick = settings(max_examples=60)

characters = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
marked = st.builds(lambda before, after: f"{before}{MARK}{after}", characters, characters)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | marked
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(marked, inner, max_size=3), max_leaves=8
)
fields = st.sampled_from(["text", "tasks", "language", "tenant", "frontier", "deadline_ms", "reference", MARK])
documents = st.dictionaries(
    fields, values | st.dictionaries(st.sampled_from(["intent", "ner", MARK]), values), max_size=6
)
header_names = st.sampled_from(
    ["ce_id", "ce_source", "ce_type", "ce_specversion", "ce_tenant", "content-type", "traceparent", "sprat_replays"]
)
headers = st.lists(st.tuples(header_names | characters, st.binary(max_size=20) | marked.map(str.encode)), max_size=5)


def told(record: Record, kind: type[Message]) -> str:
    """Read a record; give what is said where it cannot be read. Any other error fails the test."""
    try:
        decode(record, kind)
    except WireError as error:
        return f"{error!r} {error} {error.code} {error.detail}"
    return ""


@quick
@given(st.binary(max_size=200), headers, st.sampled_from(MESSAGES))
def test_any_bytes_are_read_or_refused(value: bytes, headers: list[tuple[str, bytes]], kind: type[Message]) -> None:
    assert MARK not in told(plain(value, headers=tuple(headers)), kind)


@quick
@given(documents, st.integers(0, 3))
def test_no_word_of_a_document_is_in_an_error(document: dict[str, Any], cut: int) -> None:
    value = json.dumps(document).encode()
    assert MARK not in told(plain(value[: len(value) - cut]), TextSubmitted)
    assert MARK not in told(event(value), TextSubmitted)


@quick
@given(documents, st.sampled_from([Prediction, Result]))
def test_no_word_of_a_document_is_in_an_error_of_another_message(document: dict[str, Any], kind: type[Message]) -> None:
    nested = json.dumps(document | {"submitted": document, "output": document, "origin": document}).encode()
    assert MARK not in told(event(nested, kind), kind)


@quick
@given(marked, marked, marked)
def test_no_word_of_a_header_is_in_an_error(id: str, source: str, kind: str) -> None:
    assert MARK not in told(event(ce_id=id, ce_source=source, ce_type=kind), TextSubmitted)
    assert MARK not in told(event(ce_specversion=id), TextSubmitted)
    assert MARK not in told(event(content_type=kind), TextSubmitted)


texts = characters.filter(lambda text: bool(text.strip()))
tags = st.from_regex(re.compile(r"[a-z]{2,3}(-[A-Z]{2})?"), fullmatch=True)
extras = st.dictionaries(characters.map("x_{}".format), values, max_size=3)
submitted = st.builds(
    lambda text, target, language, rule, deadline, reference, extra, deep: (
        {
            "text": text,
            "tasks": {"intent": deep, "translation": {"target": target}},
            "language": language,
            "frontier": rule,
            "deadline_ms": deadline,
            "reference": reference,
        }
        | extra
    ),
    texts,
    tags,
    tags,
    st.sampled_from(["allow", "redact", "deny"]),
    st.none() | st.integers(1, 604_800_000),
    st.none() | st.dictionaries(characters, characters, max_size=4),
    extras,
    extras,
)
names = st.from_regex(re.compile(r"[a-z0-9]{1,20}"), fullmatch=True).filter(
    lambda name: name not in {"id", "source", "type", "time", "specversion"}
)
attributes = characters.filter(bool)
envelopes = st.builds(
    Envelope,
    id=attributes,
    source=attributes,
    traceparent=st.just(TRACE_CONTEXT),
    tracestate=st.none() | attributes,
    time=attributes,
    extensions=st.dictionaries(names, characters, max_size=3),
)


@quick
@given(submitted, envelopes)
def test_what_is_written_is_read_again(fields: dict[str, Any], envelope: Envelope) -> None:
    message = TextSubmitted.model_validate_json(json.dumps(fields))
    value, headers = encode(message, envelope)
    read = decode(Record("t", 0, 0, 0, None, value, headers), TextSubmitted)
    assert (read.message, read.envelope) == (message, envelope)
    assert encode(read.message, read.envelope) == (value, headers)


@quick
@given(submitted)
def test_unknown_fields_stay_as_they_came(fields: dict[str, Any]) -> None:
    written = json.loads(TextSubmitted.model_validate_json(json.dumps(fields)).model_dump_json())
    assert {name: value for name, value in written.items() if name.startswith("x_")} == {
        name: value for name, value in fields.items() if name.startswith("x_")
    }
    asked = written["tasks"]["intent"]
    assert {name: value for name, value in asked.items() if name != "model"} == fields["tasks"]["intent"]


@quick
@given(attributes, attributes, submitted)
def test_a_text_has_one_trace_however_often_and_wherever_it_is_read(
    id: str, source: str, fields: dict[str, Any]
) -> None:
    value = json.dumps(fields).encode()
    first = decode(event(value, ce_id=id, ce_source=source), TextSubmitted).envelope
    again = decode(
        event(b'{"text": "other", "tasks": {"ner": {}}}', ce_id=id, ce_source=source), TextSubmitted
    ).envelope
    assert first.traceparent == again.traceparent
    continued = decode(event(value, ce_id="other", traceparent=str(first.traceparent)), TextSubmitted).envelope
    assert continued.traceparent == first.traceparent


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)
def test_every_message_refuses_an_empty_object_by_the_names_of_its_fields(kind: type[Message]) -> None:
    with pytest.raises(WireError, match="Field required"):
        decode(event(b"{}", kind), kind)
