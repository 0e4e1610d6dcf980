"""Labels of tokens in every usual scheme, and the spans that they add up to."""

import numpy as np
import pytest

from sprat_inference.token_classifier import UNCALIBRATED, Tag, TokenClassifier, parse_tags, types_of
from sprat_inference.words import WordUnits, word_spans

TEXT = "Anna Schmidt met Bob Ray"
BIO = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG")
BILOU = ("O", "B-PER", "I-PER", "L-PER", "U-PER")
BIOES = ("O", "B-PER", "I-PER", "E-PER", "S-PER")
IO = ("O", "PER", "ORG")


def spans(labels: tuple[str, ...], words: list[str], text: str = TEXT) -> list[tuple[str, str]]:
    """Return text and type of the spans, where each word certainly has its label."""
    found = word_spans(text)
    units = WordUnits(found[:, 0], found[:, 1], np.arange(len(found)))
    chances = np.full((len(words), len(labels)), 0.01, np.float32)
    for place, word in enumerate(words):
        chances[place, labels.index(word)] = 0.9
    classifier = TokenClassifier.__new__(TokenClassifier)
    classifier._tags, classifier._calibration = parse_tags(labels), UNCALIBRATED
    tagged = classifier._tagged(text, units, chances, is_cut=False)
    assert tagged.chance == pytest.approx(0.9 ** len(words), rel=1e-3)
    return [(text[each.start : each.end], each.type) for each in tagged.spans]


@pytest.mark.parametrize(
    ("labels", "words", "found"),
    [
        (BIO, ["B-PER", "I-PER", "O", "B-PER", "B-PER"], ["Anna Schmidt", "Bob", "Ray"]),
        (BIO, ["I-PER", "I-PER", "O", "B-ORG", "I-PER"], ["Anna Schmidt", "Bob", "Ray"]),
        (BILOU, ["B-PER", "L-PER", "O", "U-PER", "U-PER"], ["Anna Schmidt", "Bob", "Ray"]),
        (BILOU, ["B-PER", "I-PER", "L-PER", "B-PER", "I-PER"], ["Anna Schmidt met", "Bob Ray"]),
        (BILOU, ["U-PER", "I-PER", "O", "L-PER", "L-PER"], ["Anna", "Schmidt", "Bob", "Ray"]),
        (BIOES, ["B-PER", "E-PER", "O", "S-PER", "S-PER"], ["Anna Schmidt", "Bob", "Ray"]),
        (IO, ["PER", "PER", "O", "ORG", "PER"], ["Anna Schmidt", "Bob", "Ray"]),
        (IO, ["O", "O", "O", "O", "O"], []),
    ],
)
def test_labels_add_up_to_spans(labels: tuple[str, ...], words: list[str], found: list[str]) -> None:
    assert [text for text, _ in spans(labels, words)] == found


def test_a_span_has_the_type_of_its_words_and_ends_with_the_paragraph() -> None:
    assert spans(BIO, ["B-PER", "I-PER", "O", "B-ORG", "I-ORG"]) == [("Anna Schmidt", "PER"), ("Bob Ray", "ORG")]
    text = "Anna\nSchmidt\n\nBob"
    assert [each for each, _ in spans(IO, ["PER", "PER", "PER"], text)] == ["Anna\nSchmidt", "Bob"]


@pytest.mark.parametrize(
    ("labels", "types"),
    [
        (BIO, ("PER", "ORG")),
        (("O", "I-PER", "I-ORG"), ("PER", "ORG")),
        (("PER-B", "PER-I", "O"), ("PER",)),
        (("B_first-name", "I_first-name", "O"), ("first-name",)),
        (("B-52", "AIRCRAFT", "O"), ("B-52", "AIRCRAFT")),
        (("LABEL_0", "LABEL_1"), ("LABEL_0", "LABEL_1")),
        (("O",), ()),
    ],
)
def test_types_are_read_from_labels(labels: tuple[str, ...], types: tuple[str, ...]) -> None:
    assert types_of(parse_tags(labels)) == types


def test_what_a_label_says() -> None:
    assert parse_tags(BILOU) == (
        Tag(None), Tag("PER", begins=True), Tag("PER"), Tag("PER", ends=True), Tag("PER", begins=True, ends=True)
    )  # fmt: skip
