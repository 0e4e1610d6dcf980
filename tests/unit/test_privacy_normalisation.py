"""Folded texts and the offsets of their characters in the original."""

import pytest

from sprat_privacy.normalisation import fold, normal_text


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("DE89\u200b3704", "DE893704"),
        ("DE89\u00ad3704", "DE893704"),
        ("१२३", "123"),
        ("１２\u2009３", "12 3"),
        ("12–34−5", "12-34-5"),
        ("А1", "А1"),
        ("e\u0301 1", "e 1"),
        ("1\x002\x1b3\x7f4", "1234"),
        ("1\t2\n3", "1\t2\n3"),
        ("a\u28001\U0001d1592", "a 1 2"),
    ],
)
def test_folding_gives_one_notation_of_a_number(text, folded):
    assert fold(text).text == folded


def test_every_folded_character_has_its_original_offset_and_an_accent_belongs_to_its_letter():
    text = "a\u200b\u200bbe\u0301\u00adf"
    folded = fold(text)
    assert folded.text == "abef"
    assert folded.original(0, 1) == (0, 1), "an invisible character belongs to no other"
    assert folded.original(1, 2) == (3, 4)
    assert folded.original(2, 3) == (4, 6)
    assert folded.original(3, 4) == (7, 8)
    assert folded.original(0, 4) == (0, 8)
    assert fold("plain").original(1, 3) == (1, 3)


# Unicode's DerivedCoreProperties.txt, version 16: Default_Ignorable_Code_Point, an end of each of its ranges.
IGNORABLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b\u180e\u180f\u200b\u200f\u202a\u202e\u2060\u2065\u206f\u3164\ufe00\ufe0f\ufeff"
    "\uffa0\ufff0\ufff8\U0001bca0\U0001bca3\U0001d173\U0001d17a\U000e0000\U000e0100\U000e0fff"
)


@pytest.mark.parametrize("character", IGNORABLE, ids=lambda character: f"U+{ord(character):04X}")
def test_what_is_never_drawn_splits_no_value(character):
    assert fold(f"DE89{character}3704").text == "DE893704"
    assert normal_text(f"An{character}na", "caseless").text == "anna"
