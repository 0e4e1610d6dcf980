"""Two models on the same rows, each at its own threshold."""

import numpy as np
import pytest

from sprat_training.thresholds import Kept, compare_at
from sprat_training.thresholds.compared import paired_interval


@pytest.fixture(scope="module")
def scipy():
    """Return it: each worker of pytest would take a second for it to collect the tests."""
    import scipy.optimize  # noqa: PLC0415 - a second, which every worker of pytest would take
    import scipy.stats  # noqa: PLC0415 - a second, which every worker of pytest would take

    return scipy


def kept(count, right, rows=1000):
    """Return answers of which the first are kept, and of these the first right."""
    place = np.arange(rows)
    return Kept(place < count, place < right)


@pytest.mark.parametrize(("gained", "lost"), [(0, 0), (5, 0), (6, 0), (12, 2), (30, 20), (40, 15)])
def test_the_chance_is_that_of_the_exact_test(scipy, gained, lost):
    place = np.arange(200)
    served = Kept(place >= gained, np.ones(200, bool))
    new = Kept((place < gained) | (place >= gained + lost), np.ones(200, bool))
    found = compare_at(served, new, goal=None)
    assert (found.gained, found.lost, found.rows) == (gained, lost, 200)
    exact = scipy.stats.binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
    assert found.chance == pytest.approx(exact)
    better = "better" if gained > lost else "worse"
    assert found.verdict == (better if exact <= 0.05 else "not shown")
    assert found.difference == (gained - lost) / 200


@pytest.mark.parametrize(
    ("gained", "lost", "rows"), [(12, 2, 50), (0, 0, 30), (5, 0, 100), (0, 7, 40), (30, 31, 1000), (1, 1, 2)]
)
def test_the_ends_of_the_interval_are_where_the_score_reaches_its_limit(scipy, gained, lost, rows):
    """The score of Tango, worked out from the likelihood by a numeric search."""

    def score(difference):
        def cost(share):  # of rows that are lost alone; minus the log-likelihood
            parts = np.array([share + difference, share, 1 - 2 * share - difference])
            counts = np.array([gained, lost, rows - gained - lost])
            return -float((counts * np.log(np.maximum(parts, 1e-300))).sum())

        least, most = max(0.0, -difference), (1 - difference) / 2
        share = scipy.optimize.minimize_scalar(cost, bounds=(least, most), method="bounded", options={"xatol": 1e-12}).x
        variance = rows * (2 * share + difference * (1 - difference))
        return (gained - lost - rows * difference) / np.sqrt(variance)

    value = (gained - lost) / rows
    low, high = paired_interval(gained, lost, rows)
    assert low == pytest.approx(scipy.optimize.brentq(lambda d: score(d) - 1.959964, -1 + 1e-9, value), abs=2e-4)
    assert high == pytest.approx(scipy.optimize.brentq(lambda d: score(d) + 1.959964, value, 1 - 1e-9), abs=2e-4)
    assert -1 < low < value < high < 1
    assert paired_interval(lost, gained, rows) == pytest.approx((-high, -low))


def test_it_holds_the_true_difference_in_about_nineteen_of_twenty_draws():
    random = np.random.default_rng(0)
    inside = 0
    for _ in range(2_000):
        gained, lost, _rest = random.multinomial(150, [0.06, 0.02, 0.92])
        low, high = paired_interval(int(gained), int(lost), 150)
        inside += low <= 0.04 <= high
    assert 0.935 <= inside / 2_000 <= 0.97


def test_one_that_is_shown_to_miss_the_goal_is_worse_however_much_it_keeps():
    holds, misses = kept(600, 590), kept(1000, 900)
    assert compare_at(holds, misses, goal=0.97).verdict == "worse"
    assert compare_at(misses, holds, goal=0.97).verdict == "better"
    assert compare_at(holds, misses, goal=None).verdict == "better"
    assert compare_at(holds, kept(700, 680), goal=0.97).verdict == "better"  # 97.1 %
    assert compare_at(holds, kept(605, 594), goal=0.97).verdict == "not shown"


def test_a_missed_goal_alone_decides_nothing_where_both_keep_as_much_that_is_wrong():
    """Of 1,000 kept answers, 41 wrong ones miss 97 %, and 40 hardly less: the difference of one row is chance."""
    limit = next(
        wrong for wrong in range(30, 60) if compare_at(kept(1000, 1000 - wrong), kept(1000, 1000), goal=0.97).missed
    )
    missing, holding = kept(1000, 1000 - limit), kept(1000, 1001 - limit)
    for pair in ((missing, holding), (holding, missing)):
        found = compare_at(*pair, goal=0.97)
        assert (found.verdict, found.missed) == ("not shown", None)
    assert compare_at(missing, kept(1000, 990), goal=0.97).missed == "served"
    assert compare_at(kept(1000, 990), missing, goal=0.97).missed == "new"


def test_that_nothing_is_kept_misses_no_goal():
    assert compare_at(kept(0, 0), kept(0, 0), goal=0.97).verdict == "not shown"
    assert compare_at(kept(600, 590), kept(0, 0), goal=0.97).verdict == "worse"
    empty = Kept(np.zeros(0, bool), np.zeros(0, bool))
    assert compare_at(empty, empty, goal=0.97).low == -1


def test_near_doubles_are_counted_once():
    place = np.arange(100)
    served, new = Kept(place >= 20, np.ones(100, bool)), Kept(place >= 0, np.ones(100, bool))
    assert compare_at(served, new, goal=0.97).verdict == "better"
    doubles = np.maximum(place - 19, 0)  # the 20 are one sentence
    found = compare_at(served, new, goal=0.97, group=doubles)
    assert (found.verdict, found.gained, found.rows) == ("not shown", 1, 81)
