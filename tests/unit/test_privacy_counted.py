"""Numbers that count something are no part of an address; all that may be one stays masked."""

import pytest

from sprat_privacy import Detection, NameDetector, mask
from support.speed import cpu_s


class Saying:
    """A tagger that takes the given values for parts of an address."""

    def __init__(self, *values: str) -> None:
        self.values = values

    def find_many(self, texts):
        return [
            [
                Detection(at, at + len(value), "ADDRESS", "tagger", 0.9)
                for value in self.values
                if (at := text.find(value)) >= 0
            ]
            for text in texts
        ]


def masked(text: str, *values: str, language: str = "en") -> list[str]:
    left = mask(text, language, [NameDetector(Saying(*values), {"en", "de", "fr", "und"})])
    return [left.value(span) for span in left.spans]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("make a reservation for 5 people", "5"),
        ("what is 592 plus 22", "592"),
        ("what is 592 plus 22", "22"),
        ("convert 1 gallon to liters", "1"),
        ("what is the square root of 888?", "888"),
        ("wake me at 430am", "430am"),
        ("book a table for 4", "4"),
        ("roll a 6 sided dice", "6"),
        ("can you add 5 and 89", "5"),
        ("can you add 5 and 89", "89"),
        ("find a flight for under 700", "700"),
        ("help with my 401k", "401k"),
    ],
)
def test_a_number_that_counts_something_is_left(text: str, number: str) -> None:
    assert masked(text, number) == []


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("send it to 592", "592"),  # counts nothing
        ("i live at 12 miles road", "12"),
        ("pick me up at 12 miles from the old lane", "12"),
        ("the parcel is at 5 Cups Corner", "5"),
        ("at Elm 12 miles", "12"),  # neighbours with a capital
        ("apt 5 people know it", "5"),
        ("add 5 to my address", "5"),
        ("send my 401k to unit w2", "w2"),
        ("12345 people", "12345"),  # as long as a post code
        ("no.5 people", "5"),
        ("12-5 people", "5"),
        ("make it 5&#32;people", "5"),
        ("make it 5 p\u0435ople", "5"),  # a Cyrillic letter
        ("make it 5 people \u200b", "5"),
        ("make it 5 peoples", "5"),
        ("in der hauptstrasse 5 people", "5"),
        ("im staying with 22 guests", "22"),
        ("meet me near 22 miles", "22"),
        ("we met in w2", "w2"),
        ("she resides in 22 miles", "22"),
        ("deliver it to 22 people", "22"),
        ("pick me up from 22 miles", "22"),
        ("drop it off by 22 miles", "22"),
        ("find me at 22 miles", "22"),
        ("the party is at 12, at 14 people", "14"),
        ("come to 14 plus the cellar", "14"),  # adds no number
    ],
)
def test_a_number_that_may_be_of_an_address_is_masked(text: str, number: str) -> None:
    assert masked(text, number) == [number]


@pytest.mark.parametrize(
    ("language", "text", "number"),
    [
        ("fr", "mon appartement est le 12 plus la cave", "12"),
        ("fr", "sonnez le 12 plus 3 fois", "12"),
        ("de", "klingeln bei 14 plus laut", "14"),
        ("de", "ich wohne 5am ende", "5am"),
        ("de", "wir sind in der 12 plus 3", "3"),
        ("und", "what is 592 plus 22", "592"),
    ],
)
def test_what_counts_in_english_counts_in_no_other_language(language: str, text: str, number: str) -> None:
    assert masked(text, number, language=language) == [number]


def test_what_counts_in_english_counts_in_each_kind_of_english() -> None:
    assert masked("what is 592 plus 22", "592", language="en-GB") == []


@pytest.mark.parametrize(
    ("text", "number"),
    [("turn the volume at 4 please", "4"), ("wake me at 5am", "5am")],
)
def test_a_volume_and_a_time_may_stand_after_at(text: str, number: str) -> None:
    assert masked(text, number) == []


def test_a_number_near_another_part_of_an_address_is_masked() -> None:
    text = "we are 5 people at elm corner"
    assert masked(text, "5", "elm corner") == ["5", "elm corner"]
    assert masked("we are 5 people" + 40 * " x" + " at elm corner", "5", "elm corner") == ["elm corner"]


def test_a_longer_number_does_not_leave_in_pieces() -> None:
    assert masked("dial 4917 plus 0123 now", "4917", "0123") == ["4917", "0123"]
    assert masked("dial 4917 plus 012 now", "4917", "012") == []


def test_a_value_of_another_type_is_masked_whatever_is_beside_it() -> None:
    class Tagger:
        def find_many(self, texts):
            return [[Detection(7, 8, "PERSON", "tagger")] for _ in texts]

    assert mask("we are 5 people", "en", [NameDetector(Tagger(), {"en"})]).spans


def test_many_numbers_are_read_in_linear_time() -> None:
    text = "people 5 people " + "people x " * 2_000
    found = [Detection(at, at + 1, "ADDRESS", "tagger") for at in range(7, len(text), 9)]

    class Tagger:
        def find_many(self, texts):
            return [found for _ in texts]

    assert cpu_s(lambda: mask(text, "en", [NameDetector(Tagger(), {"en"})])) < 1
