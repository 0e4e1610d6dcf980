"""The calibration of several labels a text: each label's chance, and that of the whole set."""

import numpy as np
import pytest

from sprat_inference.artefact import BrokenArtefact
from sprat_inference.card import Calibration
from sprat_inference.label_sets import SetCalibration, set_features, sigmoid


def card(**parameters: tuple[float, ...]) -> Calibration:
    return Calibration(method="m", fitted_on="f", outside_share=0.0, longest_code_points=10, parameters=parameters)


def test_a_sigmoid_does_not_overflow() -> None:
    assert sigmoid(np.array([-1000.0, 0.0, 1000.0])).tolist() == [0.0, 0.5, 1.0]


def test_each_label_has_its_own_slope_and_offset() -> None:
    calibration = SetCalibration.of(card(slope=(1.0, 0.0), offset=(0.0, np.log(3.0))), 2)
    chances = calibration.chances(np.array([[np.log(4.0), -9.0]], np.float32))
    assert chances == pytest.approx(np.array([[0.8, 0.75]]))


def test_without_a_fit_of_the_whole_its_chance_is_the_product() -> None:
    calibration = SetCalibration.none(2)
    assert calibration.all_right(np.array([[0.9, 0.2], [0.5, 1.0]])) == pytest.approx([0.72, 0.5])


def test_the_whole_is_read_from_its_features() -> None:
    calibration = SetCalibration.of(card(slope=(1.0, 1.0), offset=(0.0, 0.0), whole=(0.0, 0.0, 1.0)), 2)
    assert calibration.all_right(np.array([[0.9, 0.2]])) == pytest.approx([0.8], abs=1e-6)
    assert set_features(np.array([[0.9, 0.2]])) == pytest.approx(np.log(np.array([[0.72 / 0.28, 4.0]])), abs=1e-6)


def test_a_card_gives_back_what_was_written() -> None:
    written = SetCalibration(np.array([1.5, 2.0]), np.array([-1.0, 0.5]), np.array([0.1, 0.2, 0.3]))
    read = SetCalibration.of(card(**written.parameters()), 2)
    assert read.parameters() == written.parameters()
    assert set(SetCalibration.none(3).parameters()) == {"slope", "offset"}


@pytest.mark.parametrize(
    "parameters",
    [
        {"temperature": (1.0,)},
        {"slope": (1.0,), "offset": (0.0,)},
        {"slope": (1.0, -1.0), "offset": (0.0, 0.0)},
        {"slope": (1.0, 1.0), "offset": (0.0, 0.0), "whole": (1.0,)},
    ],
    ids=["of another kind", "for one label", "a higher logit that means less", "a whole without weights"],
)
def test_another_calibration_is_refused(parameters: dict[str, tuple[float, ...]]) -> None:
    with pytest.raises(BrokenArtefact, match="no calibration of several labels"):
        SetCalibration.of(card(**parameters), 2)
