"""What hides a value from a reader that takes a text as it is written: words run together, entities, other separators.

For each: the value is masked, what is masked is exactly the value or the word around it, and the original comes back.
"""

import html
import re
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sprat_policy import PatternRule, PrivacyPolicy, TermRule
from sprat_privacy import Detection, Detector, MaskedText, NameDetector, mask, read_names, restore_text
from sprat_privacy.detectors.labels import labels_to_keep
from sprat_privacy.detectors.terms import Terms
from sprat_privacy.detectors.validators.suite import Validators
from sprat_privacy.normalisation import seen
from sprat_privacy.readings import decode_references, readings

POLICY = PrivacyPolicy(
    terms=(
        TermRule(type="PROJECT", words=("Projekt Adler", "BlueHeron", "Œuvre d'or", "IT")),
        TermRule(type="CLIENT", words=("Müller & Söhne", "ACME")),
    ),
    patterns=(
        PatternRule(type="CUSTOMER", pattern="K-[0-9]{6}", ignore_case=True),
        PatternRule(type="CASE", pattern="AZ[0-9]{4}"),
    ),
)
IBAN = "DE89370400440532013000"


def masked(text: str, language: str = "de") -> MaskedText:
    made = mask(text, language, [Validators(), Terms.of(POLICY)], validators_alone=["de", "en"])
    assert seen(restore_text(made.text, made)).text == seen(text).text
    assert made.unmasked() == text
    return made


def values(text: str, type: str) -> list[str]:
    made = masked(text)
    return [made.value(span) for span in made.spans if span.type == type]


@pytest.mark.parametrize(
    "value",
    [
        "Projekt-Adler",
        "projekt_adler",
        "ProjektAdler",
        "projektAdler",
        "PROJEKT ADLER",
        "Projekt\u00a0Adler",
        "Projekt\u202fAdler",
        "Projekt\u2011Adler",
        "Projekt – Adler",
        "Projekt\u00ad-\u200bAdler",
        "Projekt\u3164Adler",
        "Pro\u2065jekt\u2800Adler",
        "Projekt\x01 Adler",
        "Projekt\n\t Adler",
        "Projekt-Adlers",
        "ProjektAdlern",
        "Projekt&nbsp;Adler",
        "Projekt&#45;Adler",
        "Projekt&nbspAdler",
        "&#00000080;rojekt Adler",
        "K&#00000045;123456",
        "blue heron",
        "BLUE_HERON",
        "BlueHerons",
        "blueheron",
        "Müller&Söhne",
        "müller-&-söhne",
        "M&uuml;ller &amp; S&ouml;hne",
        "k-123456",
        "ACMEs",
    ],
)
def test_a_term_or_a_pattern_is_masked_however_it_is_joined(value: str) -> None:
    made = masked(f"Zu ({value}): wann?")
    assert [made.value(span) for span in made.spans] == [value]
    assert made.text in {"Zu ([PROJECT_1]): wann?", "Zu ([CLIENT_1]): wann?", "Zu ([CUSTOMER_1]): wann?"}


@pytest.mark.parametrize(
    "value", ["meinProjektAdlerPlan", "projekt_adler_plan", "AcmeBank", "ACME2026", "HTTPAcme", "itTeam"]
)
def test_a_term_in_a_name_of_several_words_is_masked(value: str) -> None:
    made = masked(f"Datei {value}.")
    assert "dler" not in made.text
    assert "cme" not in made.text.lower()
    assert made.spans


@pytest.mark.parametrize(
    "text",
    [
        "Acmeville",
        "projektadler",
        "Projekt Adlerhorst",
        "Pro-jekt Adler",
        "ITs",
        "mit",
        "it's bitten",
        "az1234",
        "Blue Her-on",
    ],
)
def test_part_of_another_word_is_no_term(text: str) -> None:
    made = masked(text)
    assert [made.value(span) for span in made.spans if "bitten" not in text] == []
    assert "bitten" in made.text or made.text == text


