import re

import numpy as np
import pytest

from sprat_inference.artefact import BrokenArtefact
from sprat_inference.windows import TokenizedText
from sprat_privacy.detectors.tagger_decoding import Labels, decode
from sprat_privacy.normalisation import fold

NAMES = ("O", "B-GIVEN_NAME", "I-GIVEN_NAME", "B-SURNAME", "I-SURNAME", "B-PHONE", "I-PHONE")
LABELS = Labels.of(NAMES)


def decoded(
    text: str, *tokens: tuple[str, int, int, int], least: float = 0.5, doubted: float = 0.1
) -> set[tuple[str, str]]:
    """Tokens are label, start, end, word; each label has 0.9, and where it is O, all others have `doubted` together."""
    rows = np.full((len(tokens), len(NAMES)), 0.1 / 6, np.float32)
    for row, (label, *_) in zip(rows, tokens, strict=True):
        row[NAMES.index(label)] = 0.9
        if label == "O":
            row[:] = doubted / 6
            row[NAMES.index(label)] = 1 - doubted
    starts, ends, words = (np.array([token[place] for token in tokens], np.int64) for place in (1, 2, 3))
    pieces = TokenizedText([5] * len(tokens), starts, ends, words)
    found = decode(text, fold(text), pieces, rows, labels=LABELS, least=least)
    return {(text[one.start : one.end], one.type) for one in found}


def test_given_name_and_surname_are_one_value() -> None:
    assert decoded("Anna Weber", ("B-GIVEN_NAME", 0, 4, 0), ("B-SURNAME", 5, 10, 1)) == {("Anna Weber", "PERSON")}


def test_a_second_beginning_is_a_second_value() -> None:
    tokens = ("B-PHONE", 0, 3, 0), ("B-PHONE", 4, 7, 1)
    assert decoded("123 456", *tokens) == {("123", "PHONE"), ("456", "PHONE")}


def test_an_inside_label_without_a_beginning_is_a_detection() -> None:
    assert decoded("so Anna", ("O", 0, 2, 0), ("I-GIVEN_NAME", 3, 7, 1)) == {("Anna", "PERSON")}


def test_one_token_is_enough_for_its_word() -> None:
    tokens = ("O", 0, 4, 0), ("I-SURNAME", 4, 8, 0), ("O", 8, 10, 0)
    assert decoded("Weißgerber", *tokens) == {("Weißgerber", "PERSON")}


def test_punctuation_and_line_breaks_are_not_part_of_a_detection() -> None:
    tokens = ("B-GIVEN_NAME", 0, 4, 0), ("I-GIVEN_NAME", 4, 5, 1), ("I-SURNAME", 6, 11, 2)
    assert decoded("Anna,\nWeber", *tokens) == {("Anna", "PERSON"), ("Weber", "PERSON")}
    assert decoded("...", ("I-PHONE", 0, 1, 0), ("I-PHONE", 1, 2, 1), ("I-PHONE", 2, 3, 2)) == set()


def test_below_the_threshold_nothing_is_detected() -> None:
    assert decoded("Anna", ("B-GIVEN_NAME", 0, 4, 0), least=0.99) == set()


def test_a_doubtful_word_next_to_a_name_belongs_to_it() -> None:
    after = ("B-GIVEN_NAME", 0, 7, 0), ("O", 8, 10, 1), ("O", 11, 18, 2)
    assert decoded("Siobhan Ní Bhriain", *after) == {("Siobhan Ní Bhriain", "PERSON")}
    before = ("O", 0, 7, 0), ("I-SURNAME", 8, 15, 1)
    assert decoded("Siobhan Bhriain", *before) == {("Siobhan Bhriain", "PERSON")}


@pytest.mark.parametrize(
    ("text", "name"),
    [("Anna called", "Anna"), ("Anna, Peter", "Anna"), ("Anna\nPeter", "Anna"), ("Anna  Peter", "Anna")],
)
def test_a_doubtful_word_in_lower_case_or_apart_from_the_name_does_not_belong_to_it(text: str, name: str) -> None:
    at = re.search(r"\w+$", text)
    assert at is not None
    tokens = ("B-GIVEN_NAME", 0, 4, 0), ("O", at.start(), at.end(), 1)
    assert decoded(text, *tokens) == {(name, "PERSON")}


def test_a_clearly_harmless_word_next_to_a_name_does_not_belong_to_it() -> None:
    tokens = ("O", 0, 6, 0), ("B-GIVEN_NAME", 7, 11, 1)
    assert decoded("Thanks Anna", *tokens, doubted=0.001) == {("Anna", "PERSON")}


def test_a_number_does_not_include_a_doubtful_word() -> None:
    assert decoded("Call 123", ("O", 0, 4, 0), ("B-PHONE", 5, 8, 1)) == {("123", "PHONE")}


def test_a_label_without_a_type_is_refused() -> None:
    with pytest.raises(BrokenArtefact, match="SHOE_SIZE"):
        Labels.of(("O", "B-SHOE_SIZE"))
