"""`TextSubmitted`: what an upstream system may send, and what is made of what it leaves out."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from sprat_contracts import TextSubmitted
from sprat_contracts.texts import MAX_DEPTH

LONGEST = "🐟" * 20_000


def read(**fields: Any) -> TextSubmitted:
    return TextSubmitted.model_validate_json(json.dumps({"text": "hi", "tasks": {"intent": {}}} | fields))


def test_text_and_one_task_are_enough() -> None:
    text = read()
    assert (text.language, text.tenant, text.frontier) == ("auto", "default", "redact")
    assert (text.deadline_ms, text.reference) == (None, None)
    assert text.tasks.known["intent"].model == "default"


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"text": LONGEST}, id="20,000 code points beyond the basic plane"),
        pytest.param({"text": "\x00\x07 שלום \u202e 🐟"}, id="control characters, right to left, emoji"),
        pytest.param({"language": "zh-Hant-TW"}, id="language with script and region"),
        pytest.param({"tenant": "Büro Köln / Team 3"}, id="tenant of many scripts"),
        pytest.param({"deadline_ms": 604_800_000}, id="a week"),
        pytest.param({"reference": {"k" * 64: "v" * 256}}, id="largest reference"),
        pytest.param({"reference": {str(n): "" for n in range(16)}}, id="most references"),
        pytest.param({"tasks": {"translation": {"target": "de", "model": "de.v2_x-1"}}}, id="model by name"),
        pytest.param({"tasks": {"language-id": {"model": "second"}}}, id="a task with a hyphen"),
        pytest.param({"tasks": {"intent": {}, "ner": None}}, id="null is not asked for"),
    ],
)
def test_what_is_promised_is_accepted_and_returned_as_it_came(fields: dict[str, Any]) -> None:
    text = read(**fields)
    assert TextSubmitted.model_validate_json(text.model_dump_json()) == text
    for name, value in fields.items():
        if name != "tasks":
            assert json.loads(text.model_dump_json())[name] == value


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"text": LONGEST + "x"}, id="20,001 code points"),
        pytest.param({"text": ""}, id="empty"),
        pytest.param({"text": " \n\t\u2003"}, id="blank"),
        pytest.param({"text": 5}, id="number for a text"),
        pytest.param({"tasks": {}}, id="no task"),
        pytest.param({"tasks": {"Mood": {}}}, id="no name of a task"),
        pytest.param({"tasks": {"mood": 1}}, id="an added task without options"),
        pytest.param({"tasks": {"intent": None}}, id="the only one is null"),
        pytest.param({"tasks": ["intent"]}, id="tasks as an array"),
        pytest.param({"tasks": {"translation": {}}}, id="translation without target"),
        pytest.param({"tasks": {"intent": {"model": "../secret"}}}, id="model that is a path"),
        pytest.param({"language": "english please"}, id="language in words"),
        pytest.param({"tenant": "a\nb"}, id="tenant with a line break"),
        pytest.param({"deadline_ms": 0}, id="no time at all"),
        pytest.param({"deadline_ms": 604_800_001}, id="more than a week"),
        pytest.param({"deadline_ms": "60000"}, id="number as a string"),
        pytest.param({"reference": {str(n): "" for n in range(17)}}, id="17 references"),
        pytest.param({"reference": {"k" * 65: ""}}, id="long key"),
        pytest.param({"reference": {"k": "v" * 257}}, id="long value"),
        pytest.param({"reference": {"k": 1}}, id="reference that is no string"),
    ],
)
def test_what_breaks_a_promise_is_not_accepted(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        read(**fields)


@pytest.mark.parametrize("rule", ["deny", "ALLOW", "", "yes", None, True, 1, [], {"allow": True}], ids=repr)
def test_whatever_is_not_a_clear_yes_lets_nothing_leave(rule: Any) -> None:
    assert read(frontier=rule).frontier == "deny"


def test_a_tag_with_underscores_is_understood() -> None:
    text = read(language="en_US", tasks={"translation": {"target": "zh_Hant_TW"}})
    assert text.language == "en-US"
    assert text.tasks.translation is not None
    assert text.tasks.translation.target == "zh-Hant-TW"


def test_unknown_tasks_are_told_beside_the_known_ones() -> None:
    tasks = read(tasks={"mood": {}, "ner": {}, "weather": {"where": "here"}}).tasks
    assert list(tasks.known) == ["ner"]
    assert tasks.unknown == ("mood", "weather")


def test_tasks_that_were_not_asked_for_are_not_written() -> None:
    written = json.loads(read(tasks={"ner": {}, "mood": {"x": None}}).model_dump_json())["tasks"]
    assert written == {"ner": {"model": "default"}, "mood": {"x": None}}


def nested(levels: int) -> Any:
    value: Any = 1
    for level in range(levels):
        value = [value] if level % 2 else {"deeper": value}
    return value


@pytest.mark.parametrize(
    "place",
    [
        pytest.param(lambda value: {"later": value}, id="in the text"),
        pytest.param(lambda value: {"tasks": {"intent": {}, "mood": value}}, id="as a task"),
        pytest.param(lambda value: {"tasks": {"intent": {"later": value}}}, id="in an option"),
    ],
)
def test_unknown_fields_may_nest_but_not_without_end(place: Any) -> None:
    assert read(**place(nested(MAX_DEPTH)))
    with pytest.raises(ValidationError, match="64 levels"):
        read(**place(nested(MAX_DEPTH + 1)))


@pytest.mark.parametrize("name", ["model_dump", "event_type", "known", "__class__", "model_config", "_private"])
def test_an_unknown_field_with_an_awkward_name_is_only_a_field(name: str) -> None:
    text = read(**{name: 1}, tasks={"intent": {name: 2}, name: 3})
    written = json.loads(text.model_dump_json())
    assert (written[name], written["tasks"]["intent"][name], written["tasks"][name]) == (1, 2, 3)
    assert list(text.tasks.known) == ["intent"]


def test_a_task_with_a_hyphen_has_one_name() -> None:
    text = read(tasks={"language-id": {}, "language_id": {"a": 1}})
    assert (tuple(text.tasks.known), text.tasks.unknown) == (("language-id",), ("language_id",))
    assert json.loads(text.model_dump_json())["tasks"] == {"language-id": {"model": "default"}, "language_id": {"a": 1}}
