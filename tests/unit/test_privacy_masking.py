"""What leaves of a text: placeholders for every masked value, wherever it stands; and what must not leave at all."""

import pickle
from inspect import ismodule

import pytest

import sprat_privacy
from sprat_privacy import Detection, MaskedText, NameDetector, NotVerified, mask, masking, resolve
from sprat_privacy.detectors.validators.suite import Validators
from support.detectors import Broken, Spans, Words


def masked(text: str, **types: str) -> MaskedText:
    """Mask words, given as type=word or type=(word, …)."""
    words = {word: type for type, given in types.items() for word in ([given] if isinstance(given, str) else given)}
    return mask(text, "en", [Words(words)])


def test_a_text_without_finds_leaves_as_it_is() -> None:
    nothing = mask("Where is my card?", "en", [Words({}), Validators()])
    assert (nothing.text, nothing.counts, nothing.spans) == ("Where is my card?", {}, ())


def test_placeholders_are_typed_and_numbered_by_value() -> None:
    text = "Anna met Ben in Rome. Ben left Anna."
    assert masked(text, PERSON=["Anna", "Ben"], LOCATION="Rome").text == (
        "[PERSON_1] met [PERSON_2] in [LOCATION_1]. [PERSON_2] left [PERSON_1]."
    )


@pytest.mark.parametrize(
    ("text", "word", "type", "left"),
    [
        ("Anna Schmidt, ANNA SCHMIDT, anna-schmidt", "Anna Schmidt", "PERSON", "[PERSON_1], [PERSON_1], [PERSON_1]"),
        ("Zoë and ZOË and Zoe\u0308", "Zoë", "PERSON", "[PERSON_1] and [PERSON_1] and Zoe\u0308"),
        ("Will, WILL and will", "Will", "PERSON", "[PERSON_1], [PERSON_1] and will"),
        ("DE89 3704, de893704 or DE-89-37-04", "DE89 3704", "IBAN", "[IBAN_1], [IBAN_1] or [IBAN_1]"),
        ("030 1234 or 030/1234 or ０３０１２３４", "030 1234", "PHONE", "[PHONE_1] or [PHONE_1] or [PHONE_1]"),
        ("a.b@c.de, A.B@C.DE, ab@c.de", "a.b@c.de", "EMAIL", "[EMAIL_1], [EMAIL_1], ab@c.de"),
        ("abC1, ABC1, abC1", "abC1", "API_KEY", "[API_KEY_1], ABC1, [API_KEY_1]"),
        ("12-3 is not 1-23", "12-3", "BUILDING_NUMBER", "[BUILDING_NUMBER_1] is not 1-23"),
        ("5, 15, 5a and 5", "5", "BUILDING_NUMBER", "[BUILDING_NUMBER_1], 15, 5a and [BUILDING_NUMBER_1]"),
        ("Ann, Anna, Joann and Ann's", "Ann", "PERSON", "[PERSON_1], Anna, Joann and [PERSON_1]'s"),
        ("小明说小明好", "小明", "PERSON", "[PERSON_1]说[PERSON_1]好"),
        ("An\u200bna, Anna", "Anna", "PERSON", "An\u200bna, [PERSON_1]"),
    ],
)
def test_the_same_value_is_masked_wherever_it_stands(text: str, word: str, type: str, left: str) -> None:
    found = mask(text, "en", [Words({word: type})])
    assert found.text == left
    assert found.unmasked() == text


def test_two_values_that_differ_have_two_numbers() -> None:
    assert (
        masked("12-3 and 1-23", BUILDING_NUMBER=["12-3", "1-23"]).text == "[BUILDING_NUMBER_1] and [BUILDING_NUMBER_2]"
    )


def test_one_value_of_two_types_has_one_placeholder_and_each_place_its_type() -> None:
    text = "Jordan went to Jordan"
    both = mask(text, "en", [Spans([(0, 6, "PERSON"), (15, 21, "LOCATION")])])
    assert len({span.placeholder for span in both.spans}) == 1


@pytest.mark.parametrize(
    "standing",
    ["[PERSON_1]", "[person_1]", "[Person 1]", "[ PERSON-1 ]", "［ＰＥＲＳＯＮ＿１］", "[PERSON_1", "x[PERSON_1]]"],
)
def test_a_placeholder_that_stands_in_the_text_is_not_given_again(standing: str) -> None:
    text = f"{standing} is what Anna wrote"
    found = masked(text, PERSON="Anna")
    (span,) = found.spans
    assert span.placeholder not in text
    assert found.text.count(span.placeholder) == 1
    assert found.unmasked() == text


def test_a_find_inside_a_word_is_widened_to_it() -> None:
    assert mask("Annas Auto", "en", [Spans([(0, 4, "PERSON")])]).text == "[PERSON_1] Auto"
    assert mask("Jose\u0301s", "en", [Spans([(0, 4, "PERSON")])]).text == "[PERSON_1]"
    assert mask("👍🏽 ok", "en", [Spans([(0, 1, "EMOJI")])]).text == "[EMOJI_1] ok"


def test_white_space_around_a_find_stays() -> None:
    assert mask("so Anna  is", "en", [Spans([(2, 9, "PERSON"), (7, 9, "PERSON")])]).text == "so [PERSON_1]  is"


def test_of_overlapping_finds_the_longest_says_what_it_is_and_nothing_stays_outside() -> None:
    text = "Anna Schmidt-Meier AG"
    assert mask(text, "en", [Spans([(0, 18, "PERSON"), (13, 21, "ORG")])]).text == "[PERSON_1]"
    assert mask(text, "en", [Spans([(0, 4, "GIVEN"), (0, 12, "PERSON")])]).text.startswith("[PERSON_1]")


