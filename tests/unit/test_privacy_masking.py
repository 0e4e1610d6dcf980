"""Masking: a placeholder for every occurrence of a value; and texts that must not leave at all."""

import pickle
from collections.abc import Sequence
from inspect import ismodule

import pytest

import sprat_privacy
from sprat_privacy import Detection, MaskedText, NameDetector, NotVerified, mask, masking, read_names
from sprat_privacy.detectors.validators.suite import Validators
from support.detectors import Broken, Spans, Words
from support.panics import PanicException


def masked(text: str, **types: str) -> MaskedText:
    """Mask words, passed as type=word or type=[word, …]."""
    words = {word: type for type, value in types.items() for word in ([value] if isinstance(value, str) else value)}
    return mask(text, "en", [Words(words)])


def test_a_text_without_detections_is_not_changed() -> None:
    unchanged = mask("Where is my card?", "en", [Words({}), Validators()])
    assert (unchanged.text, unchanged.counts, unchanged.spans) == ("Where is my card?", {}, ())


def test_placeholders_are_typed_and_numbered_by_value() -> None:
    text = "Anna met Ben in Rome. Ben left Anna."
    assert masked(text, PERSON=["Anna", "Ben"], LOCATION="Rome").text == (
        "[PERSON_1] met [PERSON_2] in [LOCATION_1]. [PERSON_2] left [PERSON_1]."
    )


@pytest.mark.parametrize(
    ("text", "word", "type", "expected"),
    [
        ("Anna Schmidt, ANNA SCHMIDT, anna-schmidt", "Anna Schmidt", "PERSON", "[PERSON_1], [PERSON_1], [PERSON_1]"),
        ("Zoë and ZOË and Zoe\u0308", "Zoë", "PERSON", "[PERSON_1] and [PERSON_1] and Zoe\u0308"),
        ("Will, WILL and will", "Will", "PERSON", "[PERSON_1], [PERSON_1] and will"),
        ("anna, ANNA and Anna", "anna", "PERSON", "[PERSON_1], [PERSON_1] and [PERSON_1]"),
        ("DE89 3704, de893704 or DE-89-37-04", "DE89 3704", "IBAN", "[IBAN_1], [IBAN_1] or [IBAN_1]"),
        ("030 1234 or 030/1234 or ０３０１２３４", "030 1234", "PHONE", "[PHONE_1] or [PHONE_1] or [PHONE_1]"),
        ("a.b@c.de, A.B@C.DE, ab@c.de", "a.b@c.de", "EMAIL", "[EMAIL_1], [EMAIL_1], ab@c.de"),
        ("abC1, ABC1, abC1", "abC1", "API_KEY", "[API_KEY_1], ABC1, [API_KEY_1]"),
        ("12-3 is not 1-23", "12-3", "BUILDING_NUMBER", "[BUILDING_NUMBER_1] is not 1-23"),
        ("5, 15, 5a and 5", "5", "BUILDING_NUMBER", "[BUILDING_NUMBER_1], 15, 5a and [BUILDING_NUMBER_1]"),
        ("Ann, Anna, Joann and Ann's", "Ann", "PERSON", "[PERSON_1], Anna, Joann and [PERSON_1]'s"),
        ("小明说小明好", "小明", "PERSON", "[PERSON_1]说[PERSON_1]好"),
        ("An\u200bna, Anna", "Anna", "PERSON", "[PERSON_1], [PERSON_1]"),
    ],
)
def test_every_occurrence_of_a_value_is_masked(text: str, word: str, type: str, expected: str) -> None:
    result = mask(text, "en", [Words({word: type})])
    assert result.text == expected
    assert result.unmasked() == text


def test_different_values_have_different_placeholders() -> None:
    assert (
        masked("12-3 and 1-23", BUILDING_NUMBER=["12-3", "1-23"]).text == "[BUILDING_NUMBER_1] and [BUILDING_NUMBER_2]"
    )


def test_one_value_with_two_types_has_one_placeholder() -> None:
    text = "Jordan went to Jordan"
    both = mask(text, "en", [Spans([(0, 6, "PERSON"), (15, 21, "LOCATION")])])
    assert len({span.placeholder for span in both.spans}) == 1


@pytest.mark.parametrize(
    "present",
    ["[PERSON_1]", "[person_1]", "[Person 1]", "[ PERSON-1 ]", "［ＰＥＲＳＯＮ＿１］", "[PERSON_1", "x[PERSON_1]]"],
)
def test_a_placeholder_of_the_text_is_not_assigned_again(present: str) -> None:
    text = f"{present} is what Anna wrote"
    result = masked(text, PERSON="Anna")
    (span,) = result.spans
    assert span.placeholder not in text
    assert result.text.count(span.placeholder) == 1
    assert result.unmasked() == text


def test_a_detection_inside_a_word_is_widened_to_the_word() -> None:
    assert mask("Annas Auto", "en", [Spans([(0, 4, "PERSON")])]).text == "[PERSON_1] Auto"
    assert mask("Jose\u0301s", "en", [Spans([(0, 4, "PERSON")])]).text == "[PERSON_1]"
    assert mask("👍🏽 ok", "en", [Spans([(0, 1, "EMOJI")])]).text == "[EMOJI_1] ok"


def test_white_space_around_a_detection_is_kept() -> None:
    assert mask("so Anna  is", "en", [Spans([(2, 9, "PERSON"), (7, 9, "PERSON")])]).text == "so [PERSON_1]  is"


def test_overlapping_detections_are_masked_as_one_with_the_type_of_the_longest() -> None:
    text = "Anna Schmidt-Meier AG"
    assert mask(text, "en", [Spans([(0, 18, "PERSON"), (13, 21, "ORG")])]).text == "[PERSON_1]"
    assert mask(text, "en", [Spans([(0, 4, "GIVEN"), (0, 12, "PERSON")])]).text.startswith("[PERSON_1]")


