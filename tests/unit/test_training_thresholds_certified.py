"""The accuracies that hold at a certainty of 95 %."""

import math
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sprat_contracts.thresholds import NONE, SOME
from sprat_training.thresholds import Purpose, Rows, certify, walks_of
from sprat_training.thresholds.certified import STEPS, at_most, least_rows, rows_that_certify, spend_of

SPEND = spend_of(1)


@pytest.fixture(scope="module")
def binom():
    """Return scipy's: each worker of pytest would take a second for it to collect the tests."""
    from scipy.stats import binom  # noqa: PLC0415 - a second, which every worker of pytest would take

    return binom


def rows_of(count, wrong=()):
    """Return confidences from 0.99 down to 0.51, and which of them are right."""
    right = np.ones(count, bool)
    right[list(wrong)] = False
    return np.linspace(0.99, 0.51, count), right


@pytest.mark.parametrize("rows", [1, 10, 697, 50_000])
@pytest.mark.parametrize("risk", [0.005, 0.03, 0.2, 0.5])
def test_the_chance_of_few_errors_is_exact(binom, rows, risk):
    for errors in sorted({0, 1, min(rows, 7), int(rows * risk / 2), int(rows * risk), rows - 1, rows}):
        exact = binom.cdf(errors, rows, risk)
        assert at_most(errors, rows, risk) == pytest.approx(exact, rel=1e-9, abs=1e-300)


@pytest.mark.parametrize(("attempt", "part"), [(1, 0.030), (2, 0.008), (3, 0.003)])
def test_each_attempt_spends_less_and_all_of_them_five_percent(attempt, part):
    assert spend_of(attempt) == pytest.approx(part, abs=5e-4)
    assert spend_of(attempt, also_chose=True) == spend_of(attempt) / 2
    assert 0.0499 < sum(map(spend_of, range(1, 10_000))) < 0.05


@pytest.mark.parametrize(("goal", "needed"), [(0.95, 69), (0.97, 115), (0.98, 173), (0.99, 348), (0.995, 697)])
def test_so_many_kept_rows_without_an_error_certify(goal, needed):
    assert least_rows(goal, SPEND) == needed
    assert goal**needed <= SPEND < goal ** (needed - 1)
    assert certify(*rows_of(needed - 1), goal, SPEND) is None
    step = certify(*rows_of(needed), goal, SPEND)
    assert (step.kept, step.right, step.threshold) == (needed, needed, 0.51)


def test_the_walk_stops_at_the_first_test_that_does_not_reject():
    # 20 steps of 115 to 875 rows, 40 apart. The second fails by 6 errors; from 795 rows on it would be passed again.
    confidence, right = rows_of(875, range(120, 126))
    assert at_most(6, 875, 0.03) < SPEND < at_most(6, 155, 0.03)
    assert certify(confidence, right, 0.97, SPEND).kept == 115
    assert certify(confidence, np.ones(875, bool), 0.97, SPEND).kept == 875
    assert certify(*rows_of(875, [3, 10]), 0.97, SPEND) is None  # the first fails


def test_there_are_twenty_steps_of_equal_kept_rows_at_most():
    confidence = rows_of(875)[0]
    passed = set()
    for first in range(875):  # all from here on is wrong: the walk ends before
        right = np.arange(875) < first
        step = certify(confidence, right, 0.97, SPEND)
        if step is not None:
            passed.add(int(step.kept))
    assert sorted(passed) == [*range(115, 876, 40)]
    assert len(passed) == STEPS


def test_equal_confidences_go_together():
    confidence = np.repeat([0.9, 0.8, 0.7], 100)
    right = np.ones(300, bool)
    assert certify(confidence, right, 0.97, SPEND).kept == 300
    right[200:230] = False
    step = certify(confidence, right, 0.97, SPEND)
    assert (step.threshold, step.kept) == (0.8, 200)
    right[150:180] = False
    assert certify(confidence, right, 0.97, SPEND) is None  # the first 115 are 200


def test_none_is_below_a_half():
    confidence = np.concatenate([np.full(115, 0.8), np.full(500, 0.49)])
    step = certify(confidence, np.ones(615, bool), 0.97, SPEND)
    assert (step.threshold, step.kept) == (0.8, 115)
    assert certify(np.full(500, 0.49), np.ones(500, bool), 0.97, SPEND) is None