@pytest.mark.parametrize(
    ("found", "winner"),
    [
        ([Detection(0, 4, "PHONE", "a"), Detection(0, 4, "IBAN", "b")], "IBAN"),
        ([Detection(0, 4, "PHONE", "a", 0.9), Detection(0, 4, "IBAN", "b", 0.5)], "PHONE"),
        ([Detection(0, 4, "ZZZ", "a"), Detection(0, 4, "AAA", "b")], "AAA"),
        ([Detection(2, 6, "AAA", "a"), Detection(0, 4, "AAA", "b")], "AAA"),
        ([Detection(0, 5, "AAA", "a", 0.1), Detection(1, 5, "IBAN", "b")], "AAA"),
    ],
)
def test_ties_go_by_score_then_strength_then_place(found: list[Detection], winner: str) -> None:
    (one,) = resolve(found)
    assert one.type == winner
    assert resolve(reversed(found)) == [one]


def test_finds_that_touch_stay_two() -> None:
    assert [(one.start, one.end) for one in resolve([Detection(0, 2, "A", "a"), Detection(2, 4, "B", "a")])] == [
        (0, 2),
        (2, 4),
    ]


def test_counts_are_by_type() -> None:
    found = masked("Anna, Anna, Ben, Rome", PERSON=["Anna", "Ben"], LOCATION="Rome")
    assert found.counts == {"LOCATION": 1, "PERSON": 3}


def test_the_map_shows_no_value_and_stays_in_its_process() -> None:
    found = masked("My name is Anna", PERSON="Anna")
    for shown in (repr(found), str(found), f"{found.spans}", repr(found.spans[0])):
        assert "Anna" not in shown
    with pytest.raises(TypeError, match="stays in its process"):
        pickle.dumps(found)


def test_the_same_text_is_masked_the_same_way() -> None:
    text = "Anna, +44 20 7946 0958, DE89370400440532013000, anna@example.com"
    finders = [Words({"Anna": "PERSON"}), Validators()]
    assert mask(text, "en", finders) == mask(text, "en", finders)
    assert mask(text, "en", finders).text == "[PERSON_1], [PHONE_1], [IBAN_1], [EMAIL_1]"


def test_what_left_is_not_masked_again() -> None:
    finders = [Words({"Anna": "PERSON"}), Validators()]
    left = mask("Anna, +44 20 7946 0958, card 4111 1111 1111 1111; tax DE 136 695 976", "en", finders).text
    assert mask(left, "en", finders).text == left


@pytest.mark.parametrize("error", [RuntimeError, ValueError, MemoryError, KeyError])
def test_where_a_finder_fails_nothing_leaves_and_nothing_is_told(error: type[Exception]) -> None:
    with pytest.raises(NotVerified, match=f"the detector broken failed: {error.__name__}") as caught:
        mask("secret Anna", "en", [Words({}), Broken(error=error)])
    assert "Anna" not in str(caught.value)
    assert caught.value.code == "masking"
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    "span", [(-1, 2, "A"), (0, 9, "A"), (2, 2, "A"), (3, 2, "A"), (0, 2, "person"), (0, 2, "A]"), (0, 2, "")]
)
def test_a_find_that_cannot_be_is_a_failure(span: tuple[int, int, str]) -> None:
    with pytest.raises(NotVerified, match="the detector spans returned an impossible span"):
        mask("Anna", "en", [Spans([span])])


@pytest.mark.parametrize(
    ("language", "validators_alone", "leaves"),
    [
        ("en", (), True), ("en-GB", (), True), ("EN", (), True), ("de", (), False), ("de", ("de",), True),
        ("de-AT", ("de",), True), ("", (), False), ("english", (), False), ("fi", ("de",), False),
    ],
)  # fmt: skip
def test_a_language_without_a_finder_of_names_needs_the_policys_leave(
    language: str, validators_alone: tuple[str, ...], *, leaves: bool
) -> None:
    finders = [NameDetector(tagger=_Tagger(), languages=frozenset({"en"})), Validators()]
    if leaves:
        assert "[EMAIL_1]" in mask("anna@example.com", language, finders, validators_alone=validators_alone).text
    else:
        with pytest.raises(NotVerified, match="no detector of names covers the text's language"):
            mask("anna@example.com", language, finders, validators_alone=validators_alone)


def test_validators_without_a_tagger_vouch_for_no_text() -> None:
    with pytest.raises(NotVerified):
        mask("Anna", "en", [Validators()])


def test_all_that_is_exported_is_there() -> None:
    exported = {name for name, value in vars(sprat_privacy).items() if name[0] != "_" and not ismodule(value)}
    assert set(sprat_privacy.__all__) == exported


def test_no_finder_at_all_is_no_leave() -> None:
    with pytest.raises(NotVerified, match="there is no detector to run"):
        mask("Anna", "de", [Words({})], validators_alone=["de"])


def test_the_tagger_is_not_asked_in_a_language_it_does_not_know() -> None:
    finders = [NameDetector(tagger=_Tagger(), languages=frozenset({"en"})), Validators()]
    assert mask("Anna", "en", finders).text == "[PERSON_1]"
    assert mask("Anna", "de", finders, validators_alone=["de"]).text == "Anna"


class _Tagger:
    def find(self, text: str) -> list[Detection]:
        return [Detection(0, 4, "PERSON", "tagger", 0.9)]


def test_a_text_in_which_masking_left_a_value_does_not_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last check does not rely on the steps before it: here the search for other occurrences is broken."""
    monkeypatch.setattr(masking, "_occurrences", lambda text, detections: detections)
    with pytest.raises(NotVerified, match="would be left"):
        mask("Ada and Ada", "en", [Spans([(0, 3, "PERSON")])])
