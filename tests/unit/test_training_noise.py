"""The untidy copies that heads are fitted on, and those of the intent models' thresholds and cards."""

import random
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from recipes.intent.clinc150 import Split
from recipes.intent.noise import KINDS as CLINC_KINDS
from recipes.intent.noise import copies, with_few_copies
from sprat_training.datasets.config import TrainingConfig, no_progress
from sprat_training.datasets.distinct import prepare
from sprat_training.datasets.sources import Sources
from sprat_training.fitting.heads import HeadLearner, cross_validate, fit_head, logits_of
from sprat_training.fitting.label_fit import fit_labels
from sprat_training.fitting.noise import KINDS, LEAST_TEXTS, Phrases, copies_to_train, phrases_of
from sprat_training.versions.model_card import describe_labels
from support.training_data import labelled

TEXTS = tuple(f"Please move {number} euros to my savings!" for number in range(60))
SPLIT = Split(tuple(f"please move {number} euros to my savings" for number in range(24)), tuple("ab" * 12))
USES = ("to_train", "to_fit", "to_measure")


def test_a_copy_depends_on_its_text_alone_and_differs_from_it() -> None:
    made = copies_to_train(TEXTS, ["en"] * len(TEXTS))
    assert made[::-1] == copies_to_train(TEXTS[::-1], ["en"] * len(TEXTS))
    assert all(copy != text for copy, text in zip(made, TEXTS, strict=True))
    already_bare = [text[:-1].lower() for text in TEXTS]
    assert not set(copies_to_train(already_bare, ["en"] * len(TEXTS))) & set(already_bare)
    assert any("\n" in copy for copy in made)
    assert any(copy.isupper() for copy in made)
    assert any(copy == text[:-1].lower() for copy, text in zip(made, TEXTS, strict=True))


def test_a_text_that_no_kind_changes_is_its_own_copy() -> None:
    assert copies_to_train(["?!", ""], ["", "xx"]) == ["?!", ""]


def test_a_text_of_a_language_without_phrases_gets_none() -> None:
    """The words of each copy are those of the text, but for a letter or two."""
    for copy, text in zip(copies_to_train(TEXTS, ["nl-BE"] * len(TEXTS)), TEXTS, strict=True):
        assert len(copy.split()) == len(text.split())


@pytest.mark.parametrize("language", ["en", "de", "fr"])
def test_nothing_is_fitted_or_measured_with_a_phrase_of_another_use(language: str) -> None:
    for part in ("courtesy", "mails"):
        phrases = [phrase for use in USES for phrase in getattr(phrases_of(use, language), part)]
        assert len(phrases) == len(set(phrases)) >= 9
        assert all(phrase.count("{}") == 1 for phrase in phrases)


def test_braces_in_a_text_are_left_as_they_are() -> None:
    draw, phrases = random.Random(0), phrases_of("to_fit", "en")
    for kind in ("courtesy", "mail"):
        assert "A {0} {x}" in KINDS[kind]("A {0} {x}", phrases, draw)


@pytest.mark.parametrize(("kind", "most"), [("typing_error", 1), ("two_typing_errors", 2)])
def test_typing_errors_change_long_words(kind: str, most: int) -> None:
    seen = set()
    for seed in range(50):
        words = KINDS[kind]("please move my savings now", Phrases(), random.Random(seed)).split()
        changed = [
            new for new, old in zip(words, ["please", "move", "my", "savings", "now"], strict=True) if new != old
        ]
        assert "my" in words
        assert "now" in words
        seen.add(len(changed))
    assert max(seen) == most


def test_bare_texts_keep_the_marks_within_words() -> None:
    assert KINDS["bare"]('"Why?" It\'s 3.5 % (or e-mail)!', Phrases(), random.Random(0)) == "why it's 3.5 % or e-mail"
    assert KINDS["bare"]("?!", Phrases(), random.Random(0)) == "?!"


def test_each_text_of_a_split_has_a_copy_with_its_label_and_the_same_ones_each_time() -> None:
    made = copies(SPLIT, "to_fit")
    assert made == copies(SPLIT, "to_fit")
    assert list(made) == list(CLINC_KINDS)
    for first, (kind, split) in enumerate(made.items()):
        originals = SPLIT.texts[first % 5 :: 5]
        assert split.labels == SPLIT.labels[first % 5 :: 5]
        assert len(split.texts) == len(originals)
        for text, original in zip(split.texts, originals, strict=True):
            assert text != original
            assert (original.lower() in text.lower()) == ("typing_error" not in kind)


