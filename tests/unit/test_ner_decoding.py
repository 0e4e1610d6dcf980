from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sprat_inference.words import WordUnits, word_spans
from sprat_ner.decoding import HEAD_LABELS, SERVED_LABELS, DecodedName, Decoding, decode, merge_misc

PLACE = {label: place for place, label in enumerate(SERVED_LABELS)}


def read(text: str, *labels: str, sure: float = 0.9) -> Decoding:
    """Decode a text whose words have these labels with this chance."""
    chances = np.full((len(labels), len(SERVED_LABELS)), (1 - sure) / (len(SERVED_LABELS) - 1), dtype=np.float32)
    for row, label in zip(chances, labels, strict=True):
        row[PLACE[label]] = sure
    return decode(text, units_of(text), chances)


def units_of(text: str) -> WordUnits:
    spans = word_spans(text)
    return WordUnits(spans[:, 0], spans[:, 1], np.arange(len(spans)))


def names(text: str, row: Decoding) -> list[tuple[str, str]]:
    return [(text[name.start : name.end], name.type) for name in row.names]


def test_words_become_names_with_exact_offsets() -> None:
    text = "Anna Schmidt left  Lisbon"
    assert names(text, read(text, "B-PER", "I-PER", "O", "B-LOC")) == [("Anna Schmidt", "PER"), ("Lisbon", "LOC")]


def test_two_names_may_touch() -> None:
    text = "Paris Lyon"
    assert names(text, read(text, "B-LOC", "B-LOC")) == [("Paris", "LOC"), ("Lyon", "LOC")]


def test_an_ill_formed_sequence_is_replaced_by_the_likeliest_well_formed_one() -> None:
    text = "see Anna Schmidt now"
    assert names(text, read(text, "O", "I-PER", "I-PER", "O")) in ([("Anna Schmidt", "PER")], [])
    chances = np.full((4, len(SERVED_LABELS)), 0.01, dtype=np.float32)
    chances[[0, 3], 0] = 0.94
    chances[1, PLACE["I-PER"]], chances[1, PLACE["B-PER"]] = 0.5, 0.44
    chances[2, PLACE["I-PER"]] = 0.94
    assert names(text, decode(text, units_of(text), chances)) == [("Anna Schmidt", "PER")]


def test_a_name_continues_in_the_next_line_but_not_in_the_next_paragraph() -> None:
    same = "Anna\nSchmidt"
    assert names(same, read(same, "B-PER", "I-PER")) == [(same, "PER")]
    parted = "Anna\n \nSchmidt"
    assert all("\n" not in name for name, _ in names(parted, read(parted, "B-PER", "I-PER")))


def test_the_chance_of_a_name_covers_its_words_and_its_end() -> None:
    text = "Anna Schmidt left"
    surer = read(text, "B-PER", "I-PER", "O", sure=0.99).names[0]
    other = read(text, "B-PER", "I-PER", "O", sure=0.7).names[0]
    assert isinstance(surer, DecodedName)
    assert other.log_chance < other.least_log_chance < surer.log_chance < 0
    assert surer.words == 2


def test_no_words_have_no_names() -> None:
    nothing = WordUnits(*(np.zeros(0, np.int64) for _ in range(3)))
    assert decode("", nothing, np.zeros((0, len(SERVED_LABELS)), np.float32)).names == ()


def test_other_names_count_as_outside() -> None:
    chances = np.zeros((1, len(HEAD_LABELS)), dtype=np.float32)
    chances[0, HEAD_LABELS.index("B-MISC")], chances[0, HEAD_LABELS.index("B-ORG")], chances[0, 0] = 0.4, 0.35, 0.25
    assert merge_misc(chances)[0].argmax() == 0
    assert merge_misc(chances).sum() == pytest.approx(1)


def well_formed(row: tuple[int, ...]) -> bool:
    labels = ["O", *(SERVED_LABELS[each] for each in row)]
    return all(not after.startswith("I-") or before[2:] == after[2:] for before, after in pairwise(labels))


@settings(max_examples=40)
@given(st.lists(st.lists(st.floats(0.01, 1), min_size=7, max_size=7), min_size=1, max_size=4))
def test_the_sequence_is_the_likeliest_of_all_well_formed_ones(weights: list[list[float]]) -> None:
    chances = np.array(weights, dtype=np.float32)
    chances /= chances.sum(axis=1, keepdims=True)
    text = " ".join("x" * len(weights))
    row = decode(text, units_of(text), chances)
    assert well_formed(tuple(row.labels))
    each = range(len(weights))
    best = max(
        sum(row.logs[place, labels[place]] for place in each)
        for labels in product(range(7), repeat=len(weights))
        if well_formed(labels)
    )
    assert sum(row.logs[place, row.labels[place]] for place in each) == pytest.approx(best)