def test_counts_are_by_type() -> None:
    result = masked("Anna, Anna, Ben, Rome", PERSON=["Anna", "Ben"], LOCATION="Rome")
    assert result.counts == {"LOCATION": 1, "PERSON": 3}


def test_a_masked_text_shows_no_value_and_cannot_be_pickled() -> None:
    result = masked("My name is Anna", PERSON="Anna")
    for shown in (repr(result), str(result), f"{result.spans}", repr(result.spans[0])):
        assert "Anna" not in shown
    with pytest.raises(TypeError, match="stays in its process"):
        pickle.dumps(result)


def test_masking_is_deterministic() -> None:
    text = "Anna, +44 20 7946 0958, DE89370400440532013000, anna@example.com"
    detectors = [Words({"Anna": "PERSON"}), Validators()]
    assert mask(text, "en", detectors) == mask(text, "en", detectors)
    assert mask(text, "en", detectors).text == "[PERSON_1], [PHONE_1], [IBAN_1], [EMAIL_1]"


def test_masking_a_masked_text_changes_nothing() -> None:
    detectors = [Words({"Anna": "PERSON"}), Validators()]
    once = mask("Anna, +44 20 7946 0958, card 4111 1111 1111 1111; tax DE 136 695 976", "en", detectors).text
    assert mask(once, "en", detectors).text == once


@pytest.mark.parametrize("error", [RuntimeError, ValueError, MemoryError, KeyError, PanicException, SystemExit])
def test_if_a_detector_fails_nothing_leaves_and_the_error_has_no_text(error: type[BaseException]) -> None:
    with pytest.raises(NotVerified, match=f"the detector broken failed: {error.__name__}") as caught:
        mask("secret Anna", "en", [Words({}), Broken(error=error)])
    assert "Anna" not in str(caught.value)
    assert caught.value.code == "masking"
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@pytest.mark.parametrize("error", [RuntimeError, PanicException])
def test_where_reading_several_texts_at_once_fails_each_is_read_by_itself(error: type[BaseException]) -> None:
    class Tagger:
        def find_many(self, texts: Sequence[str]) -> list[list[Detection]]:
            if any("bad" in text for text in texts):
                raise error
            return [[] for _ in texts]

    texts = [("good", "en"), ("bad", "en")]
    good, bad = read_names(texts, [NameDetector(Tagger(), {"en"})])
    assert mask("good", "en", good).text == "good"
    with pytest.raises(NotVerified, match=f"the detector tagger failed: {error.__name__}"):
        mask("bad", "en", bad)


def test_ctrl_c_ends_a_command_that_masks() -> None:
    with pytest.raises(KeyboardInterrupt):
        mask("secret Anna", "en", [Words({}), Broken(error=KeyboardInterrupt)])


@pytest.mark.parametrize(
    "span", [(-1, 2, "A"), (0, 9, "A"), (2, 2, "A"), (3, 2, "A"), (0, 2, "person"), (0, 2, "A]"), (0, 2, "")]
)
def test_an_impossible_span_is_a_failure(span: tuple[int, int, str]) -> None:
    with pytest.raises(NotVerified, match="the detector spans returned an impossible span"):
        mask("Anna", "en", [Spans([span])])


@pytest.mark.parametrize(
    ("language", "validators_alone", "leaves"),
    [
        ("en", (), True), ("en-GB", (), True), ("EN", (), True), ("de", (), False), ("de", ("de",), True),
        ("de-AT", ("de",), True), ("", (), False), ("english", (), False), ("fi", ("de",), False),
    ],
)  # fmt: skip
def test_a_language_without_a_detector_of_names_needs_permission_in_the_policy(
    language: str, validators_alone: tuple[str, ...], *, leaves: bool
) -> None:
    detectors = [NameDetector(tagger=_Tagger(), languages=frozenset({"en"})), Validators()]
    if leaves:
        assert "[EMAIL_1]" in mask("anna@example.com", language, detectors, validators_alone=validators_alone).text
    else:
        with pytest.raises(NotVerified, match="no detector of names covers the text's language"):
            mask("anna@example.com", language, detectors, validators_alone=validators_alone)


def test_validators_without_a_tagger_are_not_enough() -> None:
    with pytest.raises(NotVerified):
        mask("Anna", "en", [Validators()])


def test_all_public_names_are_exported_and_no_others() -> None:
    exported = {name for name, value in vars(sprat_privacy).items() if name[0] != "_" and not ismodule(value)}
    assert set(sprat_privacy.__all__) == exported


def test_without_any_detector_nothing_leaves() -> None:
    with pytest.raises(NotVerified, match="there is no detector to run"):
        mask("Anna", "de", [Words({})], validators_alone=["de"])


def test_the_tagger_is_not_used_for_a_language_it_does_not_cover() -> None:
    detectors = [NameDetector(tagger=_Tagger(), languages=frozenset({"en"})), Validators()]
    assert mask("Anna", "en", detectors).text == "[PERSON_1]"
    assert mask("Anna", "de", detectors, validators_alone=["de"]).text == "Anna"


class _Tagger:
    def find_many(self, texts: Sequence[str]) -> list[list[Detection]]:
        return [[Detection(0, 4, "PERSON", "tagger", 0.9)] for _ in texts]


def test_a_text_with_a_value_left_unmasked_does_not_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    """Verification does not rely on the steps before it: here the search for other occurrences is broken."""
    monkeypatch.setattr(masking, "_occurrences", lambda text, detections: detections)
    with pytest.raises(NotVerified, match="would be left"):
        mask("Ada and Ada", "en", [Spans([(0, 3, "PERSON")])])
