import pytest

from sprat_translation.protected_tokens import (
    SYMBOLS,
    SubstitutedSentence,
    find_protected,
    is_kept,
    is_misread,
    restore,
    substitution_variants,
)
from support.speed import cpu_s
from support.translated_texts import protected_texts


def values(text):
    return [each.text for each in find_protected(text)]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("I paid $3.50 on Jan. 5, 2019.", ["$3.50", "5", "2019"]),
        ("It costs 1,000 euros or 30£", ["1,000 Euro", "30£"]),
        ("20 Dollars, 1 pound and 50 cents", ["20 Dollar", "1 Pfund", "50 Cent"]),
        ("1,000 of 2.000,50 at 10:30", ["1,000", "2.000,50", "10:30"]),
        ("See https://shop.example/a?b=1.", ["https://shop.example/a?b=1"]),
        ("(www.shop.example/a_(b))", ["www.shop.example/a_(b)"]),
        ("Mail anna.smith+x@mail.example, please", ["anna.smith+x@mail.example"]),
        ("Hi {0}, {name}, {{ user }} and ${total}", ["{0}", "{name}", "{{ user }}", "${total}"]),
        ("[PERSON_1] of [ORG_12]", ["[PERSON_1]", "[ORG_12]"]),
        ("%s owes %d or %(sum)s or %1$s", ["%s", "%d", "%(sum)s", "%1$s"]),
        ("100% sure", ["100"]),
        ("<b>now</b><br/> &amp; then", ["<b>", "</b>", "<br/>", "&amp;"]),
        ("A4, MP3 and v2.0.1", ["A4", "MP3", "v2.0.1"]),
        ("order AB-1234, five-5", ["AB-1234", "5"]),
        ("call +49 30 901820", ["+49 30 901820"]),
        ("at 7:30 PM or 8pm", ["7:30 PM", "8pm"]),
        ("the 3rd, in the 1990s", ["3", "1990"]),
        ("well 😀👍🏽 done", ["😀👍🏽"]),
        ("⟦3⟧ stands there already", ["⟦3⟧"]),
        ("nothing of the kind, e.g. [this] or a < b", []),
    ],
)
def test_protected_tokens_are_found(text, wanted):
    assert values(text) == wanted


def test_substituting_and_restoring_return_the_sentence():
    for text, _ in protected_texts(500):
        for variant in substitution_variants(text):
            assert restore(variant.text, variant) == text
            assert not any(value in variant.text for value in variant.values if len(value) > 3)


def test_a_sentence_without_protected_tokens_has_one_variant():
    assert list(substitution_variants("hello there")) == [SubstitutedSentence("hello there")]


def test_several_tokens_have_four_variants_and_a_single_one_three():
    several = [variant.text for variant in substitution_variants("Pay 500 by 3/4")]
    assert several == ["Pay ⟦0⟧ by ⟦1⟧", "Pay ⟦0⟧ by 37", "Pay Tom by Anna", "Pay 500 by 3/4"]
    assert [variant.text for variant in substitution_variants("Hello {0}")] == ["Hello ⟦0⟧", "Hello Tom", "Hello {0}"]


def test_a_substitute_that_occurs_in_the_sentence_is_not_used():
    (_, numbers, names, _) = substitution_variants("Tom paid 375 for {0}")
    assert numbers.text == "Tom paid ⟦0⟧ for 58"
    assert names.text == "Tom paid Anna for Peter"


def test_a_symbol_in_the_text_is_itself_substituted():
    variant = next(substitution_variants("⟦0⟧ costs 5"))
    assert variant.values == ("⟦0⟧", "5")
    assert restore("⟦1⟧ kostet ⟦0⟧", variant) == "5 kostet ⟦0⟧"


@pytest.mark.parametrize("written", ["", "⟦0⟧", "⟦0⟧ ⟦0⟧", "⟦0⟧ ⟦2⟧", "⟦0⟧ ⟦1⟧ ⟦2⟧", "⟦0⟧ ⟦1⟧ ⟦1⟧"])
def test_a_missing_repeated_or_invented_symbol_is_detected(written):
    assert restore(written, SubstitutedSentence("", ("1", "2"), ("⟦0⟧", "⟦1⟧"))) is None