def test_a_letter_has_six_sentences_and_other_ones_where_it_is_measured() -> None:
    made = {use: copies(SPLIT, use)["letter"].texts for use in ("to_fit", "to_measure")}
    sentences = {use: {each for text in texts for each in text.split(". ")} for use, texts in made.items()}
    assert {text.count(". ") + text.endswith(".") for texts in made.values() for text in texts} == {6}
    assert all("savings" in each for each in sentences["to_fit"] & sentences["to_measure"])


def test_few_copies_are_those_of_every_tenth_text_after_all_texts() -> None:
    extended = with_few_copies(SPLIT)
    assert extended.texts[:24] == SPLIT.texts
    assert sorted(extended.labels[24:]) == sorted(SPLIT.labels[::10] + SPLIT.labels[:1])
    assert not set(extended.texts[24:]) & set(SPLIT.texts)


def test_heads_are_fitted_on_the_texts_and_the_copies_of_the_same_texts() -> None:
    numbers = np.random.default_rng(0)
    vectors, copied = numbers.normal(size=(2, 60, 8)).astype(np.float32)
    gold, some = np.arange(60) % 3, np.arange(30)
    fitted = HeadLearner(vectors, vectors[:0], copied).fit(some, gold[some], 3, 1.0).head
    wanted = fit_head(np.concatenate([vectors[some], copied[some]]), np.tile(gold[some], 2), 3)
    np.testing.assert_array_equal(fitted.weights, wanted.weights)
    found = cross_validate(vectors, gold, 3, vectors[:0], no_progress, copies=copied)
    every = fit_head(np.concatenate([vectors, copied]), np.tile(gold, 2), 3)
    np.testing.assert_array_equal(found.head.weights, every.weights)


def test_what_is_read_of_a_held_out_text_knows_nothing_of_its_copy() -> None:
    """Each copy is its text's own vector, and labels are drawn: a head that had read the copy would know the label."""
    numbers = np.random.default_rng(1)
    vectors, gold = numbers.normal(size=(300, 200)).astype(np.float32), numbers.integers(0, 3, 300)
    found = cross_validate(vectors, gold, 3, vectors[:0], no_progress, copies=vectors)
    assert (found.logits.argmax(axis=1) == gold).mean() < 0.5
    assert (logits_of(found.head, vectors).argmax(axis=1) == gold).mean() > 0.7


@pytest.mark.parametrize("texts", [LEAST_TEXTS - 1, LEAST_TEXTS])
def test_labels_with_few_texts_have_no_copies_and_the_card_says_which(texts: int, tmp_path: Path) -> None:
    read: list[str] = []

    def encode(some: Sequence[str]) -> Any:
        read.extend(some)
        vectors = np.array([np.random.default_rng(list(text.encode())).normal(size=8) for text in some], np.float32)
        return SimpleNamespace(vectors=vectors, truncated=np.zeros(len(some), bool))

    base: Any = SimpleNamespace(
        encoder=SimpleNamespace(encode=encode),
        card=SimpleNamespace(max_tokens=128, languages=("en",)),
        built_on=None,
        reader="sprat-label/1",
        made_of=(),
        licences=(),
    )
    rows = [(f"please {verb} my badge number {number}", verb) for verb in ("renew", "block") for number in range(texts)]
    data, summary = prepare(labelled(rows))
    file = tmp_path / "hr.csv"
    file.write_text("".join(f"{text},{label}\n" for text, label in rows), "utf-8")
    config = TrainingConfig(files=(file,), output=tmp_path / "hr", name="hr", lexical=False)
    fitted = fit_labels(base, Sources(data, summary, (), None, (), (), (), ()), config, no_progress)
    card = describe_labels(config, base, data, fitted.validation, fitted.calibrator, ())
    assert any(text.isupper() for text in read) is (texts == LEAST_TEXTS)
    assert ("an untidy copy of each of its texts" in card.calibration.fitted_on) is (texts == LEAST_TEXTS)
