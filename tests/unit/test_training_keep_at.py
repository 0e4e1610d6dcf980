"""The rule by which a keep_at is recommended."""

import itertools
import math

import numpy as np
import pytest

from sprat_training.keep_at import Recommendation, RightAt, keep_at_rule, recommend

MORE_TEXTS_ALONE = (
    "measuring with more texts will hardly show 97.0%: ask for a lower --accuracy, or make the model better"
)


def shares_of(confidence, right):
    """Return the share right of what is kept at each hundredth."""
    kept = ((step / 100, right[confidence >= step / 100]) for step in range(101))
    return [RightAt(at, float(each.mean()) if len(each) else 0.0, len(each)) for at, each in kept]


@pytest.mark.parametrize(
    ("right", "texts", "shown"),
    [(10, 10, 0.787), (87, 87, 0.9698), (88, 88, 0.9702), (97, 100, 0.9273), (0, 10, 0.0)],
)
def test_what_is_shown_is_the_lower_end_of_wilsons_one_sided_interval(right, texts, shown):
    # n of n: n / (n + z²). 97 of 100: (0.97 + z²/200 − z·√(0.0291/100 + z²/40000)) / (1 + z²/100).
    assert RightAt(0.5, right / texts, texts).shown == pytest.approx(shown, abs=5e-4)


def test_ten_right_ones_of_ten_do_not_show_97_percent_and_88_of_88_do():
    few, enough = (recommend([RightAt(0.5, 1.0, texts)], 0.97) for texts in (10, 88))
    assert not few.is_shown
    assert few.texts_needed == 88
    shown = "provisional: the kept texts (10) show 78.7% with 95 % confidence"
    assert str(few) == f"{shown}; to show 97.0% takes 88, all right"
    assert enough.is_shown
    keep_at, rule = keep_at_rule("the answers kept", 0.97, "held-out texts", enough)
    assert keep_at == 0.5
    assert rule.startswith("the least hundredth from 0.50 on at which the answers kept are 97.0% right on held-out")
    assert rule.endswith(", with 95 % confidence")


def test_so_many_texts_as_are_said_to_be_needed_show_it():
    found = recommend([RightAt(0.5, 0.98, 100)], 0.97)
    needed = found.texts_needed
    assert RightAt(0.5, 0.98, needed).shown >= 0.97 > RightAt(0.5, 0.98, needed - 1).shown
    assert f"to show 97.0% takes {needed:,}, as often right" in str(found)
    exactly = recommend([RightAt(0.5, 0.97, 100)], 0.97)
    assert exactly.texts_needed is None
    assert str(exactly).endswith(f"; {MORE_TEXTS_ALONE}")


def test_none_below_a_half_is_recommended_and_none_that_keeps_too_much_that_is_wrong():
    assert recommend([RightAt(0.3, 1.0, 1000), RightAt(0.5, 1.0, 500)], 0.9).keep_at == 0.5
    assert recommend([RightAt(0.3, 1.0, 1000), RightAt(0.5, 0.8, 500)], 0.9) is None
    assert recommend([RightAt(0.5, 0.8, 10), RightAt(0.9, 0.0, 0)], 0.9) is None


@pytest.mark.parametrize("texts", [20, 60, 400])
def test_a_lower_accuracy_never_gives_a_stricter_threshold(texts):
    """That of a low accuracy can be shown, that of a high one only counted: the latter must not be the lower one."""
    for seed in range(40):
        random = np.random.default_rng(seed)
        confidence = random.uniform(0.4, 1.0, texts)
        shares = shares_of(confidence, random.uniform(size=texts) < confidence**0.5)
        found = [recommend(shares, accuracy) for accuracy in np.arange(0.5, 1.0, 0.01)]
        reached = [each.keep_at for each in found if each]
        assert reached
        assert all(low <= high for low, high in itertools.pairwise(reached))
        assert all(later is None for each, later in itertools.pairwise(found) if each is None)


def test_with_few_texts_the_threshold_is_the_one_that_shows_the_most():
    """Eight texts, the least confident one wrong: 0.5 reaches 80 %, but seven right ones of seven show more."""
    confidence = np.array([0.55, 0.7, 0.75, 0.8, 0.85, 0.9, 0.92, 0.95])
    found = recommend(shares_of(confidence, confidence > 0.6), 0.8)
    assert (found.keep_at, found.is_shown, found.at.texts) == (0.56, False, 7)


def test_what_takes_too_many_texts_is_called_out_of_reach():
    found = Recommendation(0.97, RightAt(0.9, 0.9705, 100))
    assert found.texts_needed > 20_000
    assert str(found).endswith(f"; {MORE_TEXTS_ALONE}")
    no_longer = Recommendation(0.97, RightAt(0.9, 0.972, 100))
    assert no_longer.texts_needed == 19_683
    assert str(no_longer).endswith(f"; {MORE_TEXTS_ALONE}"), "the same words for all that is out of reach"


def test_the_example_of_the_page_is_what_the_rule_gives():
    """Of `docs/own-models.md`: right and kept texts at three thresholds, and what they show."""
    counts = {0.60: (136, 140), 0.75: (121, 123), 0.90: (56, 56)}
    shares = [RightAt(at, right / kept, kept) for at, (right, kept) in counts.items()]
    assert [f"{each.share:.1%}" for each in shares] == ["97.1%", "98.4%", "100.0%"]
    assert [math.floor(each.shown * 1000) / 10 for each in shares] == [93.7, 95.2, 95.3]
    found = recommend(shares, 0.97)
    assert (found.keep_at, found.is_shown, found.least.keep_at) == (0.75, False, 0.60)
