"""The lexical stage: n-grams as hashes, tf-idf, the file, and which texts it reads and answers."""

import numpy as np
import pytest

from sprat_inference import ngrams
from sprat_inference.artefact import BrokenArtefact
from sprat_inference.label_calibration import OUTSIDE, RIGHT, LabelCalibrator
from sprat_inference.lexical import LEXICAL_FILE, LexicalModel, LexicalStage
from sprat_inference.ngrams import read_few_ngrams, read_ngrams
from sprat_training.fitting.lexical_fit import fit_lexical
from support.lexical_texts import LABELS, TEXTS, gold


@pytest.fixture(scope="module")
def model() -> LexicalModel:
    return fit_lexical(read_ngrams(TEXTS), gold(), len(LABELS))


def vars_of(ngrams):
    return ngrams.hashes, ngrams.texts, ngrams.is_part


def hashes_of(texts, number):
    ngrams = read_ngrams(texts)
    return sorted(ngrams.hashes[ngrams.texts == number].tolist())


STRANGE = ["Where is my card?", "a", "", "...", "straße für ÄÖÜ", "x" * 70_000, "\ud800 broken", "İI\u0307 日本語 a_1"]


@pytest.mark.parametrize("text", STRANGE)
def test_the_ngrams_of_a_text_are_the_same_alone_and_among_others(text):
    alone = hashes_of([text], 0)
    among = hashes_of(["another text", text, "", "my card is gone"], 1)
    assert alone == among


@pytest.mark.parametrize("texts", [[], [""], TEXTS[:1], TEXTS, STRANGE, STRANGE[::-1]])
def test_word_by_word_the_ngrams_are_the_same_in_the_same_order(texts):
    together, word_by_word = read_ngrams(texts), read_few_ngrams(texts)
    for one, other in zip(vars_of(together), vars_of(word_by_word), strict=True):
        assert one.dtype == other.dtype
        assert one.tobytes() == other.tobytes()


def test_long_words_are_not_remembered():
    before = ngrams._remembered.cache_info().currsize
    read_few_ngrams(["y" * 33, "z" * 32])
    assert ngrams._remembered.cache_info().currsize == before + 1


@pytest.mark.parametrize(
    ("texts", "by_words"), [(["my card"] * 16, True), (["my card"] * 17, False), (["y" * 2_001], False)]
)
def test_many_texts_and_long_ones_are_not_read_word_by_word(texts, by_words, monkeypatch):
    read = []
    monkeypatch.setattr(ngrams, "read_few_ngrams", read.append)
    ngrams.ngrams_of(texts)
    assert read == [texts] * by_words


def test_a_text_has_its_words_its_pairs_and_the_parts_of_each_word():
    ngrams = read_ngrams(["my card"])
    # 2 words and 1 pair; parts of " my " of 3 (2) and of 4 (1), of " card " of 3 (4) and of 4 (3)
    assert (~ngrams.is_part).sum() == 3
    assert ngrams.is_part.sum() == 10
    assert len(set(ngrams.hashes.tolist())) == 13


def test_no_pair_spans_two_texts():
    assert len(read_ngrams(["my card", "is gone"]).hashes) == len(read_ngrams(["my card"]).hashes) + len(
        read_ngrams(["is gone"]).hashes
    )


def test_case_and_punctuation_do_not_matter_but_the_order_of_words_does():
    assert hashes_of(["Where is MY card?!"], 0) == hashes_of(["where is my card"], 0)
    assert hashes_of(["card my"], 0) != hashes_of(["my card"], 0)


def test_words_and_parts_each_have_length_1_and_unknown_ngrams_count(model):
    known = []
    for text in ("my card is gone", "zyx my qqqq card wvut is kjhgf gone"):
        ngrams = read_ngrams([text])
        places = model.table.find(ngrams.hashes)
        weights = model.table.weigh(ngrams, places, 1).astype(float)
        for kind in (ngrams.is_part, ~ngrams.is_part):
            assert np.sum(weights[kind] ** 2) == pytest.approx(0.5, abs=1e-6)
        known.append(np.sum(weights[places >= 0] ** 2))
    assert known[1] < 0.6 * known[0]


def test_the_table_finds_what_it_holds_and_nothing_else(model):
    hashes = model.table.hashes
    assert (model.table.find(hashes) == np.arange(len(hashes))).all()
    absent = np.setdiff1d(hashes + np.uint32(1), hashes).astype(np.uint32)
    assert (model.table.find(absent) == -1).all()
    assert model.table.find(hashes[:0]).tolist() == []


def test_it_labels_new_texts_and_is_less_sure_of_strange_ones(model):
    logits = model.logits(["is my card gone", "how many days of leave do i get", "the cat sat on a mat"])
    assert logits.argmax(axis=1)[:2].tolist() == [LABELS.index("badge"), LABELS.index("leave")]
    best = logits.max(axis=1) - logits.mean(axis=1)
    assert best[2] < 0.5 * best[:2].min()


def test_logits_depend_on_the_text_alone(model):
    texts = ["is my card gone", "", "when is payday"]
    together = model.logits(texts)
    for row, text in enumerate(texts):
        assert model.logits([text])[0].tobytes() == together[row].tobytes()
    assert model.logits(texts[1:2])[0].tobytes() == model.bias.tobytes()


def test_saved_and_loaded_it_is_the_same_and_a_second_file_has_the_same_bytes(model, tmp_path):
    model.save(tmp_path)
    first = (tmp_path / LEXICAL_FILE).read_bytes()
    loaded = LexicalModel.load(tmp_path, len(LABELS))
    assert loaded.logits(TEXTS).tobytes() == model.logits(TEXTS).tobytes()
    loaded.save(tmp_path)
    assert (tmp_path / LEXICAL_FILE).read_bytes() == first


def test_a_file_that_does_not_fit_is_refused(model, tmp_path):
    with pytest.raises(BrokenArtefact, match="cannot be read"):
        LexicalModel.load(tmp_path, len(LABELS))
    model.save(tmp_path)
    with pytest.raises(BrokenArtefact, match="the card has 9 labels"):
        LexicalModel.load(tmp_path, 9)
    with np.load(tmp_path / LEXICAL_FILE) as file:
        arrays = dict(file)
    for name, spoilt in {
        "hashes": arrays["hashes"][::-1],
        "scales": arrays["scales"][:-1],
        "weights": arrays["weights"].astype(np.float32),
    }.items():
        np.savez(tmp_path / LEXICAL_FILE, **{**arrays, name: spoilt})
        with pytest.raises(BrokenArtefact, match=r"lexical\.npz"):
            LexicalModel.load(tmp_path, len(LABELS))


def test_the_stage_reads_texts_in_its_languages_alone_and_none_that_is_much_longer(model):
    calibrator = LabelCalibrator(np.array([[0.0, 0.0, 0.0], [9.0, 0.0, -9.0]]), np.zeros(3))
    stage = LexicalStage(model, calibrator, calibrator, 0.0, 0.9, ("en",), 60)
    text, strange, long = "is my card gone", "the cat sat on a mat", "is my card gone " * 5
    reading = stage.read([text, text, text, long, strange], ["en", "en-GB", "de", "en", "en"])
    assert reading.reads.tolist() == [True, True, False, False, True]
    assert reading.answers.tolist() == [True, True, False, False, False]
    assert reading.chances[0, RIGHT] > 0.9
    assert reading.chances[4, OUTSIDE] > reading.chances[4, RIGHT]
    assert stage.read([text], ["de"]).answers.tolist() == [False]