@given(
    st.lists(st.tuples(st.integers(40, 100), st.booleans()), min_size=1, max_size=400),
    st.sampled_from([0.8, 0.85, 0.9]),
    st.randoms(use_true_random=False),
)
def test_what_is_certified_passes_its_test_in_any_order_of_the_rows(binom, rows, goal, random):
    found = []
    for many in (rows, random.sample(rows, len(rows))):
        confidence, right = (np.array(each) for each in zip(*many, strict=True))
        found.append(certify(confidence / 100, right, goal, SPEND))
    assert found[0] == found[1]
    if found[0] is not None:
        step = found[0]
        kept = [right for confidence, right in rows if confidence / 100 >= step.threshold]
        assert (step.kept, step.right) == (len(kept), sum(kept))
        assert binom.cdf(len(kept) - sum(kept), len(kept), 1 - goal) <= SPEND


@given(st.integers(100, 400), st.sets(st.integers(0, 399), max_size=40), st.sampled_from([0.8, 0.85, 0.9, 0.95]))
def test_labels_do_not_move_the_steps(count, wrong, goal):
    confidence, right = rows_of(count, {each for each in wrong if each < count})
    all_right = certify(confidence, np.ones(count, bool), goal, SPEND)
    step = certify(confidence, right, goal, SPEND)
    if step is not None:
        first = least_rows(goal, SPEND)
        assert int(step.kept) in np.linspace(first, count, STEPS).round()
        assert step.threshold >= all_right.threshold


def measured(some, none=0, outside=5):
    count = some + none
    return Rows.of(
        np.full(count, 0.9),
        np.ones(count),
        says_none=np.arange(count) >= some,
        outside=np.arange(count) < outside,
        certifies=np.ones(count),
    )


def test_walks_share_what_an_attempt_may_spend_and_cells_with_few_rows_get_none():
    # For 97 % a test without an error takes 99 rows at 5 %, for 99 % 299.
    walks = {(each.goal, each.says): each for each in walks_of(measured(300, 98), Purpose((0.99, 0.97), "file"))}
    assert walks[0.97, SOME].spend == walks[0.99, SOME].spend == SPEND / 2
    assert walks[0.97, NONE].spend == walks[0.99, NONE].spend == 0
    assert (walks[0.97, NONE].rows, walks[0.97, NONE].needed) == (98, 99)
    assert walks[0.97, SOME].needed == math.ceil(math.log(SPEND / 2) / math.log(0.97))
    more = walks_of(measured(300, 99), Purpose((0.99, 0.97), "file"))
    assert sorted(each.spend for each in more) == [0, *[SPEND / 3] * 3]
    chose = walks_of(measured(300), Purpose((0.97,), "file", also_chose=True), attempt=2)
    assert [each.spend for each in chose] == [spend_of(2) / 2, 0]


def test_without_texts_outside_there_is_no_walk_unless_the_owner_says_that_there_are_none():
    none = measured(300, outside=0)
    assert not any(each.spend for each in walks_of(none, Purpose((0.97,), "file")))
    assert any(each.spend for each in walks_of(none, Purpose((0.97,), "file", no_outside_texts=True)))
    assert any(each.spend for each in walks_of(none, Purpose((0.97,), "file", can_be_outside=False)))


def test_one_random_row_of_each_group_of_near_doubles_certifies():
    group = np.repeat(np.arange(100), 3)
    certifies = np.ones(300, bool)
    certifies[:30] = False
    rows = Rows.of(np.arange(300) / 300, np.ones(300), group=group, certifies=certifies, real=np.arange(300) < 297)
    first, again, other = (rows_that_certify(rows, seed) for seed in (0, 0, 1))
    assert first.group.tolist() == list(range(10, 99))
    assert first.confidence.tolist() == again.confidence.tolist() != other.confidence.tolist()
    places = np.concatenate([(rows_that_certify(rows, seed).confidence * 300).round() % 3 for seed in range(30)])
    assert np.bincount(places.astype(int)).min() > 700  # of 2,670: none is preferred


def test_a_goal_is_a_level():
    with pytest.raises(ValueError, match=r"0.971 is no goal; the nearest are \(0.97, 0.975\)"):
        Purpose((0.97, 0.971), "file")


def test_in_few_draws_a_model_of_flat_risk_is_certified_for_more_than_it_is(binom):
    random = np.random.default_rng(0)
    confidence, allowed = np.linspace(0.99, 0.51, 1500), 0.03
    draws = [certify(confidence, random.random(1500) >= 1.05 * allowed, 0.97, SPEND) for _ in range(400)]
    assert sum(step is not None for step in draws) <= binom.ppf(0.999, 400, SPEND)


def test_where_each_threshold_is_tried_the_certificate_does_not_hold(binom):
    random = np.random.default_rng(0)
    passed = 0
    for _ in range(200):
        wrong = list(accumulate(random.random(1500) < 1.05 * 0.03))
        passed += any(at_most(int(wrong[n - 1]), n, 0.03) <= SPEND for n in range(115, 1501))
    assert passed > binom.ppf(0.999, 200, 0.05)
