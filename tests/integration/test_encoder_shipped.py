"""The shared encoder as it is shipped: like the engine of the package that its weights come from, and whole."""

import random
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

import sprat_encoder
from sprat_inference.artefact import BrokenArtefact, load_part
from sprat_inference.card import PartRef
from sprat_inference.encoder import SentenceEncoder, unit
from sprat_inference.tokenizer import GuardedTokenizer
from sprat_inference.windows import Windows

DATA = Path(__file__).resolve().parents[1] / "data"
MAX_TOKENS = 128
OPENING, PADDING, CLOSING, UNKNOWN = range(4)


@pytest.fixture(scope="module")
def encoder() -> SentenceEncoder:
    return sprat_encoder.load(sprat_encoder.identify(), max_tokens=MAX_TOKENS)


def lines() -> list[tuple[str, str]]:
    rows = [line.split("\t") for line in (DATA / "encoder_texts.tsv").read_text(encoding="utf-8").splitlines()]
    return [(language, text) for language, text in rows]


def test_it_agrees_with_the_package_s_own_engine_on_200_texts_of_eight_languages(encoder: SentenceEncoder) -> None:
    theirs = np.load(DATA / "encoder_vectors.npy").astype(np.float32)
    assert len({language for language, _ in lines()}) == 8
    ours = encoder.encode([f"query: {text}" for _, text in lines()]).vectors  # the engine puts it before every text
    assert ours.shape == theirs.shape == (200, 384)
    cosine = (unit(theirs) * ours).sum(axis=1)
    assert cosine.mean() > 0.997
    assert cosine.min() > 0.96
    centred = (unit(theirs - theirs.mean(axis=0)) * unit(ours - ours.mean(axis=0))).sum(axis=1)
    assert centred.mean() > 0.985


def test_translations_are_nearer_than_other_texts(encoder: SentenceEncoder) -> None:
    by_language: dict[str, list[str]] = {}
    for language, text in lines():
        by_language.setdefault(language, []).append(text)
    vectors = {language: encoder.encode(texts).vectors for language, texts in by_language.items()}
    centred = {language: unit(each - each.mean(axis=0)) for language, each in vectors.items()}
    for language, each in centred.items():
        nearest = (each @ centred["en"].T).argmax(axis=1)
        assert (nearest == np.arange(len(each))).mean() >= 0.9, language


@pytest.mark.parametrize("language", ["en", "de", "fr"])
def test_the_card_states_that_the_pruned_vocabulary_splits_nearly_all_sentences_like_the_full_one(
    language: str,
) -> None:
    card = load_part(sprat_encoder.ARTEFACT, reader=sprat_encoder.READER)
    assert card.score(f"same_cut_{language}") >= 0.96
    assert card.score(f"more_tokens_{language}") <= 0.001
    assert card.licence == "MIT"
    assert "Wang et al. 2024" in card.made_of[0].authors


def test_no_text_of_the_eight_languages_has_an_unknown_token(encoder: SentenceEncoder) -> None:
    ids, _ = encoder.tokenizer.ids([text for _, text in lines()])
    assert not any(UNKNOWN in sequence for sequence in ids)


def test_another_encoder_than_the_model_was_made_on_is_refused() -> None:
    with pytest.raises(BrokenArtefact, match="the model was made on e5-small 0000000000000000"):
        sprat_encoder.load(PartRef(name="e5-small", version="0" * 16), max_tokens=MAX_TOKENS)


@pytest.mark.parametrize("text", ["", " \t\n ", "\u200b\0"])
def test_a_text_without_tokens_is_marked_empty(encoder: SentenceEncoder, text: str) -> None:
    assert encoder.encode([text, "hallo"]).empty.tolist() == [True, False]


def test_white_space_around_and_between_words_makes_no_difference(encoder: SentenceEncoder) -> None:
    loose, tight = encoder.encode(["  Wo ist\n meine \t Bestellung  ", "Wo ist meine Bestellung"]).vectors
    assert np.allclose(loose, tight, atol=1e-5)


@pytest.mark.parametrize("name", ["<s>", "</s>", "<pad>", "<unk>"])
def test_a_special_token_written_in_a_text_stays_text(encoder: SentenceEncoder, name: str) -> None:
    (ids,), _ = encoder.tokenizer.ids([f"hello {name} world"])
    assert (ids[0], ids[-1]) == (OPENING, CLOSING)
    assert library().token_to_id(name) not in ids[1:-1]


@cache
def library() -> Tokenizer:
    """Return the tokenizer as the `tokenizers` library computes it."""
    tokenizer = Tokenizer.from_file(str(sprat_encoder.ARTEFACT / "tokenizer.json"))
    tokenizer.encode_special_tokens = True
    tokenizer.enable_truncation(MAX_TOKENS)
    return tokenizer


def test_its_ids_are_those_of_the_library(encoder: SentenceEncoder) -> None:
    chance = random.Random(11)
    known = [text for _, text in lines()]
    letters = "".join(known)
    ranges = ((32, 600), (0x600, 0x700), (0x2000, 0x2FFF), (0x3000, 0x9FFF), (0x1F300, 0x1FAFF), (1, 0xD7FF))
    strange = [
        "".join(chr(chance.randrange(*chance.choice(ranges))) for _ in range(chance.randrange(40))) for _ in range(700)
    ]
    mixed = ["".join(chance.choice(letters) for _ in range(chance.randrange(400))) for _ in range(700)]
    texts = [*known, *strange, *mixed, "", " ", "\0", "▁▁ a", "a▁b", "<s>", "x" * 2000, "日本" * 200]
    expected = library().encode_batch(texts)
    assert any(each.overflowing for each in expected)
    assert any(UNKNOWN in each.ids for each in expected)
    ids, truncated = encoder.tokenizer.ids(texts)
    assert ids == [each.ids for each in expected]
    assert truncated == [bool(each.overflowing) for each in expected]


def test_the_tokenizer_needs_less_memory_than_the_library() -> None:
    """The library takes 55 MB for these pieces, which is more than the weights."""
    code = """
import psutil
import sprat_encoder
from sprat_inference.tokenizer import GuardedTokenizer
before = psutil.Process().memory_info().rss
kept = GuardedTokenizer.load(sprat_encoder.ARTEFACT, max_tokens=128)
print((psutil.Process().memory_info().rss - before) / 1e6)
"""
    assert float(subprocess.check_output([sys.executable, "-c", code], text=True)) < 40


@pytest.mark.parametrize(
    "text", ["", "x", "{x", "hello there", "?!" * 60, "한국어 텍스트", "ﷺ" * 5, "½⅓", "x" * 20_000]
)
def test_no_text_has_more_tokens_than_the_upper_bound(text: str) -> None:
    tokens = GuardedTokenizer.load(sprat_encoder.ARTEFACT, max_tokens=MAX_TOKENS)
    (ids,), _ = tokens.ids([text])
    assert len(ids) <= tokens.upper_bound(text) <= MAX_TOKENS


def test_windows_take_their_edges_from_the_tokenizer() -> None:
    windows = Windows.load(sprat_encoder.ARTEFACT, max_tokens=16, overlap=4)
    _, cut = windows.cut(["Anna Schmidt zog von Lissabon nach München, weil Siemens dort eine Stelle für sie hatte."])
    assert len(cut) > 1
    assert {(window.ids[0], window.ids[-1]) for window in cut} == {(OPENING, CLOSING)}
