"""The readable form of a dead letter's value."""

import json

import pytest

from sprat_operations.dead_letter_payload import MAX_SHOWN, hex_dump, readable, readable_key
from sprat_privacy import MaskedSpan, MaskedText


def masked(text: str, *values: str, type: str = "X") -> MaskedText:
    """What the perimeter makes of a text when it finds these values."""
    spans, pieces, last, length = [], [], 0, 0
    for value in values:
        start = text.index(value, last)
        length += start - last
        spans.append(MaskedSpan(start, start + len(value), length, "[X_1]", type, "test"))
        pieces += (text[last:start], "[X_1]")
        length += 5
        last = start + len(value)
    return MaskedText("".join((*pieces, text[last:])), text, tuple(spans))


def shown_of(value: bytes, *, read=readable, **more):
    shown = read(value, **more)
    assert shown is not None
    return shown


def test_json_is_laid_out_a_value_a_line_with_real_line_breaks():
    value = {"text": "Dear,\nAnna", "tasks": {"translation": {"target": "de"}, "ner": {}}, "n": [1, None], "e": []}
    shown = shown_of(json.dumps(value).encode())
    assert shown.text.split("\n") == [
        "text: Dear,",
        "  Anna",
        "tasks.translation.target: de",
        "tasks.ner: {}",
        "n.0: 1",
        "n.1: null",
        "e: []",
    ]


def test_a_duplicate_key_is_shown_twice():
    shown = shown_of(b'{"text": "a", "text": "b"}')
    assert shown.text == "text: a\ntext: b"


@pytest.mark.parametrize(
    ("value", "language"),
    [
        ({"language": "de"}, "de"),
        ({"submitted": {"language": "fr"}}, "fr"),
        ({"request": {"prediction": {"submitted": {"language": "pl"}}}}, "pl"),
        ({"language": 5}, None),
        ({}, None),
    ],
)
def test_the_language_is_the_texts_own(value, language):
    shown = shown_of(json.dumps(value).encode())
    assert shown.language == language


@pytest.mark.parametrize("value", [b"{not json", b"12.50", b"[" * 100_000, b"1" * 5_000, b"plain words"])
def test_what_is_no_json_is_shown_as_it_is(value):
    shown = shown_of(value)
    assert shown.text.startswith(value.decode()[:100])


@pytest.mark.parametrize(
    "value", ["Anna".encode("utf-16"), b"\x00\x01\x02", b'{"text": "A\\u0000nna"}', bytes(range(128, 256))]
)
def test_what_is_no_text_is_not_taken_for_one(value):
    assert readable(value) is None


def test_bytes_that_are_not_utf_8_are_read_as_letters_and_shown_in_hexadecimal():
    value = "Grüße von Jürgen".encode("latin-1")
    shown = shown_of(value)
    assert shown.text == "Grüße von Jürgen"
    assert shown.masked(masked(shown.text, "Jürgen")) == "Gr\\xfc\\xdfe von [X_1]"
    assert shown.shown() == "Gr\\xfc\\xdfe von J\\xfcrgen"


def test_of_a_long_value_more_is_masked_than_is_shown():
    cut = "x" * (MAX_SHOWN - 5) + "Anna Schmidt" + "y" * 1_000
    shown = shown_of(cut.encode())
    assert shown.left_out == len(cut) - MAX_SHOWN
    assert shown.masked(masked(shown.text, "Anna Schmidt")) == "x" * (MAX_SHOWN - 5) + "[X_1]"
    assert shown.masked(masked(shown.text)) == cut[:MAX_SHOWN]


def test_a_lone_surrogate_is_shown_escaped():
    shown = shown_of(b'{"text": "\\ud800"}')
    assert shown.text == "text: \\ud800"


def test_a_hex_dump_has_offset_bytes_and_ascii_and_an_end():
    lines = list(hex_dump(b"ab\x00" * 2_000, limit=32))
    assert lines[0] == "00000000  61 62 00 61 62 00 61 62 00 61 62 00 61 62 00 61  ab.ab.ab.ab.ab.a"
    assert lines[-1] == "… 5,968 more bytes"


def test_field_names_of_ours_are_not_hidden_by_a_finders_doubt():
    shown = shown_of(b'{"text": "ner and Anna", "tasks": {"ner": {}}, "Anna": 1}')
    doubted = masked(shown.text, "Anna", "ner", "Anna")
    assert shown.masked(doubted) == "text: ner and [X_1]\ntasks.ner: {}\n[X_1]: 1"
    assert len(shown.spans(doubted)) == 2


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b'["J\\u00fcrgen", {"text": "x"}]', "0: Jürgen\n1.text: x"),
        (b'"J\\u00fcrgen\\nM"', "Jürgen\n  M"),
        (b"[]", "[]"),
        (b'{"text": "J\\u00fcrgen"', '{"text": "Jürgen"'),
        (b"\\ud83d\\ude00 J\\u005cu00fcrgen \\ud83d", "😀 Jürgen \\ud83d"),
        (b"J\\u00fcrgen M\xfcller", "Jürgen Müller"),
    ],
)
def test_no_escape_hides_a_name_from_a_finder(value, text):
    shown = shown_of(value)
    assert shown.text == text


