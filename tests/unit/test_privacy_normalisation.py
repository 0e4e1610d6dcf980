"""Folded texts and the offsets of their characters in the original."""

import pytest

from sprat_privacy.normalisation import fold


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