@pytest.mark.parametrize(
    ("text", "type", "value"),
    [
        (f"ref{IBAN} bitte", "IBAN", f"ref{IBAN}"),
        (f"REF{IBAN}", "IBAN", f"REF{IBAN}"),
        (f"{IBAN}Danke", "IBAN", f"{IBAN}Danke"),
        ("kontoDE89 3704 0044 0532 0130 00bis", "IBAN", "kontoDE89 3704 0044 0532 0130 00bis"),
        ("iban_DE89-3704-0044-0532-0130-00.", "IBAN", "DE89-3704-0044-0532-0130-00"),
        ("Karte4111111111111111", "CARD", "Karte4111111111111111"),
        ("VISA4111 1111 1111 1111bis 12/28", "CARD", "VISA4111 1111 1111 1111bis"),
        ("mailanna@example.com", "EMAIL", "mailanna@example.com"),
        ("anna@example.comDanke", "EMAIL", "anna@example.comDanke"),
        ("Tel+49 30 901820", "PHONE", "+49 30 901820"),
        ("mobil0170/1234567", "PHONE", "mobil0170/1234567"),
        ("01701234567abends", "PHONE", "01701234567abends"),
        ("Steuernummer12345678995", "TAX_ID", None),
    ],
)  # fmt: skip
def test_a_value_that_letters_touch_is_masked(text: str, type: str, value: str | None) -> None:
    made = masked(text)
    if value is None:
        assert not any(character.isdigit() for character in made.text.replace(f"[{type}_1]", "")), made.text
    else:
        assert [made.value(span) for span in made.spans] == [value]
        assert made.spans[0].type == type


@pytest.mark.parametrize(
    "text",
    [
        "build a1b2c3d4e5f60718293a4b5c6d7e8f90",
        "550e8400-e29b-41d4-a716-446655440000",
        "AB1234567",
        "ABDE88370400440532013000",
        "model GPT4 in Q3 2026, item A4711",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    ],
)
def test_codes_are_no_glued_values(text: str) -> None:
    assert masked(text, "en").text == text


@pytest.mark.parametrize(
    "sign", ["&#64;", "&#x40;", "&#X40;", "&commat;", "&#64", "&amp;#64;", "&#38;#64;", "&#x26;commat;", "&amp;commat;"]
)
def test_an_address_with_an_entity_is_masked(sign: str) -> None:
    made = masked(f"Von anna{sign}example&period;com an uns")
    assert made.text == "Von [EMAIL_1] an uns"
    assert made.counts == {"EMAIL": 1}


@pytest.mark.parametrize(
    "text",
    [
        "DE89&nbsp;3704&nbsp;0044&nbsp;0532&nbsp;0130&nbsp;00",
        "DE89&#160;3704&#160;0044&#160;0532&#160;0130&#160;00",
        "DE89&#8203;3704&#8203;0044&#8203;0532&#8203;0130&#8203;00",
        "&#68;&#69;89370400440532013000",
        "DE89&nbsp3704&#00000160;0044&#x0000000a0;0532&#000000000000160;0130&nbsp00",
        "DE89&amp;nbsp;3704 0044 0532 0130 00",
    ],
)
def test_a_number_with_entities_is_masked(text: str) -> None:
    made = masked(f"x {text} 👍🏽 y")
    assert made.text == "x [IBAN_1] 👍🏽 y"
    assert (made.spans[0].start, made.spans[0].end) == (2, 2 + len(text)), "offsets are code points of the original"


@pytest.mark.parametrize(
    "text", ["AT&T and R&D;", "a &; b &# c &#; d", "&unknown; &#xD800; &#0;", "x?a=1&b=2&copy=3", "&amp;amp;", "&&#64"]
)
def test_what_is_no_entity_or_hides_nothing_changes_nothing(text: str) -> None:
    assert masked(text).text == text


