"""`null` in an optional field of a text counts as if the field were absent: many programs write what nobody has set."""

import json
from typing import Any

import pytest

from sprat_contracts import TextSubmitted, WireError, decode
from support.wire_records import plain

TEXT = {"text": "what is my balance", "tasks": {"intent": {}}}
NULLS = {"language": None, "tenant": None, "frontier": None, "deadline_ms": None, "reference": None}
TASKS = {
    "intent": {"model": None, "target": None},
    "ner": None,
    "translation": {"model": None, "target": "de"},
    "language-id": None,
    "desk": {"model": None},
    "sentiment": None,
}


def test_null_counts_as_absent_and_warns_of_nothing() -> None:
    read = decode(plain(json.dumps(TEXT | NULLS | {"tenent": None}).encode()), TextSubmitted)
    absent = decode(plain(json.dumps(TEXT).encode()), TextSubmitted)
    assert read.warnings == ()
    assert read.message.model_dump(exclude={"tenent"}) == absent.message.model_dump()
    assert read.message.frontier == "redact"


@pytest.mark.parametrize("more", [{}, {"x": None}], ids=["known fields", "an unknown one"])
def test_what_is_null_counts_as_not_given(more: dict[str, None]) -> None:
    options = {"model": "hr", "labels": None, "y": None}
    given = TEXT | more | {"deadline_ms": None, "reference": None, "tasks": {"intent": options, "ner": None}}
    absent = TEXT | more | {"tasks": {"intent": {"model": "hr", "y": None}, "ner": None}}
    read, expected = (decode(plain(json.dumps(each).encode()), TextSubmitted).message for each in (given, absent))
    assert read.model_dump() == expected.model_dump()
    asked = [(each.model_fields_set, each.tasks.model_fields_set) for each in (read, expected)]
    assert asked[0] == asked[1]
    assert read.tasks.known["intent"].model_fields_set == {"model", "y"}


def test_null_counts_as_absent_in_structured_mode() -> None:
    event = {"specversion": "1.0", "id": "1", "source": "/crm", "type": TextSubmitted.event_type, "data": TEXT | NULLS}
    headers = (("content-type", b"application/cloudevents+json"),)
    read = decode(plain(json.dumps(event).encode(), headers=headers), TextSubmitted)
    assert read.message == TextSubmitted.model_validate_json(json.dumps(TEXT))


def test_null_counts_as_absent_in_the_options_of_a_task_and_a_task_as_not_asked() -> None:
    read = decode(plain(json.dumps(TEXT | {"tasks": TASKS}).encode()), TextSubmitted)
    known = {task: each.model_dump(exclude_none=True) for task, each in read.message.tasks.known.items()}
    assert known == {"intent": {"model": "default"}, "translation": {"model": "default", "target": "de"}}
    assert read.message.tasks.unknown == ("desk",)
    added = read.message.tasks.options("desk")
    assert added is not None
    assert added.model == "default"
    assert read.warnings == ()


def test_the_word_null_in_a_text_is_a_word() -> None:
    more = {"x": [None, 1.5, 10**25, {"y": None}]}
    read = decode(plain(json.dumps(TEXT | {"text": "null"} | more).encode()), TextSubmitted).message
    assert (read.text, read.model_extra) == ("null", more)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"text": None}, "invalid_text: text: Input should be a valid string"),
        ({"tasks": None}, 'invalid_text: tasks: null; it must be an object, as {"intent": {}}'),
        ({"tasks": {"translation": {"target": None}}}, "invalid_text: tasks.translation.target: Input should be"),
        ({"tasks": {"intent": None}}, '; null counts as not asked, write {"intent": {}}'),
        ({"reference": {"ticket": None}}, "invalid_text: reference.*: Input should be a valid string"),
    ],
    ids=["text", "tasks", "target", "only task", "value of a reference"],
)
def test_null_is_no_value_of_what_must_be_there(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(WireError) as refused:
        decode(plain(json.dumps(TEXT | fields).encode()), TextSubmitted)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    "more", [b"NaN", b"1e999", b"[" * 190 + b"]" * 190, b"9" * 5_000, b"{"], ids=lambda each: each[:5]
)
def test_what_cannot_be_carried_is_refused_as_without_null(more: bytes) -> None:
    said = []
    for null in (b"", b'"tenant":null,'):
        with pytest.raises(WireError) as refused:
            decode(plain(b'{"text":"hi","tasks":{"intent":{}},' + null + b'"x":' + more + b"}"), TextSubmitted)
        said.append(str(refused.value).partition(" at line ")[0])
    assert said[0] == said[1]
