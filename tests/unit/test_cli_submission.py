"""What `sprat send` takes its argument for, and what it makes of it."""

import io
import json

import pytest

from sprat.base.errors import UserError
from sprat_cli.commands.send.submission import SOURCE, parse_reference, parse_tasks, prepare, signing_key
from sprat_cli.text_input import TextLines, read_lines
from sprat_contracts import SIGNATURE_HEADER, TextSubmitted
from sprat_contracts.signing import signature_of

INTENT = {"tasks": {"intent": {}}}


def given(*texts):
    return TextLines([(f"line {number}", text) for number, text in enumerate(texts, 1)], "a test")


def read(argument, stdin="", *, as_text=False, whole=False):
    return read_lines(argument, io.StringIO(stdin), as_text=as_text, whole=whole)


def test_words_are_the_text_itself():
    assert read("please move 100 euros").texts == [("the text", "please move 100 euros")]


def test_a_file_is_its_lines_and_it_is_said(tmp_path):
    path = tmp_path / "some.jsonl"
    path.write_text("first\u2028still first\n\n  \nsecond\r\n", "utf-8")
    taken = read(str(path))
    assert [text for _, text in taken.texts] == ["first\u2028still first", "second"]
    assert taken.texts[1][0] == f"file {path}, line 4"
    assert taken.description == f"file {path}: 2 texts"


def test_a_dash_is_standard_input():
    assert read("-", "one\ntwo\n").description == "standard input: 2 texts"


def test_the_whole_of_standard_input_is_one_text():
    assert read("-", "Dear all,\n\nbye\n", whole=True).texts == [("standard input", "Dear all,\n\nbye")]


def test_a_file_name_is_the_text_where_one_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "transfer").write_text("from the file", "utf-8")
    assert read("transfer").texts == [("file transfer, line 1", "from the file")]
    assert read("transfer", as_text=True).texts == [("the text", "transfer")]
    assert read("-", as_text=True).texts == [("the text", "-")]


@pytest.mark.parametrize("argument", ["missing.jsonl", "some/where", "./notes", "TEXTS.TXT"])
def test_words_that_look_like_a_missing_file_are_not_sent(argument):
    with pytest.raises(UserError, match="there is no file"):
        read(argument)


@pytest.mark.parametrize(
    "text", ["either/or is a question", "long " * 1000, "nul \0 inside", "what is 1.5", "/ or \\ ?"]
)
def test_a_text_is_not_description_a_path(text):
    assert read(text).texts == [("the text", text)]


def test_an_empty_input_is_a_mistake():
    with pytest.raises(UserError, match="standard input: nothing to send"):
        read("-", "\n \n")


def test_a_file_that_is_not_utf8_is_a_mistake(tmp_path):
    (tmp_path / "latin").write_bytes("Straße".encode("latin-1"))
    with pytest.raises(UserError, match="not UTF-8"):
        read(str(tmp_path / "latin"))


def test_tasks_name_model_target_and_labels():
    assert parse_tasks(["intent@hr=leave, pay", "translation@fast=de", "ner"]) == {
        "intent": {"model": "hr", "labels": ["leave", "pay"]},
        "translation": {"model": "fast", "target": "de"},
        "ner": {},
    }


def test_a_reference_may_hold_equals_signs():
    assert parse_reference(["order=42", "query=a=b", "empty="]) == {"order": "42", "query": "a=b", "empty": ""}


def test_options_become_the_message():
    options = INTENT | {"language": "de", "tenant": "acme", "frontier": "deny", "reference": {"order": "42"}}
    (made,) = prepare(given("hallo"), options, id="my-id", key="customer-7")
    assert made.message == TextSubmitted.model_validate(options | {"text": "hallo"})
    assert TextSubmitted.model_validate_json(made.value) == made.message
    assert (made.envelope.source, made.envelope.id, made.key) == (SOURCE, "my-id", b"customer-7")
    headers = dict(made.headers)
    assert headers["ce_type"] == b"dev.sprat.text.submitted.v1"
    assert headers["traceparent"].decode().split("-")[1] == made.trace_id


def test_a_json_line_is_a_whole_message_that_options_fill():
    line = json.dumps({"text": "hi", "tasks": {"ner": {}}, "tenant": "own", "new_field": 1})
    (made,) = prepare(given(line), INTENT | {"tenant": "acme", "language": "de"}, id=None, key=None)
    assert list(made.message.tasks.known) == ["ner"]
    assert (made.message.tenant, made.message.language) == ("own", "de")
    assert json.loads(made.value)["new_field"] == 1


def test_a_brace_is_just_a_character_of_a_plain_text():
    (made,) = prepare(given("{not json"), INTENT, id=None, key=None, plain=True)
    assert made.message.text == "{not json"


def test_every_text_has_an_id_and_a_trace_of_its_own():
    made = prepare(given("a", "b", "a"), INTENT, id=None, key=None)
    assert len({each.envelope.id for each in made}) == len({each.trace_id for each in made}) == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{oops", "line 2: begins like JSON but is not"),
        ('{"text": "x", "tasks": {}}', "line 2: tasks: at least one known task"),
        ('{"text": 5}', "line 2: text: "),
        ("\udc80", "line 2: not valid Unicode"),
        ('{"text": "\\ud800"}', "line 2: "),
    ],
)
def test_a_line_that_is_not_valid_is_named_and_its_text_is_not(text, said):
    with pytest.raises(UserError, match=said):
        prepare(given("fine", text), INTENT, id=None, key=None)


def test_one_id_is_not_for_two_texts():
    with pytest.raises(UserError, match="--id is for one text, these are 2"):
        prepare(given("a", "b"), INTENT, id="x", key=None)


def test_a_text_is_signed_for_its_own_tenant_source_and_id():
    key = b"k" * 32
    texts = given("one", '{"text": "two", "tenant": "nordic"}')
    options = INTENT | {"tenant": "acme"}
    for each, tenant in zip(
        prepare(texts, options, id=None, key=None, source="/crm/test", sign_with=key), ("acme", "nordic"), strict=True
    ):
        signature = signature_of(dict(each.headers)[SIGNATURE_HEADER].decode(), each.value)
        assert signature.is_by([key], tenant, "/crm/test", each.envelope.id)
        assert dict(each.headers)["ce_source"] == b"/crm/test"


def test_without_a_key_nothing_is_signed():
    (each,) = prepare(given("one"), INTENT, id=None, key=None)
    assert SIGNATURE_HEADER not in dict(each.headers)
    assert each.envelope.source == SOURCE


@pytest.mark.parametrize(("value", "has"), [(None, "is not set"), ("", "is not set"), ("short", "has 5 bytes")])
def test_a_key_that_is_missing_or_short_is_refused_without_its_value(value, has):
    environment = {} if value is None else {"CRM_KEY": value}
    with pytest.raises(UserError) as caught:
        signing_key("CRM_KEY", environment)
    assert str(caught.value) == f"--sign-with CRM_KEY: the variable {has}; it holds a key of 32 bytes or more"
    assert signing_key("CRM_KEY", {"CRM_KEY": "k" * 32}) == b"k" * 32
