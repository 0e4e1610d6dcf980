"""What the comparison of encoders counts."""

import numpy as np
import pytest

from sprat_inference.encoder import SentenceVectors
from tests.bench.encoders import OneOfTwo, resampled, risk_area


def test_the_area_counts_what_is_wrong_among_the_surest() -> None:
    confidence = np.array([0.2, 0.9, 0.8, 0.1])
    assert risk_area(confidence, np.array([True, True, True, False])) == pytest.approx((0 + 0 + 0 + 1 / 4) / 4)
    assert risk_area(confidence, np.array([True, False, True, True])) == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 4) / 4)
    value, low, high = resampled(confidence, np.ones(4, bool))
    assert (value, low, high) == (0, 0, 0)


def test_one_encoder_of_two_has_its_own_vectors() -> None:
    class Both:
        def encode(self, texts: list[str]) -> SentenceVectors:
            none = np.zeros(len(texts), bool)
            return SentenceVectors(np.stack([np.full((2, 3), 1.0), np.full((2, 3), 2.0)], axis=1), none, none)

    assert (OneOfTwo(Both(), 1).encode(["a", "b"]).vectors == np.full((2, 3), 2.0)).all()
