"""National numbers: found by shape and check digit; common forms by the text's language or a word near them."""

import pytest

from sprat_privacy.detectors.validators.suite import Validators

NATIONAL = {"TAX_ID", "GOVERNMENT_ID", "SOCIAL_SECURITY"}

# Unique forms: found in any language, without a word. A valid and an invalid number.
CERTAIN = [
    ("BE", "85.07.30-033 28", "85.07.30-033 29"), ("BE", "98472899765", "98472899766"),
    ("BG", "7523169263", "7523169264"), ("CZ", "710319/2745", "710319/2746"),
    ("DE", "36 574 261 809", "36 574 261 890"), ("DE", "65 170839 J 003", "65 170839 J 004"),
    ("DK", "211062-5629", "511062-5629"), ("EE", "36805280109", "36805280108"), ("ES", "54362315K", "54362315Z"),
    ("ES", "54362315-K", "54362315-Z"), ("ES", "X-2482300W", "X-2482300A"), ("ES", "J99216582", "J99216583"),
    ("FI", "131052-308T", "131052-308U"), ("FI", "131052A308T", "131052A308U"), ("FI", "2077474-0", "2077474-1"),
    ("FR", "2 95 10 99 126 111 93", "2 95 10 99 126 111 99"), ("FR", "253072B07300470", "253072C07300470"),
    ("FR", "3023217600053", "3023217600054"), ("GR", "01013099997", "01013099999"),
    ("HU", "12892312-2-42", "12892313-2-42"), ("IE", "6433435F", "6433435E"), ("IE", "6433435OA", "6433435OB"),
    ("IT", "RCCMNL83S18D969H", "RCCMNL83S18D969A"), ("LT", "33309240064", "33309240164"),
    ("LU", "1991010234557", "1991010234556"), ("LV", "161175-19997", "161375-19997"),
    ("PL", "44051401359", "44051401358"), ("PL", "856-734-62-15", "856-734-62-16"),
    ("PT", "00000000 0 ZZ4", "00000000 0 ZZ3"), ("RO", "1630615123457", "1630615123458"),
    ("SE", "880320-0016", "880320-0018"), ("SE", "19880320-0016", "19880320-0018"),
    ("SE", "880320+0016", "880320+0018"), ("SI", "0101006500006", "0101006500007"),
    ("GB", "AB123456C", "QQ123456C"), ("GB", "943 476 5870", "943 476 5871"),
    ("GB", "AB 12 34 56 C", "BG 12 34 56 C"), ("US", "536-90-4399", "666-00-0000"),
    ("US", "912-90-3456", "912-93-45678"), ("CH", "756.9217.0769.85", "756.9217.0769.84"),
    ("CH", "CHE-100.155.212", "CHE-100.155.213"), ("NO", "151086 95088", "151086 95077"),
    ("IS", "120174-3399", "320174-3399"), ("DE", "DE 136 695 976", "DE 136 695 978"),
    ("AT", "ATU13585627", "ATU13585626"), ("NL", "NL004495445B01", "NL004495445B02B"),
    ("FR", "FR 61 954 506 077", "FR 61 954 506 078"), ("GB", "GB 980 7806 84", "GB 980 7806 85"),
    ("CY", "CY10259033P", "CY10259033Z"), ("MT", "MT11679112", "MT11679113"),
    ("SK", "SK2022749619", "SK2022749618"), ("PL", "4405\u200b1401359", "4405\u200b1401358"),
    ("PL", "４４０５１４０１３５９", "４４０５１４０１３５８"),
    ("FR", "2\u00a095\u00a010\u202f99\u2009126 111 93", "2\u00a095\u00a010\u202f99\u2009126 111 99"),
]  # fmt: skip

# A check digit that every tenth number passes: found in the country's language or beside a word for it.
LIKELY = [
    ("de", "59-119/9013", "Steuernummer"), ("de", "1237 010180", "SVNR"), ("el", "10259033P", "ΑΦΜ"),
    ("el", "094259216", "ΑΦΜ"), ("fr", "404833048", "SIREN"), ("fr", "73282932000074", "SIRET"),
    ("hr", "33392005961", "OIB"), ("it", "00743110157", "P.IVA"), ("nl", "111222333", "BSN"),
    ("pl", "8567346215", "NIP"), ("pl", "192598184", "REGON"), ("pt", "501964843", "NIF"),
    ("sl", "50223054", "davčna"), ("sv", "8803200016", "personnummer"), ("da", "2110625629", "CPR"),
    ("bg", "7111042925", "ЕГН"),
]  # fmt: skip

