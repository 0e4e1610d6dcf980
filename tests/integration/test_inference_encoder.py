import json
import shutil
from pathlib import Path

import ctranslate2
import numpy as np
import pytest
from tokenizers import Tokenizer

from sprat_inference.artefact import BrokenArtefact, ModelError
from sprat_inference.encoder import SentenceEncoder, TokenEncoder, micro_batches
from sprat_inference.tokenizer import GuardedTokenizer

FOLDER = Path(__file__).resolve().parents[2] / "shared/encoder/src/sprat_encoder/artefacts/minilm-l6"
MAX_TOKENS = 128
SEP = 102


@pytest.fixture(scope="module")
def encoder() -> SentenceEncoder:
    return SentenceEncoder.load(FOLDER, max_tokens=MAX_TOKENS)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for path in FOLDER.iterdir():
        if path.name == "model.bin":
            (tmp_path / path.name).symlink_to(path)
        else:
            shutil.copy(path, tmp_path)
    return tmp_path


def test_vectors_have_length_1_and_the_order_of_the_texts(encoder: SentenceEncoder) -> None:
    texts = ["where is my order", "hi", "please move 100 euros to my savings", "hi"]
    vectors = encoder.encode(texts).vectors
    assert vectors.shape == (4, 384)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert np.allclose(vectors[1], vectors[3], atol=1e-5)
    assert not np.allclose(vectors[0], vectors[2], atol=0.1)


def test_a_vector_does_not_depend_on_its_neighbours(encoder: SentenceEncoder) -> None:
    texts = [f"{'very ' * (place % 40)}long text number {place}" for place in range(60)]
    together = encoder.encode(texts).vectors
    alone = np.concatenate([encoder.encode([text]).vectors for text in texts[::7]])
    assert np.abs(together[::7] - alone).max() < 1e-5


def test_two_threads_give_the_same_vectors_as_one(encoder: SentenceEncoder) -> None:
    two = SentenceEncoder.load(FOLDER, max_tokens=MAX_TOKENS, threads=2)
    texts = [f"text number {place} {'word ' * (place % 30)}" for place in range(60)]
    assert np.abs(two.encode(texts).vectors - encoder.encode(texts).vectors).max() < 1e-5


def test_similar_texts_have_near_vectors(encoder: SentenceEncoder) -> None:
    order, parcel, weather = encoder.encode(["where is my order", "where is my parcel", "will it rain"]).vectors
    assert order @ parcel > order @ weather + 0.3


def test_no_texts_give_no_rows(encoder: SentenceEncoder) -> None:
    encoded = encoder.encode([])
    assert len(encoded.vectors) == len(encoded.truncated) == len(encoded.empty) == 0


def test_case_and_white_space_make_no_difference(encoder: SentenceEncoder) -> None:
    loud, calm = encoder.encode(["  WHERE is\nmy \t order ", "where is my order"]).vectors
    assert np.allclose(loud, calm, atol=1e-5)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("\0\0", id="NUL"),
        pytest.param("\x01\x1b\x7f\u200b", id="control characters"),
        pytest.param("\u0301" * 20_000, id="20,000 combining marks"),
    ],
)
def test_a_text_without_tokens_is_marked_empty(encoder: SentenceEncoder, text: str) -> None:
    encoded = encoder.encode([text, "hello"])
    assert np.isfinite(encoded.vectors).all()
    assert encoded.empty.tolist() == [True, False]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("👍🏽👨‍👩‍👧‍👦", id="emoji"),
        pytest.param("\u202eمرحبا بالعالم\u202c", id="right to left"),
        pytest.param("a\ud800b", id="lone surrogate"),
        pytest.param("\U0010ffff\ufffe", id="not a character"),
        pytest.param("x" * 20_000, id="one word of 20,000 letters"),
        pytest.param("한" * 20_000, id="20,000 Hangul syllables"),
        pytest.param("a " * 10_000, id="10,000 words"),
    ],
)
def test_odd_text_is_encoded(encoder: SentenceEncoder, text: str) -> None:
    encoded = encoder.encode([text])
    assert np.isfinite(encoded.vectors).all()
    assert not encoded.empty[0]


def test_a_text_longer_than_the_model_reads_is_cut_and_marked_truncated(encoder: SentenceEncoder) -> None:
    exact, longer = "word " * (MAX_TOKENS - 2), "word " * (MAX_TOKENS - 1)
    encoded = encoder.encode([exact, longer, longer + "something else entirely", "short" + " " * 19_000])
    assert encoded.truncated.tolist() == [False, True, True, True]
    assert np.allclose(encoded.vectors[1], encoded.vectors[2], atol=1e-5)


@pytest.mark.parametrize("name", ["[SEP]", "[CLS]", "[PAD]", "[MASK]", "[UNK]"])
def test_a_special_token_written_in_a_text_stays_text(encoder: SentenceEncoder, name: str) -> None:
    (ids,), _ = encoder.tokenizer.ids([f"hello {name} world"])
    special = Tokenizer.from_file(str(FOLDER / "tokenizer.json")).token_to_id(name)
    assert special is not None
    assert special not in ids[1:-1]
    assert len(ids) > 6


