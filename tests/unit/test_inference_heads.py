"""The head of labels, on the vectors of one encoder or of two."""

from pathlib import Path

import numpy as np
import pytest

from sprat_inference.artefact import BrokenArtefact
from sprat_inference.encoder import unit
from sprat_inference.heads import Floats, LabelHead

LABELS = 3


def random_vectors(*shape: int) -> Floats:
    return unit(np.random.default_rng(0).normal(size=shape).astype(np.float32))


def test_the_vectors_of_two_encoders_are_centred_each_count_the_same_and_lie_side_by_side() -> None:
    vectors = random_vectors(5, 2, 4)
    vectors[:, 1] = vectors[:, 1] * np.float32(0.1) + np.float32(0.9)  # in a narrow cone, as some encoders give them
    mean = vectors.mean(axis=0)
    centred = LabelHead.centred(vectors, mean)
    assert centred.shape == (5, 8)
    assert centred.dtype == np.float32
    assert np.allclose(np.linalg.norm(centred, axis=1), 1, atol=1e-6)
    for place in (0, 1):
        alone = LabelHead.centred(vectors[:, place], mean[place])
        assert np.allclose(centred[:, 4 * place : 4 * place + 4], alone / np.sqrt(2), atol=1e-6)
    assert LabelHead.centred(vectors[:0], mean).shape == (0, 8)


def test_a_head_on_two_encoders_is_the_same_after_it_was_written(tmp_path: Path) -> None:
    head = LabelHead(random_vectors(2, 4), random_vectors(8, LABELS), np.zeros(LABELS, np.float32))
    head.save(tmp_path)
    vectors = random_vectors(6, 2, 4)
    loaded = LabelHead.load(tmp_path, LABELS)
    assert (loaded.logits(vectors, ["en"] * 6) == head.logits(vectors, ["en"] * 6)).all()
    alone = LabelHead(np.zeros((2, 4), np.float32), head.weights, head.bias)
    assert not np.allclose(alone.logits(vectors, ["en"] * 6), head.logits(vectors, ["en"] * 6))


@pytest.mark.parametrize("mean", [(4,), (2, 3), (3, 4)])
def test_a_mean_that_does_not_fit_the_weights_is_refused(tmp_path: Path, mean: tuple[int, ...]) -> None:
    LabelHead(np.zeros(mean, np.float32), random_vectors(8, LABELS), np.zeros(LABELS, np.float32)).save(tmp_path)
    with pytest.raises(BrokenArtefact, match="3 labels"):
        LabelHead.load(tmp_path, LABELS)


def test_a_language_mean_of_one_encoder_is_refused_where_there_are_two(tmp_path: Path) -> None:
    means = {"en": np.zeros(8, np.float32)}
    LabelHead(random_vectors(2, 4), random_vectors(8, LABELS), np.zeros(LABELS, np.float32), means).save(tmp_path)
    with pytest.raises(BrokenArtefact, match="3 labels"):
        LabelHead.load(tmp_path, LABELS)
