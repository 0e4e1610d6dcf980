"""The small parts of masking: overlapping finds, numbered placeholders, and a text as a validator reads it."""

import pytest

from sprat_privacy import Detection, resolve
from sprat_privacy.masked_text import Numbering, lookalikes_in
from sprat_privacy.normalisation import fold


def found(start, end, type="PERSON", score=1.0, detector="one"):
    return Detection(start=start, end=end, type=type, score=score, detector=detector)


def spans(*finds):
    return [(one.start, one.end, one.type) for one in resolve(finds)]


@pytest.mark.parametrize(
    ("finds", "expected"),
    [
        ([found(0, 4), found(4, 8, "EMAIL")], [(0, 4, "PERSON"), (4, 8, "EMAIL")]),
        ([found(0, 4), found(3, 9, "EMAIL")], [(0, 9, "EMAIL")]),
        ([found(0, 6), found(4, 9, "EMAIL")], [(0, 9, "PERSON")]),
        ([found(0, 9), found(2, 4, "EMAIL"), found(8, 12, "IBAN")], [(0, 12, "PERSON")]),
        ([found(0, 9), found(2, 4, "EMAIL"), found(5, 7, "IBAN")], [(0, 9, "PERSON")]),
        ([found(0, 4, score=0.2), found(0, 4, "EMAIL", score=0.9)], [(0, 4, "EMAIL")]),
        ([found(6, 8), found(0, 2)], [(0, 2, "PERSON"), (6, 8, "PERSON")]),
    ],
    ids=["touching", "longer second", "longer first", "inside and beyond", "inside", "surer", "unordered"],
)
def test_of_finds_that_overlap_one_holds_all_and_the_longest_says_what_it_is(finds, expected):
    assert spans(*finds) == spans(*reversed(finds)) == expected


def test_one_value_has_one_placeholder_and_two_values_have_two():
    numbering = Numbering(frozenset())
    assert [numbering.placeholder_for((value,), "PERSON") for value in ("Ada", "Bo", "Ada")] == [
        "[PERSON_1]",
        "[PERSON_2]",
        "[PERSON_1]",
    ]
    assert numbering.placeholder_for(("Ada", "ada"), "LOCATION") == "[PERSON_1]"
    assert numbering.placeholder_for(("ada",), "PERSON") == "[PERSON_1]", "a value goes by every name that it came with"
    assert numbering.placeholder_for(("Oslo",), "LOCATION") == "[LOCATION_1]"


def test_what_stands_in_the_text_already_is_not_given():
    taken = frozenset(lookalikes_in("[PERSON_1] and [ person - 2 ] wrote"))
    assert Numbering(taken).placeholder_for(("Ada",), "PERSON") == "[PERSON_3]"


@pytest.mark.parametrize(
    ("text", "read"),
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
def test_a_number_is_read_however_it_is_written(text, read):
    assert fold(text).text == read


def test_every_character_knows_where_it_stood_and_an_accent_belongs_to_its_letter():
    text = "a\u200b\u200bbe\u0301\u00adf"
    folded = fold(text)
    assert folded.text == "abef"
    assert folded.original(0, 1) == (0, 1), "an invisible character belongs to nobody"
    assert folded.original(1, 2) == (3, 4)
    assert folded.original(2, 3) == (4, 6)
    assert folded.original(3, 4) == (7, 8)
    assert folded.original(0, 4) == (0, 8)
    assert fold("plain").original(1, 3) == (1, 3)
