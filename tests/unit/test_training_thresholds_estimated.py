"""The accuracies that are reached on average."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sprat_contracts.thresholds import LEVELS
from sprat_training.thresholds import estimate
from sprat_training.thresholds.estimated import effective

ROWS = st.lists(st.tuples(st.integers(0, 100), st.booleans(), st.integers(1, 4)), min_size=1, max_size=300)


def steps_of(confidence, right, weight=None, group=None):
    count = len(confidence)
    weight = np.ones(count) if weight is None else np.asarray(weight, float)
    return {
        each.accuracy: each for each in estimate(np.asarray(confidence, float), np.asarray(right, bool), weight, group)
    }


@pytest.mark.parametrize(("level", "needed"), [(0.8, 4), (0.9, 9), (0.95, 19), (0.97, 33), (0.99, 99), (0.995, 199)])
def test_so_many_kept_rows_without_an_error_reach_a_level(level, needed):
    assert level not in steps_of([0.9] * (needed - 1), [True] * (needed - 1))
    step = steps_of([0.9] * needed, [True] * needed)[level]
    assert (step.threshold, step.kept, step.right) == (0.9, needed, needed)


def test_it_is_the_least_confidence_at_which_the_level_is_reached():
    # 0.9: 0 of 9 wrong; 0.8: 1 of 10; 0.7: 1 of 19, (1 + 1) / (19 + 1) = 0.1; 0.6: 2 of 20.
    confidence = [0.9] * 9 + [0.8] + [0.7] * 9 + [0.6]
    right = [True] * 9 + [False] + [True] * 9 + [False]
    step = steps_of(confidence, right)[0.9]
    assert (step.threshold, step.kept, step.right) == (0.7, 19, 18)


def test_equal_confidences_are_kept_together():
    steps = steps_of([0.9] * 40, [True] * 36 + [False] * 4)
    assert {each.threshold for each in steps.values()} == {0.9}
    assert max(steps) == 0.875  # 5 of 41


def test_none_is_below_a_half():
    assert steps_of([0.49] * 500, [True] * 500) == {}
    assert steps_of([0.5] * 500, [True] * 500)[0.995].threshold == 0.5
    assert steps_of([], []) == {}


def test_rows_of_unequal_weight_count_as_the_effective_number_of_which_the_weighted_share_is_wrong():
    # 100 of weight 1, and 10 of 2, all wrong: 120² / 140 = 102.86; 20 / 120 of it is wrong.
    weight = [1.0] * 100 + [2.0] * 10
    step = steps_of([0.9] * 110, [True] * 100 + [False] * 10, weight)[0.82]
    assert (step.kept, step.kept - step.right) == (102.86, pytest.approx(102.86 * 20 / 120, abs=0.01))


def test_light_stand_ins_count_at_most_as_the_rows_that_they_weigh_as_much_as():
    # One wrong row would weigh as much as 44 of them.
    steps = steps_of([0.9] * 350, [True] * 350, [8 / 350] * 350)
    assert (max(steps), steps[0.8].kept) == (0.885, 8)
    assert effective(np.full(350, 8 / 350), np.arange(350)) == 8


def test_near_doubles_count_as_one_row():
    group = np.repeat(np.arange(16), 10)
    steps = steps_of([0.9] * 160, [True] * 160, group=group)
    assert (max(steps), steps[0.94].kept) == (0.94, 16)  # 1 of 17
    mixed = np.random.default_rng(0).permutation(160)
    assert steps_of([0.9] * 160, [True] * 160, group=group[mixed]) == steps
    assert effective(np.ones(160), group) == 16


@given(ROWS)
def test_no_threshold_falls_as_the_level_rises_and_each_is_reached_at_it(rows):
    confidence, right, weight = (np.array(each) for each in zip(*rows, strict=True))
    confidence = confidence / 100
    steps = estimate(confidence, right, weight.astype(float))
    for lower, higher in pairwise(steps):
        assert lower.accuracy < higher.accuracy
        assert lower.threshold <= higher.threshold
    for step in steps:
        assert step.threshold >= 0.5
        assert step.threshold in confidence
        assert step.accuracy in LEVELS
        assert step.kept - step.right + 1 <= (1 - step.accuracy) * (step.kept + 1) + 0.02  # two decimals in the file


@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(rows, random):
    shuffled = random.sample(rows, len(rows))
    found = []
    for many in (rows, shuffled):
        confidence, right, weight = (np.array(each) for each in zip(*many, strict=True))
        found.append([(each.accuracy, each.threshold) for each in estimate(confidence / 100, right, weight * 1.0)])
    assert found[0] == found[1]
