import numpy as np
import pytest

from sprat.models import BrokenArtefact
from sprat.models.windows import Pieces
from sprat.perimeter.decoding import decode
from sprat.perimeter.folding import fold
from sprat.perimeter.labels import Labels

NAMES = ("O", "B-GIVEN_NAME", "I-GIVEN_NAME", "B-SURNAME", "I-SURNAME", "B-PHONE", "I-PHONE")
LABELS = Labels.of(NAMES)


def decoded(text: str, *tokens: tuple[str, int, int, int], least: float = 0.5) -> set[tuple[str, str]]:
    """Tokens are label, start, end, word; each label has 0.9."""
    rows = np.full((len(tokens), len(NAMES)), 0.1 / 6, np.float32)
    for row, (label, *_) in zip(rows, tokens, strict=True):
        row[NAMES.index(label)] = 0.9
    starts, ends, words = (np.array([token[place] for token in tokens], np.int64) for place in (1, 2, 3))
    pieces = Pieces([5] * len(tokens), starts, ends, words)
    found = decode(text, fold(text), pieces, rows, labels=LABELS, least=least)
    return {(text[one.start : one.end], one.type) for one in found}


def test_given_name_and_surname_are_one_value() -> None:
    assert decoded("Anna Weber", ("B-GIVEN_NAME", 0, 4, 0), ("B-SURNAME", 5, 10, 1)) == {("Anna Weber", "PERSON")}


def test_a_second_beginning_is_a_second_value() -> None:
    tokens = ("B-PHONE", 0, 3, 0), ("B-PHONE", 4, 7, 1)
    assert decoded("123 456", *tokens) == {("123", "PHONE"), ("456", "PHONE")}


def test_an_inside_without_a_beginning_is_found_all_the_same() -> None:
    assert decoded("so Anna", ("O", 0, 2, 0), ("I-GIVEN_NAME", 3, 7, 1)) == {("Anna", "PERSON")}


def test_one_token_is_enough_for_its_word() -> None:
    tokens = ("O", 0, 4, 0), ("I-SURNAME", 4, 8, 0), ("O", 8, 10, 0)
    assert decoded("Weißgerber", *tokens) == {("Weißgerber", "PERSON")}


def test_the_sentence_keeps_its_punctuation_and_its_lines() -> None:
    tokens = ("B-GIVEN_NAME", 0, 4, 0), ("I-GIVEN_NAME", 4, 5, 1), ("I-SURNAME", 6, 11, 2)
    assert decoded("Anna,\nWeber", *tokens) == {("Anna", "PERSON"), ("Weber", "PERSON")}
    assert decoded("...", ("I-PHONE", 0, 1, 0), ("I-PHONE", 1, 2, 1), ("I-PHONE", 2, 3, 2)) == set()


def test_below_the_least_chance_nothing_is_found() -> None:
    assert decoded("Anna", ("B-GIVEN_NAME", 0, 4, 0), least=0.99) == set()


def test_a_label_without_a_type_is_refused() -> None:
    with pytest.raises(BrokenArtefact, match="SHOE_SIZE"):
        Labels.of(("O", "B-SHOE_SIZE"))
