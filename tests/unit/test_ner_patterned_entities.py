import pytest

from sprat_ner.patterned_entities import find_patterned
from support.speed import cpu_s


def found(text: str, language: str = "en") -> list[tuple[str, str]]:
    return [(text[one.start : one.end], one.type) for one in find_patterned(text, language)]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Mail jane.doe+news@example.co.uk, please.", [("jane.doe+news@example.co.uk", "EMAIL")]),
        ("jürgen@müller.example schreibt", [("jürgen@müller.example", "EMAIL")]),
        ("See https://example.org/a_(b)?q=1#top.", [("https://example.org/a_(b)?q=1#top", "URL")]),
        ("(www.example.org)", [("www.example.org", "URL")]),
        ("at example.org/help, or not", [("example.org/help", "URL")]),
        ("https://user:pass@example.org/x", [("https://user:pass@example.org/x", "URL")]),
        ("IBAN DE89 3704 0044 0532 0130 00, thanks", [("DE89 3704 0044 0532 0130 00", "IBAN")]),
        ("card 4111 1111 1111 1111 expires", [("4111 1111 1111 1111", "CARD")]),
        ("Call +49 89 636 48018 today", [("+49 89 636 48018", "PHONE")]),
        ("Call +44 20 7946 0018 or mail a@b.example", [("+44 20 7946 0018", "PHONE"), ("a@b.example", "EMAIL")]),
    ],
)
def test_a_valid_pattern_is_found_with_its_exact_text(text: str, wanted: list[tuple[str, str]]) -> None:
    assert found(text) == wanted


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("IBAN DE89 3704 0044 0532 0130 01", id="wrong check digits"),
        pytest.param("card 4111 1111 1111 1112", id="wrong Luhn digit"),
        pytest.param("call 123456", id="in no country's plan"),
        pytest.param("Booking.com and e.g. this", id="no address"),
        pytest.param("https:// and www. and a/b", id="beginnings alone"),
        pytest.param("we met on 2024-11-25 at 10:30", id="a date"),
    ],
)
def test_an_invalid_pattern_is_no_entity(text: str) -> None:
    assert found(text) == []


def test_the_language_decides_the_country_of_a_phone_number() -> None:
    assert found("Telefon 089 63648018", "de") == [("089 63648018", "PHONE")]


@pytest.mark.parametrize("unit", ["a.", "www.", "http://", "(", ")", "a@", "://", "1 ", "@", "a-", "+49 "])
def test_time_is_linear_in_the_length(unit: str) -> None:
    text = "https://x.example/" + unit * (20_000 // len(unit))
    assert cpu_s(lambda: find_patterned(text, "en")) < 2