@pytest.mark.parametrize("value", [b"{A\\u0000nna", b"J\\u005cu005cu005cu005cu005cu00fcrgen"])
def test_what_still_hides_is_withheld(value):
    assert readable(value) is None


def test_languages_rules_tenants_and_models_are_not_hidden_where_they_are_as_the_contract_says():
    value = {
        "language": "de",
        "frontier": "allow",
        "tasks": {"translation": {"target": "pl", "model": "opus-2"}, "mood": {"model": "Anna"}},
        "tenant": "nordea-bank",
        "reference": {"tenant": "Anna"},
    }
    shown = shown_of(json.dumps(value).encode())
    doubted = masked(shown.text, "de", "allow", "pl", "opus-2", "Anna", "nordea", "Anna")
    assert shown.masked(doubted) == shown.text.replace("Anna", "[X_1]")
    odd = shown_of(b'{"language": "Anna Schmidt", "frontier": "Anna", "text": "de"}')
    assert "Anna" not in odd.masked(masked(odd.text, "Anna Schmidt", "Anna", "de"))


def test_of_an_event_only_the_attributes_that_are_in_logs_are_not_hidden():
    attributes = {"id": 4711, "source": "/Anna", "specversion": "1.0", "type": "Anna", "time": "Anna"}
    attributes |= {"datacontenttype": "Anna"}
    others = {"subject": "Anna", "dataschema": "Anna", "caller": "Anna", "data": {"id": "Anna", "text": "Anna"}}
    value = json.dumps(attributes | others).encode()
    shown = shown_of(value, is_event=True)
    *known, subject, schema, caller, id, text = shown.masked(masked(shown.text, "4711", *["Anna"] * 9)).splitlines()
    assert known == [f"{name}: {given}" for name, given in attributes.items()]
    assert [subject, schema, caller] == ["subject: [X_1]", "dataschema: [X_1]", "caller: [X_1]"]
    assert [id, text] == ["data.id: [X_1]", "data.text: [X_1]"]
    plain = shown_of(value)
    assert "4711" not in plain.masked(masked(plain.text, "4711"))


@pytest.mark.parametrize("id", [["Anna"], {"name": "Anna"}, "Anna" + "x" * 1021, "x\nAnna"])
def test_what_cannot_be_an_attribute_is_masked(id):
    shown = shown_of(json.dumps({"specversion": "1.0", "id": id}).encode(), is_event=True)
    assert "Anna" not in shown.masked(masked(shown.text, "Anna"))


@pytest.mark.parametrize("tenant", ["Anna Schmidt", "anna@example.org", "DE89370400440532013000", "4930901820"])
def test_a_tenant_that_may_be_personal_is_masked(tenant):
    shown = shown_of(json.dumps({"tenant": tenant}).encode())
    assert shown.masked(masked(shown.text, tenant)) == "tenant: [X_1]"


@pytest.mark.parametrize(("key", "doubted"), [(b"12", "12"), (b"user:4711", "4711")])
def test_a_short_number_in_a_key_of_one_word_is_no_address(key, doubted):
    shown = shown_of(key, read=readable_key)
    assert shown.masked(masked(shown.text, doubted)) == key.decode()


@pytest.mark.parametrize(("key", "hidden"), [(b"cust-3", False), (b"acme/4711", False), (b"Lindenweg 12", True)])
def test_a_key_of_one_word_is_no_address(key, hidden):
    shown = shown_of(key, read=readable_key)
    whole = shown.text
    assert (shown.masked(masked(whole, whole, type="ADDRESS")) == "[X_1]") is hidden
    assert shown.masked(masked(whole, whole, type="PERSON")) == "[X_1]"


@pytest.mark.parametrize(
    ("key", "doubted"),
    [
        (b"Lindenweg 12", "12"),
        (b"4930901820", "4930901820"),
        (b"anna.12@example.org", "anna.12@example.org"),
        (b"2024-11-26", "11-26"),
    ],
)
def test_what_may_be_personal_in_a_key_is_masked(key, doubted):
    shown = shown_of(key, read=readable_key)
    assert shown.masked(masked(shown.text, doubted)) == key.decode().replace(doubted, "[X_1]")
