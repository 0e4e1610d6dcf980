"""What the README's table of the perimeter counts."""

from recipes.privacy.sources import AnnotatedText
from tests.bench.privacy_scoring import outside, score

TEXT = "Anna Weber, card 4111, moved to Rome."
ROW = AnnotatedText(TEXT, ((0, 10, "PERSON"), (17, 21, "CREDIT_CARD"), (32, 36, "GPE")), 1)


def test_a_span_is_found_if_every_letter_is_covered_by_the_right_type() -> None:
    person = score([ROW], [[(0, 4, "PERSON"), (5, 10, "PERSON")]], "sprat")["person"]
    assert (person.spans, person.covered, person.covered_by_any) == (1, 1, 1)
    person = score([ROW], [[(0, 9, "PERSON")]], "sprat")["person"]
    assert (person.covered, person.covered_by_any) == (0, 0)


def test_another_type_covers_a_span_but_does_not_find_it() -> None:
    card = score([ROW], [[(17, 21, "PHONE")]], "sprat")["card"]
    assert (card.covered, card.covered_by_any) == (0, 1)


def test_a_detection_is_correct_if_more_than_half_of_it_is_annotated_with_its_type() -> None:
    person = score([ROW], [[(0, 10, "PERSON"), (12, 16, "PERSON")]], "sprat")["person"]
    assert (person.found, person.found_right) == (2, 1)
    assert person.figures()["precision"] == 0.5


def test_each_system_is_scored_by_its_own_type_names() -> None:
    assert score([ROW], [[(32, 36, "LOCATION")]], "presidio")["place"].covered == 1
    assert score([ROW], [[(17, 21, "CREDIT_CARD")]], "sprat")["card"].covered == 0
    assert score([ROW], [[(17, 21, "CREDIT_CARD")]], "presidio")["card"].covered == 1


def test_a_category_without_a_span_has_no_recall() -> None:
    assert score([ROW], [[]], "sprat")["IBAN"].figures()["recall"] is None


def test_tokens_that_touch_no_annotated_span_are_outside() -> None:
    assert outside([ROW], [[(0, 10, "PERSON"), (22, 27, "PERSON")]]) == 1 / 3
    assert outside([ROW], [[]]) is None
