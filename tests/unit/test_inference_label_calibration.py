import numpy as np
import pytest

from sprat_contracts.languages import primary_subtag
from sprat_inference.label_calibration import OUTSIDE, RIGHT, CalibratorsByLanguage, LabelCalibrator

STRICT = LabelCalibrator(np.array([[1.0, 0.0, -1.0], [1.0, 0.0, -1.0]]), np.array([-3.0, 0.0, 3.0]))
MILD = LabelCalibrator(np.array([[1.0, 0.0, -1.0], [1.0, 0.0, -1.0]]), np.array([0.0, 0.0, -3.0]))
BOTH = CalibratorsByLanguage({"en": STRICT, "de": MILD})
LOGITS = np.array([[4.0, 1.0, 0.0], [0.1, 0.0, 0.0]], np.float32)


def test_each_text_is_calibrated_by_its_own_language() -> None:
    rows = BOTH.chances(LOGITS[[0, 0]], ["en", "de"])
    assert rows[0] == pytest.approx(CalibratorsByLanguage({"en": STRICT}).chances(LOGITS[:1], ["en"])[0])
    assert rows[1] == pytest.approx(CalibratorsByLanguage({"en": MILD}).chances(LOGITS[:1], ["en"])[0])
    assert not np.allclose(rows[0], rows[1])


def test_an_uncalibrated_language_gets_the_lowest_of_all_chances_and_the_rest_counts_as_wrong() -> None:
    each = np.stack([BOTH.chances(LOGITS, [language] * 2) for language in ("en", "de")])
    cautious = BOTH.chances(LOGITS, ["pl", "pl"])
    for outcome in (RIGHT, OUTSIDE):
        assert cautious[:, outcome] == pytest.approx(each[:, :, outcome].min(axis=0))
    assert cautious.sum(axis=1) == pytest.approx([1.0, 1.0])
    assert (cautious >= 0).all()


def test_region_and_case_of_a_language_tag_make_no_difference() -> None:
    assert [primary_subtag(tag) for tag in ("de", "de-AT", "DE-ch-1996")] == ["de"] * 3


def test_no_texts_give_no_rows() -> None:
    assert BOTH.chances(np.zeros((1, 3), np.float32)[:0].reshape(0, 3), []).shape == (0, 3)
