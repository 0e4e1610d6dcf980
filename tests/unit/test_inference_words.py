import unicodedata

import numpy as np
import pytest

from sprat_inference.words import find_units, word_spans

NFD = unicodedata.normalize("NFD", "Zürich")


def words(text: str) -> list[str]:
    return [text[start:end] for start, end in word_spans(text)]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        pytest.param("Jean-Luc's car.", ["Jean", "-", "Luc", "'", "s", "car", "."], id="signs are words"),
        pytest.param(NFD, [NFD], id="accents in NFD"),
        pytest.param("ok👩‍👧Tom", ["ok", "👩‍", "👧", "Tom"], id="emoji"),
        pytest.param(" \n\t ", [], id="white space"),
        pytest.param("❤️ A", ["❤️", "A"], id="variation selector"),
    ],
)  # fmt: skip
def test_a_word_is_letters_with_their_accents_or_one_other_character(text: str, wanted: list[str]) -> None:
    assert words(text) == wanted


def test_a_word_is_represented_by_the_token_with_its_first_character() -> None:
    # "▁Ann", "a", "▁Li", "sbon": the space belongs to the token behind it
    found = find_units("Anna Lisbon", np.array([0, 3, 4, 7]), np.array([3, 4, 7, 11]))
    assert found.tokens.tolist() == [0, 2]
    assert list(zip(found.starts, found.ends, strict=True)) == [(0, 4), (5, 11)]


def test_words_that_share_a_token_are_one_unit() -> None:
    found = find_units("a.b c", np.array([0, 3]), np.array([3, 5]))
    assert list(zip(found.starts, found.ends, strict=True)) == [(0, 3), (4, 5)]


def test_a_word_that_the_tokenizer_drops_belongs_to_no_unit() -> None:
    found = find_units("a \x7f b", np.array([0, 4]), np.array([1, 5]))
    assert found.starts.tolist() == [0, 4]


@pytest.mark.parametrize("text", ["", "  "])
def test_a_text_without_words_has_no_units(text: str) -> None:
    assert len(find_units(text, np.array([0]), np.array([1])).starts) == 0
