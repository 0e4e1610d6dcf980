"""Names beside a title, a role, a greeting or the closing of a letter."""

import pytest

from sprat_privacy.detectors.name_context import NameContext
from support.speed import cpu_s


def names(text: str) -> list[str]:
    return [text[each.start : each.end] for each in NameContext().find(text, "en")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Please tell Mr Young that it is ready.", ["Young"]),
        ("Das Gutachten von Prof. Dr. Sommer liegt vor.", ["Sommer"]),
        ("Fragen Sie Frau von der Heide.", ["von der Heide"]),
        ("Il dott. Leone non c'è.", ["Leone"]),
        ("Mein Nachbar Koch hat den Schlüssel.", ["Koch"]),
        ("Hallo Winter,\nwo bleibt die Rechnung?", ["Winter"]),
        ("Dear Ms Rice, we are sorry.", ["Rice"]),
        ("Where is it?\n\nKind regards\nO'Rourke", ["O'Rourke"]),
        ("wann kommt das paket\ndanke jung", ["jung"]),
        ("still nothing here. cheers, priya stone", ["priya stone"]),
        ("Ｍｒ Ｙｏｕｎｇ called.", ["Ｙｏｕｎｇ"]),
    ],
)
def test_a_name_beside_a_word_that_announces_one_is_found(text: str, expected: list[str]) -> None:
    assert names(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Dear customer, your card is blocked.",
        "Sehr geehrte Damen und Herren, die Heizung ist kaputt.",
        "Hello team,\nthe shop is closed.",
        "Where is my parcel? Thanks a lot",
        "Bitte um Rückruf. Vielen Dank im Voraus",
        "Sperling, vielen Dank für die Blumen!",
        "Zwei Mitarbeiter von Thyssenkrupp wurden verletzt.",
        "The driver was late.",
        "best price",
        "Merci beaucoup",
    ],
)
def test_other_words_in_that_place_are_no_names(text: str) -> None:
    assert names(text) == []


def test_a_long_text_of_announcing_words_is_read_in_a_second() -> None:
    parts = ("mr ", "hello mr. ", "danke, ", "kind regards\n", "technician ", "von der ", "regards a ", "\n")
    for part in parts:
        text = part * (20_000 // len(part))
        assert cpu_s(lambda text=text: NameContext().find(text, "en")) < 0.5  # 0.02 s on a quiet core
