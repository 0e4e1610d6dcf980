"""Surnames that stand alone, and in compounds, by a list."""

import pytest

from sprat_privacy import Detection, resolve
from sprat_privacy.detectors.listed_surnames import LIST, key, listed
from sprat_privacy.detectors.name_context import NameContext
from support.speed import cpu_s


def names(text: str, language: str = "en") -> list[str]:
    return [text[each.start : each.end] for each in NameContext().find(text, language)]


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("Has Okafor paid the deposit?", "en", ["Okafor"]),
        ("Okafor rang twice.", "en", ["Okafor"]),
        ("It was Okafor's parcel.", "en", ["Okafor"]),
        ("Has Young paid the deposit?", "en", ["Young"]),
        ("We wait for Young.", "en", ["Young"]),
        ("Please reopen the Young account.", "en", ["Young"]),
        ("Please reopen the Miller file.", "en", ["Miller"]),
        ("Laut Müller lief die Heizung.", "de", ["Müller"]),
        ("Der Vertrag Müller endet im Juni.", "de", ["Müller"]),
        ("Der Vertrag mit Mu\u0308ller endet.", "de", ["Mu\u0308ller"]),
        ("Die Müller-Akte fehlt.", "de", ["Müller"]),
        ("Das Müllerkonto fehlt.", "de", ["Müller"]),
        ("Die Müllersche Wohnung ist frei.", "de", ["Müller"]),
        ("Die Koch-Familie ist da.", "de", ["Koch"]),
        ("Le dossier de Moreau est clos.", "fr", ["Moreau"]),
    ],
)
def test_a_listed_surname_is_found(text: str, language: str, expected: list[str]) -> None:
    assert names(text, language) == expected


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("has okafor paid?", "en"),  # small letters are left to the tagger
        ("Young people paid.", "en"),  # a word at the start
        ("The Young are late, the Rice is cold.", "en"),
        ("See the Price of Okra.", "en"),
        ("We paid at Okafor Motors.", "en"),  # a neighbour with a capital
        ("We paid at Motors Okafor.", "en"),
        ("HAS MILLER PAID?", "en"),
        ("see #Okafor and miller.com/Okafor", "en"),
        ("Der Koch kocht, im Winter auch.", "de"),
        ("Der Koch-Vertrag endet, das Winter-Paket kommt.", "de"),
        ("Der Notfall, die Kundenakte, das Girokonto, die Deutsche Bank.", "de"),
        ("Die Müller-Milch ist sauer, der Akten-Fall auch.", "de"),
    ],
)
def test_other_words_are_no_surnames(text: str, language: str) -> None:
    assert names(text, language) == []


def test_the_tagger_decides_what_a_listed_word_is() -> None:
    """Lincoln, NE: where both find the same word, it is a place."""
    place = Detection(5, 11, "LOCATION", "tagger", 0.2)
    assert [each.type for each in resolve([place, *NameContext().find("from Okafor today", "en")])] == ["LOCATION"]


def test_the_list_is_sorted_and_in_the_form_that_is_looked_up() -> None:
    lines = LIST.read_text("utf-8").splitlines()
    assert lines == sorted(lines, key=lambda line: line.split(" ")[0])
    assert [name for name in listed() if key(name) != name or len(name) < 3] == []
    assert {word for words in listed().values() for word in words} == {"de", "en", "es", "fr", "it", "nl", "pt"}


@pytest.mark.parametrize("part", ["Okafor ", "Has Young ", "Müllerkonto ", "Aa-", "A. ", "'A", "Müller-Akte-"])
def test_a_long_text_of_names_is_read_in_linear_time(part: str) -> None:
    listed()
    text = part * (20_000 // len(part))
    for language in ("en", "de"):
        assert cpu_s(lambda language=language: NameContext().find(text, language)) < 0.5
