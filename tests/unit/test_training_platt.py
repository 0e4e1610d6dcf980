import numpy as np
import pytest

from sprat_inference.platt import Platt, log_odds
from sprat_training.calibration import calibrate, fit_chance


def drawn(count: int, bias: float, slope: float) -> tuple[np.ndarray, np.ndarray]:
    """Return stated probabilities, and whether each answer is right: as often as a known regression says."""
    draw = np.random.default_rng(7)
    stated = 1 / (1 + np.exp(-draw.normal(2.5, 2.0, count)))
    return stated, draw.random(count) < Platt(bias, slope).chances(stated)


def test_the_regression_that_the_answers_were_drawn_by_is_found_again():
    stated, right = drawn(20_000, -1.0, 0.6)
    found = fit_chance(stated, right)
    assert (found.bias, found.slope) == (pytest.approx(-1.0, abs=0.1), pytest.approx(0.6, abs=0.05))


def test_each_answer_is_judged_by_a_fit_without_it():
    stated, right = drawn(2_000, -1.0, 0.6)
    held_out, own = calibrate(stated, right).held_out, fit_chance(stated, right).chances(stated)
    assert not np.array_equal(held_out, own)
    assert np.abs(held_out - own).max() < 0.1
    assert ((held_out - right) ** 2).mean() < ((stated - right) ** 2).mean()


def test_a_probability_that_is_the_same_everywhere_becomes_the_share_that_is_right():
    right = np.arange(100) < 60
    found = fit_chance(np.full(100, 0.9), right)
    assert found.chance(0.9) == pytest.approx(0.6, abs=0.01)


def test_who_is_surer_of_the_worse_answers_is_as_sure_of_all():
    stated = np.repeat([0.6, 0.9], 50)
    found = fit_chance(stated, np.repeat([True, False], 50))
    assert (found.slope, found.chance(0.6), found.chance(0.9)) == (0.0, pytest.approx(0.5), pytest.approx(0.5))


@pytest.mark.parametrize("least", [0.0, 1e-12, 0.4])
def test_probabilities_of_0_and_1_and_answers_that_they_divide_wholly_give_finite_numbers(least):
    stated, right = np.repeat([least, 1.0], 40), np.repeat([False, True], 40)
    found = fit_chance(stated, right)
    assert np.isfinite([found.bias, found.slope]).all()
    assert found.chance(least) < 0.05
    assert found.chance(1.0) > 0.95


def test_a_chance_never_overflows():
    assert Platt(100.0, 100.0).chance(1.0) == 1.0
    assert Platt(-100.0, 100.0).chance(0.0) == pytest.approx(0.0)
    assert np.isfinite(log_odds(np.array([0.0, 1.0]))).all()


def test_where_none_is_wrong_a_confidence_stays_as_it_is():
    stated = np.linspace(0.5, 1, 60)
    found = calibrate(stated, np.ones(60, bool))
    assert (found.default, found.held_out.tolist()) == (Platt(), stated.tolist())


def test_several_languages_with_many_rows_each_get_a_fit_of_their_own():
    (german, right_de), (french, right_fr) = drawn(400, -3.0, 0.6), drawn(400, 1.0, 0.6)
    languages = ["de"] * 400 + ["fr"] * 400 + ["it"] * 20
    stated = np.concatenate([german, french, german[:20]])
    found = calibrate(stated, np.concatenate([right_de, right_fr, right_de[:20]]), languages=languages)
    assert set(found.by_language) == {"de", "fr"}
    assert found.by_language["de"].chance(0.9) < found.default.chance(0.9) < found.by_language["fr"].chance(0.9)


def test_rows_outside_weigh_as_much_as_their_share_of_the_traffic():
    stated, right = np.full(110, 0.8), np.arange(110) < 100
    for share in (0.05, 0.5):
        found = calibrate(stated, right, ~right, share)
        assert found.default.chance(0.8) == pytest.approx(1 - share, abs=0.02)
        assert found.held_out == pytest.approx(1 - share, abs=0.02), "in each fold, however many of them are in it"