@pytest.mark.parametrize("text", ["", "hello there", "?!" * 300, "한국어 텍스트", "\U0001d164", "İİİ", "x" * 20_000])
def test_no_text_has_more_tokens_than_the_upper_bound(encoder: SentenceEncoder, text: str) -> None:
    (ids,), _ = encoder.tokenizer.ids([text])
    assert len(ids) <= encoder.tokenizer.upper_bound(text) <= MAX_TOKENS


def test_micro_batches_hold_every_text_once_are_of_one_length_and_within_the_limit() -> None:
    lengths = [3, 120, 7, 7, 500, 1, 64, 3, 99, 40, *[7] * 60]
    batches = list(micro_batches(lengths, 200))
    assert sorted(place for batch in batches for place in batch) == list(range(len(lengths)))
    for batch in batches:
        (length,) = {lengths[place] for place in batch}
        assert len(batch) == 1 or len(batch) * length <= 200


def test_micro_batches_hold_lengths_that_are_padded_to_one() -> None:
    lengths = [9, 3, 8, 16, 12, 1, 17]
    assert list(micro_batches(lengths, 200, multiple=8)) == [[5, 1, 2], [0, 4, 3], [6]]
    assert list(micro_batches(lengths, 32, multiple=8)) == [[5, 1, 2], [0, 4], [3], [6]]


def test_a_vector_is_the_same_to_the_bit_whatever_is_computed_beside_it(encoder: SentenceEncoder) -> None:
    texts = ["word " * count for count in range(1, 30)]
    together = encoder.encode(texts).vectors
    alone = [encoder.encode([text]).vectors[0] for text in texts]
    assert np.array_equal(together, alone)


def test_no_sequence_is_padded_beyond_what_the_model_reads() -> None:
    shapes = []

    class Recording:
        def forward_batch(self, ids: ctranslate2.StorageView, lengths: ctranslate2.StorageView) -> object:
            shapes.append((tuple(ids.shape), np.asarray(lengths).tolist()))

            class Output:
                last_hidden_state = np.zeros((*ids.shape, 4), np.float32)

            return Output()

    states = TokenEncoder(Recording(), max_tokens=10, threads=1)
    lengths = [len(each) for each in states.encode([[1] * 9, [1] * 3, [1] * 10], lambda each: each[..., 0])]
    assert lengths == [9, 3, 10]
    assert shapes == [((1, 8), [3]), ((2, 10), [9, 10])]


def test_the_probe_passes_on_a_sound_model(encoder: SentenceEncoder) -> None:
    encoder.probe()


def test_a_tokenizer_with_more_ids_than_the_model_is_refused(copy: Path) -> None:
    words = json.loads((copy / "vocabulary.json").read_text(encoding="utf-8"))
    (copy / "vocabulary.json").write_text(json.dumps(words[:-1]), encoding="utf-8")
    with pytest.raises(BrokenArtefact, match="different models"):
        SentenceEncoder.load(copy, max_tokens=MAX_TOKENS)


def test_more_tokens_than_the_model_has_positions_are_refused(copy: Path) -> None:
    with pytest.raises(BrokenArtefact, match="position"):
        SentenceEncoder.load(copy, max_tokens=513)


@pytest.mark.parametrize("name", ["model.bin", "tokenizer.json", "vocabulary.json"])
def test_a_missing_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(BrokenArtefact, match=str(copy)):
        SentenceEncoder.load(copy, max_tokens=MAX_TOKENS)


@pytest.mark.parametrize("name", ["model.bin", "tokenizer.json", "vocabulary.json"])
def test_a_damaged_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    (copy / name).write_bytes(b"\x00\x01rubbish")
    with pytest.raises(BrokenArtefact, match=str(copy)):
        SentenceEncoder.load(copy, max_tokens=MAX_TOKENS)


class NotFinite:
    def forward_batch(self, ids: ctranslate2.StorageView, lengths: ctranslate2.StorageView) -> object:
        class Output:
            last_hidden_state = np.full((*ids.shape, 4), np.nan, np.float32)

        return Output()


class Failing:
    def forward_batch(self, ids: ctranslate2.StorageView, lengths: ctranslate2.StorageView) -> object:
        raise RuntimeError("out of memory")


@pytest.mark.parametrize(("model", "says"), [(NotFinite(), "not finite"), (Failing(), "out of memory")])
def test_nonsense_and_failures_of_the_runtime_raise_errors_without_the_text(model: object, says: str) -> None:
    broken = SentenceEncoder(
        TokenEncoder(model, MAX_TOKENS, threads=1), GuardedTokenizer.load(FOLDER, max_tokens=MAX_TOKENS)
    )
    with pytest.raises(ModelError, match=says) as caught:
        broken.encode(["secret"])
    assert "secret" not in str(caught.value)


def test_an_empty_sequence_never_reaches_the_runtime() -> None:
    with pytest.raises(ValueError, match="kill"):
        TokenEncoder(Failing(), MAX_TOKENS, threads=1).encode([[1], []], lambda states: states)


def test_the_served_model_is_int8(encoder: SentenceEncoder) -> None:
    assert isinstance(encoder._states._model, ctranslate2.Encoder)
    assert "int8" in encoder._states._model.compute_type
