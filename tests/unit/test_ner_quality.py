import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from recipes.common import auroc, calibration_error
from recipes.ner.gold import Sentence, Span, laid_on, named, read_sentences, read_spans
from recipes.ner.quality import ReadSentence, canonical, kept, pooled
from recipes.ner.thresholds import GERMAN_SENTENCES


def test_labelled_words_are_read_with_their_types_mapped(tmp_path: Path) -> None:
    path = tmp_path / "x.tsv.gz"
    path.write_bytes(gzip.compress(b"Anna\tB-person\nB.\tI-person\n\nFord\tB-product\n"))
    first, second = read_sentences(path, {"person": "PER"})
    assert (first.text, first.labels) == ("Anna B.", ("B-PER", "I-PER"))
    assert first.spans() == [Span(0, 7, "PER")]
    assert (second.words, second.labels) == (("Ford",), ("O",))


def test_spans_are_read_by_code_points(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    row = {"text": "😀 Zürich-West!", "entities": [{"start": 2, "end": 13, "label": "LOC"}]}
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")
    (sentence,) = read_spans(path)
    assert sentence.words == ("😀", "Zürich", "-", "West", "!")
    assert sentence.spans() == [Span(2, 13, "LOC")]


@pytest.mark.parametrize(
    ("labels", "wanted"),
    [
        (("B-PER", "I-PER", "O"), [(0, 1, "PER")]),
        (("B-PER", "B-PER"), [(0, 0, "PER"), (1, 1, "PER")]),
        (("I-PER", "I-LOC"), [(0, 0, "PER"), (1, 1, "LOC")]),
    ],
)
def test_names_are_read_by_the_conll_convention(labels: tuple[str, ...], wanted: list[tuple[int, int, str]]) -> None:
    assert list(named(labels)) == wanted


def test_a_span_covers_every_word_that_it_touches() -> None:
    assert laid_on([(0, 4), (5, 9), (10, 12)], [(2, 7, "ORG")]) == ("B-ORG", "I-ORG", "O")


def test_what_is_not_served_counts_as_outside() -> None:
    assert canonical(("B-MISC", "I-MISC", "I-PER")) == ("O", "O", "B-PER")


def seen(*rows: tuple[str, str, float]) -> ReadSentence:
    """One-word texts: gold, given, confidence."""
    return ReadSentence(
        tuple((gold,) for gold, _, _ in rows),
        tuple((given,) for _, given, _ in rows),
        np.array([confidence for _, _, confidence in rows]),
        np.array([confidence for _, given, confidence in rows if given != "O"]),
        np.array([gold == given for gold, given, _ in rows if given != "O"]),
    )


def test_f1_counts_exact_names() -> None:
    one = seen(("B-PER", "B-PER", 0.9), ("B-LOC", "O", 0.2), ("O", "B-ORG", 0.6), ("O", "O", 1.0))
    assert (one.counts.right, one.counts.found, one.counts.gold) == (1, 2, 2)
    assert one.counts.f1 == one.counts.precision == one.counts.recall == pytest.approx(0.5)
    assert one.right.tolist() == [True, False, False, True]
    assert kept(one, 0.5) == (0.75, pytest.approx(2 / 3))
    assert kept(one, 0.5, one.with_name) == (0.5, 1.0)
    assert kept(one, 0.5, one.answered_with_name) == (1.0, 0.5)
    assert kept(one, 0.5, ~one.with_name) == (1.0, 0.5)
    assert auroc(one.confidence, one.right) == 1
    assert pooled([one, one]).counts.f1 == one.counts.f1


def test_well_calibrated_chances_have_no_error() -> None:
    stated = np.array([0.75] * 4 + [0.1] * 10)
    right = np.array([True, True, True, False] + [True] + [False] * 9)
    assert calibration_error(stated, right) == pytest.approx(0)
    assert calibration_error(np.array([0.9, 0.9]), np.array([False, False])) == pytest.approx(0.9)


def test_a_sentence_keeps_its_words() -> None:
    sentence = Sentence.of(["To", "Lisbon"], ["O", "B-LOC"])
    assert (sentence.text, sentence.bounds, sentence.words) == ("To Lisbon", ((0, 2), (3, 9)), ("To", "Lisbon"))


def test_the_committed_german_sentences_have_whole_words_for_names_and_none_stands_twice() -> None:
    rows = read_spans(GERMAN_SENTENCES)
    spans = [json.loads(line)["entities"] for line in GERMAN_SENTENCES.read_text("utf-8").splitlines()]
    for sentence, names in zip(rows, spans, strict=True):
        assert [(each["start"], each["end"]) for each in names] == [(each.start, each.end) for each in sentence.spans()]
    assert len({"".join(filter(str.isalnum, each.text.casefold())) for each in rows}) == len(rows)
