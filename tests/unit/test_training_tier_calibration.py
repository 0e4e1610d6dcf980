import pytest

from sprat_training.evaluation.tier_comparison import TierAnswer
from sprat_training.tier_calibration import LEAST_ANSWERS, calibrate_tiers


def said(label: str | None, stated: float | None, *, cached: bool = False) -> TierAnswer:
    return TierAnswer("house", label, kept=True, eur=0.0, stated=stated, cached=cached)


def of(right: int, wrong: int, stated: float = 0.95):
    """Return the only fit of a tier that is so often right and wrong."""
    answers = [[said("a", stated)] for _ in range(right + wrong)]
    (fit,) = calibrate_tiers(answers, ["a"] * right + ["b"] * wrong)
    return fit


def test_a_tier_that_states_too_much_is_calibrated_to_what_is_right():
    fit = of(60, 40)
    assert (fit.tier, fit.answers, fit.problem) == ("house", 100, "")
    assert (fit.right.value, fit.stated) == (pytest.approx(0.6), pytest.approx(0.95))
    assert fit.platt.chance(0.95) == pytest.approx(0.6, abs=0.01)
    assert fit.brier_calibrated < 0.26 < fit.brier_stated


@pytest.mark.parametrize(
    ("right", "wrong", "problem"),
    [
        (LEAST_ANSWERS - 10, 9, "50 answers with a probability are needed"),
        (LEAST_ANSWERS, 4, "5 right and 5 wrong ones are needed"),
        (4, LEAST_ANSWERS, "5 right and 5 wrong ones are needed"),
    ],
)
def test_too_few_answers_give_no_calibration_and_say_what_is_missing(right, wrong, problem):
    fit = of(right, wrong)
    assert (fit.platt, fit.problem, fit.brier_calibrated) == (None, problem, None)


def test_what_is_calibrated_already_stays_as_it_is():
    fit = of(60, 40, stated=0.6)
    assert (fit.platt, fit.problem) == (
        None,
        "calibrated chances are no better on answers that they were not fitted to",
    )


def test_answers_without_a_probability_and_those_to_an_equal_text_do_not_count():
    steps = [[said("a", None)], [said(None, 0.9)], [said("a", 0.9, cached=True)], [said("a", 0.9)]]
    (fit,) = calibrate_tiers(steps, ["a"] * 4)
    assert fit.answers == 1
    assert fit.as_json["calibration"] is None