# No check digit, or one that is not asked for: only beside a word.
SAID = [
    ("My social security number is {}", "536904399"), ("Steuernummer {}", "181/815/08155"),
    ("UTR {}", "1955839661"), ("EIN {}", "91-1144442"), ("PTIN {}", "P01234568"), ("CUI {}", "18547290"),
    ("NISS {}", "12345678901"), ("número de la Seguridad Social {}", "281234567840"),
    ("adóazonosító jel {}", "8123456789"), ("TAJ szám {}", "123 456 788"), ("karta tal-identità {}", "0123456M"),
    ("national insurance {}", "AB123456"), ("numéro de sécu {}", "2 95 10 99 126 111"),
    ("rodné číslo {}", "530101001"),
]  # fmt: skip

DOCUMENTS = [
    ("My passport number is {}.", "C01X00T47", "PASSPORT"), ("Reisepass Nr. {}", "C01X00T47", "PASSPORT"),
    ("passeport n° {}", "12AB34567", "PASSPORT"), ("pasaporte {}", "AAA123456", "PASSPORT"),
    ("paszport {}", "ZS 0000177", "PASSPORT"),
    ("my driver's license number is {}", "2270-66-1551", "DRIVERS_LICENSE"),
    ("Führerschein {}", "B072RRE2I55", "DRIVERS_LICENSE"),
    ("driving licence {}", "MORGA657054SM9IJ", "DRIVERS_LICENSE"),
    ("Personalausweis: {}", "L01X00T471", "GOVERNMENT_ID"),
    ("numer dowodu osobistego {}", "ABS 123456", "GOVERNMENT_ID"),
]  # fmt: skip


def types(text: str, number: str, language: str) -> set[str]:
    """Return the types of the detections that match the number exactly."""
    start = text.index(number)
    return {
        one.type for one in Validators().find(text, language) if (one.start, one.end) == (start, start + len(number))
    }


def national(text: str, language: str) -> list[str]:
    """Return the detected national numbers."""
    return [text[each.start : each.end] for each in Validators().find(text, language) if each.type in NATIONAL]


@pytest.mark.parametrize(("country", "valid", "invalid"), CERTAIN, ids=[f"{row[0]} {row[1]}" for row in CERTAIN])
def test_a_number_with_a_unique_form_is_found_in_any_language(country: str, valid: str, invalid: str) -> None:
    for language in ("en", "ja"):
        assert types(f"so ({valid}), as said", valid, language) & NATIONAL
        assert invalid not in national(f"so ({invalid}), as said", language)


@pytest.mark.parametrize(("language", "number", "word"), LIKELY, ids=[row[1] for row in LIKELY])
def test_a_number_with_a_common_form_is_found_in_its_language_or_near_its_word(
    language: str, number: str, word: str
) -> None:
    assert types(f"– {number} –", number, language) & NATIONAL or "-" in number
    assert types(f"{word}: {number}", number, "ja") & NATIONAL


@pytest.mark.parametrize("number", ["404833048", "111222333", "501964843", "33392005961", "8567346215"])
def test_a_number_with_a_common_form_is_not_found_elsewhere_without_a_word(number: str) -> None:
    assert national(f"the order {number} was late", "ja") == []


def test_part_of_a_longer_row_of_digits_is_not_found() -> None:
    assert national("111222333", "nl") == ["111222333"]
    assert national("44 111 222 333 44", "nl") == []


@pytest.mark.parametrize(("sentence", "number"), SAID, ids=[row[1] for row in SAID])
def test_a_number_without_a_check_digit_is_found_only_near_a_word(sentence: str, number: str) -> None:
    assert types(sentence.format(number), number, "en") & NATIONAL
    assert national(f"the order {number} was late", "ja") == []


@pytest.mark.parametrize(("sentence", "number", "type"), DOCUMENTS, ids=[row[0] for row in DOCUMENTS])
def test_a_document_number_is_found_after_its_word(sentence: str, number: str, type: str) -> None:
    assert type in types(sentence.format(number), number, "en")
    assert type not in types(f"the order {number} was late", number, "en")


def test_a_distant_word_has_no_effect() -> None:
    assert national("BSN" + " and so on" * 8 + " 123456782", "ja") == []
