"""For any text and any detections: the original is restored exactly, and the masked text holds no masked value."""

import unicodedata

from hypothesis import assume, given
from hypothesis import strategies as st

from sprat_contracts import Entity, NerOutput
from sprat_policy import PrivacyPolicy, TermRule
from sprat_privacy import MaskedText, mask, restore, restore_text
from sprat_privacy.boundaries import Cuts, widen
from sprat_privacy.detectors.terms import Terms
from sprat_privacy.detectors.validators.suite import Validators
from sprat_privacy.normalisation import fold, seen
from support.detectors import Spans

TYPES = ("PERSON", "PHONE", "EMAIL", "API_KEY", "LOCATION", "TERM_1")

# Any character, and often those that break text processing.
AWKWARD = (
    "aAbß éÉe\u0301\u200b\u200d\u00ad\u00a0-–_.'1٣４²①ﬁĳ[]{}\n\t@+/小明กา"
    "👍🏽👩‍💻İıΣσς\ufeff\u202eㅎ한\u1112\u1161\u11ab"
)
TEXTS = st.text(st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from(AWKWARD)), max_size=60)
PIECES = st.lists(
    st.sampled_from(
        ["Anna", "anna", "ANNA", "Ann", "Anna Schmidt", "AnnaSchmidt", "[PERSON_1]", "[PERSON_2", "PERSON",
         "_1]", "1", "12-3", "12 3", "123", " ", "-", "a@b.de", "A@B.DE",
         "\u200b", "\u0301", "小明", "é", "e\u0301", ".", "[", "]", "x"]
    ),
    max_size=14,
).map("".join)  # fmt: skip


NUMBERS = st.lists(
    st.sampled_from(
        ["4111 1111 1111 1111", "4111", "DE89370400440532013000", "a@b.de", "+49 170 1234567", "10.0.0.7", " ",
         "\u200b", "ssn ", "x", "536-90-4399", "http://a:b@c.de/", "password: ", "é", "\u00a0", "１"]
    ),
    max_size=10,
).map("".join)  # fmt: skip


@st.composite
def texts_with_spans(draw: st.DrawFn) -> tuple[str, list[tuple[int, int, str]]]:
    text = draw(st.one_of(TEXTS, PIECES).filter(bool))
    ends = st.integers(0, len(text))
    detections = draw(st.lists(st.tuples(ends, ends, st.sampled_from(TYPES)), max_size=6))
    return text, [(min(a, b), max(a, b), type) for a, b, type in detections if a != b]


def pieces(masked: MaskedText) -> list[str]:
    """Return the masked text without the placeholders, in pieces."""
    edges = [
        0,
        *(edge for span in masked.spans for edge in (span.at, span.at + len(span.placeholder))),
        len(masked.text),
    ]
    return [masked.text[start:end] for start, end in zip(edges[::2], edges[1::2], strict=True)]


def has_whole(value: str, piece: str) -> bool:
    """Return whether a value is in a piece without a letter or digit that touches it from outside."""
    start = piece.find(value)
    while start >= 0:
        end = start + len(value)
        before = start > 0 and piece[start - 1].isalnum() and value[0].isalnum()
        after = end < len(piece) and piece[end].isalnum() and value[-1].isalnum()
        if not (before or after):
            return True
        start = piece.find(value, start + 1)
    return False


@given(texts_with_spans())
def test_the_original_is_restored_and_the_masked_text_holds_no_masked_value(
    example: tuple[str, list[tuple[int, int, str]]],
) -> None:
    text, detections = example
    masked = mask(text, "en", [Spans(detections, text=text)])
    assert seen(restore_text(masked.text, masked)).text == seen(text).text
    assert seen(masked.text).text == masked.text, "nothing leaves that nobody sees"
    assert masked.unmasked() == text
    for span in masked.spans:
        assert masked.text[span.at : span.at + len(span.placeholder)] == span.placeholder
        assert span.placeholder not in text
    values = {masked.value(span) for span in masked.spans} | {text[start:end] for start, end, _ in detections}
    for value in {seen(value).text.strip() for value in values} - {""}:
        assert not any(has_whole(value, piece) for piece in pieces(masked))
    for start, end, _ in detections:
        kept = [at for at in range(start, end) if not any(span.start <= at < span.end for span in masked.changes)]
        assert all(text[at].isspace() for at in kept)