def tagged(value: str) -> str:
    """Return it in Unicode's tag characters, which nothing is drawn for and large models read."""
    return "".join(chr(0xE0000 + ord(character)) for character in value)


NEGATIVE = str.maketrans("0123456789DE", "⓿❶❷❸❹❺❻❼❽❾🅓🅴")


@pytest.mark.parametrize(
    "value", [IBAN, "anna@example.com", "4111111111111111", "+49 30 901820", "Anna Schmidt", "password=hunter2"]
)
def test_what_nobody_sees_does_not_leave(value: str) -> None:
    text = f"Wann kommt\u00ad mein\u2065 Paket{tagged(value)}?\u200b{tagged(value)} 🏴\U000e0067\U000e007f"
    made = masked(text)
    assert made.text == "Wann kommt mein Paket? 🏴"
    assert masked(f"a{tagged('x')}b{IBAN[:9]}{tagged('x')}{IBAN[9:]}c").text == "[IBAN_1]"
    policy = PrivacyPolicy()
    assert labels_to_keep((f"refund{tagged(value)}",), policy) == (() if value == "Anna Schmidt" else (1,))


@pytest.mark.parametrize(
    "value",
    [
        IBAN.translate(NEGATIVE),
        "DE89 3704 0044 0532 0130 00".translate(NEGATIVE),
        "4111111111111111".translate(NEGATIVE),
        "0170 1234567".translate(NEGATIVE),
        "⓸⓵⓵⓵⓵⓵⓵⓵🄌➊➊➊➊➊➊➊".replace("🄌", "➀"),
        "anna%40example.com",
        "anna%2540example%2Ecom",
        "j%C3%BCrgen%40example.com",
        "j%FCrgen%40example.com",
        "DE89%203704%200044%200532%200130%2000",
        "anna\\u0040example.com",
        "anna\\\\u0040example\\x2ecom",
        "anna%u0040example.com",
        "anna\\u{40}example.com",
        "anna&#92;u0040example.com",
        "\\U00000044E89370400440532013000",
        "DE89🙂3704🙂0044🙂0532🙂0130🙂00",
        "4111 👍🏽 1111 ➡️ 1111 👩‍💻 1111",
        "0170👍1234567",
        "Projekt👍Adler",
        "anna(at)example.de",
        "a(at)b.de",
        "anna(a)example.de",
        "anna (a) example (dot) de",
        "anna [ÄT] mail.example [Punkt] de",
        "anna {at} example dot co dot uk",
        "anna at example dot com",
        "null eins sieben null eins zwei drei vier fünf sechs sieben",
        "vier, eins, eins, eins, eins, eins, eins, eins, eins, eins, eins, eins, eins, eins, eins, eins",
        "plus four nine three oh nine oh one eight two oh",
        "plus vier neun drei null neun null 1 8 2 0",
        "plus four four two zero seven nine four six zero nine double five",
    ],
)
def test_a_value_that_a_large_model_reads_is_masked(value: str) -> None:
    made = masked(f"Bitte&#58;&nbsp; {value}; danke")
    assert re.fullmatch(r"Bitte&#58;&nbsp; \[[A-Z_]+_1\]; danke", made.text)
    assert (made.spans[0].start, made.spans[0].end) == (17, 17 + len(value)), "offsets are those of the original"


CARD_IN_WORDS = " ".join(["four", *["one"] * 15])


@pytest.mark.parametrize(
    "value",
    [
        "anna(\u200bat)example.de",
        "anna a\u200bt example do\u200bt com",
        "anna%\u200b40example.com",
        "anna%4\u00ad0example.com",
        "anna\\u\u200b0040example.com",
        "anna&#\u200b64;example.com",
        "anna&\u2060amp;#64\ufe0f;example.com",
        CARD_IN_WORDS.replace("one", "o\u200bne"),
        CARD_IN_WORDS.replace("our", "o\u00adur").replace("one", "o\u00adne"),
        CARD_IN_WORDS.replace("one", "o&shy;ne"),
        "".join(f"%\u200b{ord(character):02X}" for character in IBAN),
    ],
)
def test_an_escape_or_a_word_with_an_invisible_character_in_it_is_read_as_it_leaves(value: str) -> None:
    made = masked(f"Von\u200b {value} bitte")
    assert re.fullmatch(r"Von \[[A-Z_]+_1\] bitte", made.text)
    assert (made.spans[0].start, made.spans[0].end) == (5, 5 + len(value)), "offsets are those of the original"


