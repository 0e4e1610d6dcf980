"""The copies of texts that the intent models' thresholds are found on, and measured."""

import pytest

from recipes.intent.clinc150 import Split
from recipes.intent.noise import KINDS, TO_FIT, TO_MEASURE, Phrases, copies

TEXTS = Split(tuple(f"please move {number} euros to my savings" for number in range(20)), tuple("ab" * 10))


def test_each_text_has_one_copy_with_its_label_and_the_same_ones_each_time() -> None:
    made = copies(TEXTS, TO_FIT)
    assert made == copies(TEXTS, TO_FIT)
    assert list(made) == list(KINDS)
    for first, (kind, split) in enumerate(made.items()):
        assert split.labels == TEXTS.labels[first::5]
        originals = TEXTS.texts[first::5]
        assert len(split.texts) == len(originals) == 4
        for text, original in zip(split.texts, originals, strict=True):
            assert text != original
            assert (original.lower() in text.lower()) == (kind != "typing_error")


def test_a_typing_error_changes_one_place_of_a_long_word() -> None:
    for text in copies(TEXTS, TO_FIT)["typing_error"].texts:
        words = [word for word in text.split() if word not in TEXTS.texts[0].split() and not word.isdigit()]
        assert len(words) == 1


@pytest.mark.parametrize("phrases", [TO_FIT, TO_MEASURE])
def test_a_mail_has_four_lines_and_a_letter_six_sentences(phrases: Phrases) -> None:
    made = copies(TEXTS, phrases)
    assert {text.count("\n") for text in made["mail"].texts} == {3}
    assert {text.count(". ") + text.endswith(".") for text in made["letter"].texts} == {6}


def test_nothing_is_measured_with_a_phrase_that_was_fitted_on() -> None:
    for part in ("courtesy", "mails", "sentences"):
        assert not set(getattr(TO_FIT, part)) & set(getattr(TO_MEASURE, part))