@given(texts_with_spans())
def test_equal_values_have_one_placeholder_and_different_values_have_different_ones(
    example: tuple[str, list[tuple[int, int, str]]],
) -> None:
    text, detections = example
    by_value: dict[str, set[str]] = {}
    by_placeholder: dict[str, set[str]] = {}
    masked = mask(text, "en", [Spans(detections, text=text)])
    for span in masked.spans:
        value = masked.value(span)
        by_value.setdefault(value, set()).add(span.placeholder)
        bare = "".join(filter(str.isalnum, unicodedata.normalize("NFKD", value).casefold()))
        by_placeholder.setdefault(span.placeholder, set()).add(unicodedata.normalize("NFKD", bare))
    assert all(len(placeholders) == 1 for placeholders in by_value.values())
    assert all(len({"".join(map(digits, value)) for value in values}) == 1 for values in by_placeholder.values())


def digits(character: str) -> str:
    return str(unicodedata.decimal(character, character))


@given(PIECES.filter(bool))
def test_masking_a_masked_text_changes_nothing(text: str) -> None:
    rules = (
        TermRule(type="PERSON", words=("Anna Schmidt", "Anna", "小明")),
        TermRule(type="PHONE", words=("12-3",)),
        TermRule(type="EMAIL", words=("a@b.de",)),
    )
    detector = Terms.of(PrivacyPolicy(terms=rules))
    once = mask(text, "en", [detector], validators_alone=["en"]).text
    assert mask(once, "en", [detector], validators_alone=["en"]).text == once


@given(texts_with_spans(), st.data())
def test_entities_of_the_masked_text_are_in_the_original(
    example: tuple[str, list[tuple[int, int, str]]], data: st.DataObject
) -> None:
    text, detections = example
    masked = mask(text, "en", [Spans(detections, text=text)])
    ends = st.integers(0, len(masked.text))
    drawn = data.draw(st.lists(st.tuples(ends, ends, st.sampled_from(["PER", "LOC", "MISC"])), max_size=5))
    answered = [(min(a, b), max(a, b), label) for a, b, label in drawn if a != b]
    entities = tuple(Entity(start=a, end=b, text=masked.text[a:b], label=label) for a, b, label in answered)
    restored = restore(NerOutput(entities=entities), masked)
    assert isinstance(restored, NerOutput)
    for entity in restored.entities:
        assert text[entity.start : entity.end] == entity.text
    for span in masked.spans:
        assert any(entity.start <= span.start and span.end <= entity.end for entity in restored.entities)
    for a, b, label in answered:
        if not any(span.at < b and a < span.after for span in masked.spans):
            assert any(
                (seen(entity.text).text, entity.label) == (masked.text[a:b], label) for entity in restored.entities
            )


@given(TEXTS, st.data())
def test_spans_are_widened_one_after_the_other_as_each_by_itself(text: str, data: st.DataObject) -> None:
    cuts, ends = Cuts(text), st.integers(0, len(text))
    for first, last in data.draw(st.lists(st.tuples(ends, ends), max_size=12)):
        start, end = min(first, last), max(first, last)
        assert cuts.widen(start, end) == widen(text, start, end)


@given(TEXTS)
def test_folding_keeps_every_offset(text: str) -> None:
    folded = fold(text)
    for at in range(len(folded.text)):
        start, end = folded.original(at, at + 1)
        assert 0 <= start < end <= len(text)
    starts = [folded.original(at, at + 1)[0] for at in range(len(folded.text))]
    assert starts == sorted(starts)


@given(st.one_of(TEXTS, NUMBERS))
def test_validators_accept_any_text_and_their_detections_are_masked(text: str) -> None:
    assume(text)
    for language in ("en", "de-AT", ""):
        masked = mask(text, language, [Validators()], validators_alone=["en", "de", ""])
        assert masked.unmasked() == text
        assert seen(restore_text(masked.text, masked)).text == seen(text).text