@pytest.mark.parametrize(("written", "wanted"), [("37 Äpfel", "500 Äpfel"), ("Zimmer 370", None), ("37 37", None)])
def test_a_number_is_restored_only_as_a_whole(written, wanted):
    assert restore(written, SubstitutedSentence("", ("500",), ("37",))) == wanted


@pytest.mark.parametrize(("written", "wanted"), [("Hallo Tom,", "Hallo {0},"), ("Toms Paket", None)])
def test_a_name_is_restored_only_as_a_whole(written, wanted):
    assert restore(written, SubstitutedSentence("", ("{0}",), ("Tom",))) == wanted


def test_tokens_beyond_the_symbols_are_left_to_the_network_and_still_compared():
    text = " ".join(f"number {place + 20}" for place in range(len(SYMBOLS) + 3))
    variant = next(substitution_variants(text))
    assert len(variant.values) == len(SYMBOLS)
    assert "number 32" in variant.text
    assert is_kept(text, text)
    assert not is_kept(text, text.replace("32", "33"))


@pytest.mark.parametrize(
    ("source", "translation", "kept"),
    [
        ("I have 5 cats", "Ich habe 5 Katzen", True),
        ("I have 5 cats", "Ich habe fünf Katzen", False),
        ("I have 5 cats", "Ich habe 5 5 Katzen", False),
        ("I have cats", "Ich habe 2 Katzen", False),
        ("the 3rd of May", "der 3. Mai", True),
        ("it costs 1,000", "es kostet 1.000", False),
        ("a 2013 model of type 1", "ein 2013er Modell vom Typ-1", True),
        ("see 11 and 1", "siehe 11 und 11", False),
        ("{0} of {1}", "{1} von {0}", True),
        ("hello", "hallo {name}", False),
        ("{0} of {1}", "{0} von {0}", False),
        ("write to a@b.example.", "Schreib an a@b.example!", True),
        ("it costs 20 euros", "es kostet 20 Euro", True),
        ("it costs 20 euros", "es kostet 20", False),
        ("pay in euros", "zahl in Euro", True),
        ("pay in dollars", "zahl bar", False),
        ("pay cash", "zahl in Dollar", False),
        ("it costs €20", "es kostet 20", False),
        ("it is European", "es ist europäisch", True),
        ("a pound of apples", "ein Pfund Äpfel", True),
        ("Łódź is far", "\ufffd\ufffddź ist weit", False),
    ],
)
def test_a_translation_must_keep_the_protected_tokens(source, translation, kept):
    assert is_kept(source, translation) is kept


@pytest.mark.parametrize(
    ("source", "misread"),
    [
        ("It costs 1,000 euros.", True),
        ("Please pay $12,500.00 now", True),
        ("about 1.500 people", True),
        ("It opens at 9 am.", True),
        ("Come at 7:30 p.m.", True),
        ("It costs 999 euros.", False),
        ("It weighs 3.5 or 3,25 kg.", False),
        ("It takes 0.125 seconds.", False),
        ("In 2019, 500 came.", False),
        ("The address is 192.168.100.200, version 2.10.123", False),
        ("It opens at 21:30.", False),
        ("I am 9.", False),
    ],
)
def test_notations_that_a_german_reader_misunderstands_are_detected(source, misread):
    assert is_misread(source) is misread


@pytest.mark.parametrize(
    "text",
    [
        "1" * 20_000,
        "a1" * 10_000,
        "1." * 10_000,
        "a@" * 10_000,
        "<a" * 10_000,
        "{" * 20_000,
        "%(" * 10_000,
        "[A_" * 6_000,
        "+1 " * 6_000,
        "(01 2" * 4_000,
        "x-1" * 6_000,
        "&a" * 10_000,
        "@a" * 10_000,
        "https://" * 2_500,
        "1.1" * 6_000,
        "1,111" * 4_000,
        "€1" * 10_000,
    ],
    ids=lambda text: text[:8],
)
def test_finding_takes_no_longer_for_odd_texts(text):
    assert cpu_s(lambda: list(find_protected(text))) < 1
    assert cpu_s(lambda: is_misread(text)) < 1
