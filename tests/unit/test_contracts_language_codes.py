"""Codes that are taken for those of languages, and what is said of them."""

from string import ascii_lowercase

import pytest
from langcodes import Language
from langcodes.data_dicts import LANGUAGE_ALPHA3, LANGUAGE_ALPHA3_BIBLIOGRAPHIC

from sprat_contracts.language_codes import wrong_code

WITHDRAWN = {"in": "id", "iw": "he", "ji": "yi", "jw": "jv", "mo": "ro"}


@pytest.mark.parametrize("tag", ["de", "DE", "de-AT", "pt-BR", "zh-Hant-TW", "nb", "gsw", "fil", "hsb", "GSW-ch"])
def test_the_code_of_a_language_is_right(tag: str) -> None:
    assert wrong_code(tag) is None


@pytest.mark.parametrize(
    ("tag", "instead"),
    [("deu", "de"), ("ger", "de"), ("GER", "de"), ("deu-AT", "de-AT"), ("eng", "en"), ("fre", "fr"), ("iw", "he"),
     ("dk", "da"), ("jp", "ja"), ("cz-CZ", "cs-CZ"), ("gb", "en"), ("ge", "de, or ka for Georgian"), ("und", "auto")],
)  # fmt: skip
def test_a_longer_code_or_that_of_a_country_is_said_to_be_another(tag: str, instead: str) -> None:
    said = wrong_code(tag)
    assert said is not None
    assert said.endswith(f": write {instead}")
    assert said.startswith(f"{tag.partition('-')[0]} is no language tag: ")


def test_a_code_that_nobody_may_have_meant_is_wrong_too() -> None:
    assert wrong_code("xx") == "xx is no language tag: write one such as de or pt-BR"


def test_all_codes_of_two_letters_are_those_of_the_registry() -> None:
    pairs = [a + b for a in ascii_lowercase for b in ascii_lowercase]
    right = {each for each in pairs if wrong_code(each) is None}
    assert right == {each for each in pairs if Language(each).is_valid()} - WITHDRAWN.keys()


def test_every_code_of_three_letters_is_led_to_the_shorter_one() -> None:
    codes = [*LANGUAGE_ALPHA3.items(), *LANGUAGE_ALPHA3_BIBLIOGRAPHIC.items()]
    longer = {code: short for short, code in codes if len(short) == 2 and short not in WITHDRAWN}
    assert len(longer) > 200
    for code, short in longer.items():
        assert wrong_code(code) == f"{code} is no language tag: write {short}"