class Reader:
    """A tagger that remembers what it has read, and finds `Anna Schmidt`."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def find_many(self, texts: Sequence[str]) -> list[list[Detection]]:
        self.read += texts
        return [
            [Detection(*match.span(), "PERSON", "reader") for match in re.finditer("Anna \u200b*Schmidt", text)]
            for text in texts
        ]


@pytest.mark.parametrize(
    "text",
    [
        "I lost my card😀 and thanks👍🏽 a lot",
        "Berlin→Paris, 1→2",
        "see (a) and (b), or (at) home",
        "vu❤️",
        "so\u00adft and zero\u200bwidth",
        "🇩🇪 and🇫🇷",
        "mail x (at) y.de or x at y dot de",
    ],
)
def test_the_tagger_reads_a_text_once_where_no_letter_or_digit_is_spelled_otherwise(text: str) -> None:
    reader = Reader()
    detectors: list[Detector] = [NameDetector(reader, {"en"}), Validators()]
    mask(text, "en", detectors)
    assert len(reader.read) == 1
    for each in read_names([(text, "en"), (f"{text}!", "en")], detectors):
        mask(text, "en", each)
    assert len(reader.read) == 4, "two of the batch, one for the other text"


@pytest.mark.parametrize(
    "name", ["Anna😀Schmidt", "Anna→Schmidt", "Anna👍Schmidt❤", "Anna🇩🇪Schmidt", "Anna👍🇩🇪Schmidt", "Anna%20Schmidt"]
)
def test_the_tagger_reads_a_name_whose_words_a_sign_joins(name: str) -> None:
    made = mask(f"Call {name} now", "en", [NameDetector(Reader(), {"en"})])
    assert [made.value(span).strip("❤") for span in made.spans] == [name.strip("❤")]


def test_a_double_digit_is_two() -> None:
    assert masked(f"four {'double one ' * 6}triple one").counts == {"CARD": 1}


@pytest.mark.parametrize("value", ["abc👍def%20ghi", "https://example.com/reset/👍a1"])
def test_what_is_found_in_the_text_as_it_is_written_is_masked_whole(value: str) -> None:
    made = masked(f"password={value}" if "://" not in value else value)
    assert [made.value(span) for span in made.spans] == [value]


@pytest.mark.parametrize(
    "text",
    [
        "100% of 20%, C:\\users\\uwe, 5%25, \\u00zz, \\udead",
        "One, two, three, four, five, six, seven: go! Danke👍 Bis eins. Wir sind eins zwei drei vier",
        "(a) at noon (at) the dot; meet at the red dot com",
        "I look at booking dot com, and ordered at example dot com",
        "Clause (a) of this: see (a) e.g. x, or both(a)",
        "❶ Rechnung ❷ Mahnung 🇩🇪 → ok",
    ],
)
def test_what_hides_nothing_stays(text: str) -> None:
    assert masked(text).text == text


PIECES = st.sampled_from(
    ["anna", "&#64;", "&commat;", "@", "example.com", "&nbsp;", "&amp;", "&amp;#64;", "&", ";", "#", " ", "ü", "&uuml;",
     "👍", "&#x1F44D;", "ref", IBAN, "Projekt", "Adler", "-", "_", "s", "&#0;", "&lt;", "tel", "0170 1234567",
     "+49 30 901820", "K-123456", "k-123456", "4111111111111111",
     "\u200b", "\u0301", "ACME", "[PERSON_1]", "00:1b:44:11:3a:b7", "%40", "%", "\\u0040", "\\", "❹", "(at)",
     " at ", " dot ", "null ", "eins ", "plus ", "double ", *map(tagged, ("1", "a@b.de"))]
)  # fmt: skip


@given(st.lists(PIECES, max_size=12).map("".join))
def test_whatever_is_masked_is_restored_exactly(text: str) -> None:
    if not text:
        return
    made = masked(text)
    assert made.unmasked() == text
    assert all(0 <= span.start < span.end <= len(text) for span in made.spans)


@given(st.text(max_size=40))
def test_a_decoded_text_is_what_a_browser_shows_and_knows_where_it_comes_from(text: str) -> None:
    written = html.escape(text)
    shown = decode_references(written)
    if shown is None:
        assert html.escape(text) == text or "&" not in written
        return
    for at in range(len(shown.text)):
        start, end = shown.original(at, at + 1)
        assert html.unescape(written[start:end])[:1] in {shown.text[at], "&"}
    starts = [shown.original(at, at + 1)[0] for at in range(len(shown.text))]
    assert starts == sorted(starts)


@given(
    st.lists(
        st.one_of(
            PIECES,
            st.sampled_from(["Mü", "Mu\u0308", "ller", "\u0323", "&", "Söhne", "œuvre", "D’or", "Ⅰ", "١", "ß", "1"]),
        ),
        max_size=10,
    ).map("".join)
)
def test_no_term_is_passed_over_because_its_first_letters_seem_not_to_be_there(text: str) -> None:
    rules = (TermRule(type="A", words=("Müller & Söhne", "Œuvre d’or", "١-Adler", "ßA", "Ⅰ", "Projekt Adler")),)
    quick = Terms.of(PrivacyPolicy(terms=rules))
    assert quick.beginnings
    assert quick.find(text, "de") == replace(quick, beginnings=None).find(text, "de")


@given(st.lists(PIECES, max_size=12).map("".join))
def test_a_reading_knows_where_each_character_comes_from(text: str) -> None:
    for reading in readings(text):
        places = [reading.original(at, at + 1) for at in range(len(reading.text))]
        assert all(0 <= start < end <= len(text) for start, end in places)
        assert places == sorted(places)


UNSEEN = st.sampled_from(
    ["\u200b", "\u00ad", "\ufe0f", "\u2060", "at", "%", "40", "\\u", "0040", "&#", "64;", "one ", "(a", ")"]
)


@given(st.lists(st.one_of(PIECES, UNSEEN), max_size=14).map("".join))
def test_what_is_found_in_the_text_that_is_seen_is_masked(text: str) -> None:
    visible = seen(text).text
    if not visible:
        return
    kept = masked(text)
    places = {place for span in kept.spans for place in range(span.start, span.end)}
    origins = seen(text).origins
    for span in masked(visible).spans:
        assert {origins[place] for place in range(span.start, span.end)} <= places


@given(
    st.sampled_from(
        [
            "anna%40example.com",
            "anna%2540example%2Ecom",
            "anna&amp;#64;example.com",
            "anna\\u0040example.com",
            "anna(at)example.de",
            "anna (a) example (dot) de",
            "anna at example dot com",
            "4111👍1111👍1111👍1111",
            IBAN.translate(NEGATIVE),
            CARD_IN_WORDS,
        ]
    ),
    st.lists(st.tuples(st.integers(0, 80), st.sampled_from("\u200b\u00ad\u2060\ufe0f\U000e0041")), max_size=8),
)
def test_invisible_characters_anywhere_hide_nothing_and_masking_again_finds_nothing_more(
    value: str, unseen: list[tuple[int, str]]
) -> None:
    for place, character in unseen:
        value = value[:place] + character + value[place:]
    once = masked(f"Von {value} bitte").text
    assert re.fullmatch(r"Von \[[A-Z_]+_1\] bitte", once)
    assert masked(once).text == once
