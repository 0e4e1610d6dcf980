import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sprat_translation.layout import lay_out
from support.speed import cpu_s

MIXED = st.text(st.sampled_from("aB .!?\n\r\t😀-*1)(\u2028\u0301é\"'"), max_size=80)


def sentences(text):
    return list(lay_out(text).sentences)


@settings(max_examples=200)
@given(MIXED)
def test_the_segments_joined_are_the_text(text):
    assert "".join(segment.text for segment in lay_out(text).segments) == text


@settings(max_examples=200)
@given(MIXED)
def test_no_sentence_holds_a_line_break_or_begins_with_a_space(text):
    for sentence in sentences(text):
        assert len(sentence.splitlines()) == 1
        assert sentence == sentence.strip()
        assert any(map(str.isalpha, sentence))


def test_paragraphs_indentation_and_list_markers_stay():
    text = "Dear Anna,\r\n\r\nthanks. See you!\n\n  - one thing\n\t* two\n1. first\n2) second  \n---\n"
    layout = lay_out(text)
    assert list(layout.sentences) == ["Dear Anna,", "thanks.", "See you!", "one thing", "two", "first", "second"]
    shouted = layout.fill({sentence: sentence.upper() for sentence in layout.sentences})
    assert shouted == text.upper()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Where is my order? I paid on Jan. 5.", ["Where is my order?", "I paid on Jan. 5."]),
        ("Dr. Smith said e.g. this. Thanks!", ["Dr. Smith said e.g. this.", "Thanks!"]),
        ("See https://shop.example/a.b?c=1. Then write.", ["See https://shop.example/a.b?c=1.", "Then write."]),
        ("It costs 3.50 euros.", ["It costs 3.50 euros."]),
        ("Thank you 😀", ["Thank you"]),
        ("😀 Hi! 🎉", ["Hi!"]),
        ("“Go!” she said.", ["“Go!” she said."]),
        ("ok", ["ok"]),
        ("A", ["A"]),
        pytest.param("I like the cafe\u0301", ["I like the cafe\u0301"], id="accent in NFD"),
        pytest.param("😀 e\u0323\u0302 \u0301", ["e\u0323\u0302"], id="one letter, two accents"),
        pytest.param("नमस्ते Anna, नमस्ते", ["नमस्ते Anna, नमस्ते"], id="vowel sign"),
        pytest.param("Press 1\ufe0f\u20e3", ["Press 1"], id="keycap"),
    ],
)
def test_sentences_are_found(text, wanted):
    assert sentences(text) == wanted


@pytest.mark.parametrize("text", ["", " ", "\n\n\n", "😀😀", "--- 12.50 ---", "1. 2. 3.", "\u0301\u0301", "…"])
def test_what_has_no_letter_is_not_translated(text):
    assert sentences(text) == []
    assert lay_out(text).fill({}) == text


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a" * 20_000, id="no space"),
        pytest.param("lorem ipsum " * 1_666, id="no full stop"),
        pytest.param("\n" * 10_000, id="line breaks"),
        pytest.param("a\n" * 10_000, id="short lines"),
        pytest.param(". " * 10_000, id="full stops"),
        pytest.param("1. a " * 4_000, id="lists"),
        pytest.param("- " * 10_000, id="dashes"),
        pytest.param(" " * 19_999 + "a", id="spaces"),
        pytest.param("😀" * 20_000, id="emoji"),
        pytest.param("e" + "\u0301" * 19_999, id="accents"),
        pytest.param('"' * 20_000, id="quotes"),
        pytest.param("e.g. " * 4_000, id="abbreviations"),
    ],
)
def test_odd_texts_take_no_longer_than_others(text):
    assert cpu_s(lambda: lay_out(text)) < 1
    layout = lay_out(text)
    assert "".join(segment.text for segment in layout.segments) == text
