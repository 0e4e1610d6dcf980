"""The comparison of certificates with the truth, in few drawings, on made-up risks."""

import re

import numpy as np
import pytest

from sprat_contracts.thresholds import NONE, SOME
from sprat_training.thresholds import Rows
from sprat_training.thresholds.wording import PARAGRAPH
from support.readme import PAGES
from tests.bench.guarantee import (
    METHODS,
    MUST_FAIL,
    Case,
    certificate,
    holds,
    judged,
    missed,
    second_opinion,
    split_conformal,
    wilson_scan,
)
from tests.bench.guarantee_populations import FinitePopulation, flat, steep

DRAWS = 300
FLAT = Case("flat, 1.05 of the allowed error", flat(1.05 * 0.03), 0.97, 1000)
STEEP = Case("steep", steep(0.3), 0.97, 1000)


@pytest.mark.parametrize("case", [FLAT, STEEP], ids=["flat", "steep"])
def test_a_certificate_holds(case):
    found = judged(case, DRAWS, {"certified": certificate})["certified"]
    assert holds(found)
    assert found["claimed"] > 0


def test_the_scan_over_all_thresholds_is_found_out_where_the_risk_is_flat():
    found = judged(FLAT, DRAWS, {"certified": certificate, "wilson_scan": wilson_scan})
    assert FLAT.title == MUST_FAIL
    assert found["wilson_scan"]["violated_low"] > 0.08
    assert missed({MUST_FAIL: found}) == []
    with_scan = found | {"certified": found["wilson_scan"]}
    assert len(missed({MUST_FAIL: with_scan})) == 1
    blind = found | {"wilson_scan": found["certified"]}
    assert missed({MUST_FAIL: blind}) == [
        f"{MUST_FAIL}: the scan over all thresholds passes, so this comparison shows nothing"
    ]


def test_a_second_opinion_is_never_looser():
    random = np.random.default_rng(1)
    both = 0
    for _ in range(100):
        rows = STEEP.population.draw(random, STEEP.rows)
        own, others = (
            dict(pair for each in method(rows, 0.97) for pair in each.items())
            for method in (certificate, second_opinion)
        )
        assert others.keys() <= own.keys()
        assert all(own[says] <= threshold for says, threshold in others.items())
        both += bool(others)
    assert both > 50


def test_the_truth_of_made_up_risks_is_that_of_many_rows():
    rows = steep(0.3).draw(np.random.default_rng(0), 40_000)
    finite = FinitePopulation(rows)
    for threshold in (0.5, 0.7, 0.9):
        exact, counted = (each.at({SOME: threshold, NONE: None}) for each in (steep(0.3), finite))
        assert exact.kept == pytest.approx(counted.kept, abs=0.01)
        assert exact.right == pytest.approx(counted.right, abs=4e-3)
    assert finite.oracle(0.97)[SOME] == pytest.approx(steep(0.3).oracle(0.97)[SOME], abs=0.03)
    assert flat(0.0315).oracle(0.97)[SOME] is None


def test_a_population_is_drawn_from_with_replacement_and_counted_by_cell():
    population = FinitePopulation(
        Rows.of([0.9, 0.8, 0.7, 0.9], [True, False, True, False], says_none=[0, 0, 0, 1], outside=[0, 0, 0, 1])
    )
    truth = population.at({SOME: 0.8, NONE: None})
    assert (truth.kept, truth.right) == (0.5, 0.5)
    assert population.at({SOME: None, NONE: 0.9}).right == 0
    assert population.oracle(0.6) == {SOME: 0.7, NONE: None}
    drawn = population.draw(np.random.default_rng(0), 50)
    assert set(drawn.confidence) == {0.9, 0.8, 0.7}
    assert len(np.unique(drawn.group)) == 50


def test_split_conformal_bounds_what_is_kept_and_wrong_of_all_texts():
    random = np.random.default_rng(0)
    wrong = []
    for _ in range(300):
        claims = split_conformal(STEEP.population.draw(random, 200), 0.97)
        wrong.append(STEEP.population.at(claims[0]).wrong if claims else 0.0)
    assert 0.02 < np.mean(wrong) <= 0.031


def test_all_methods_are_judged_on_the_same_rows():
    once, again = (judged(STEEP, 20) for _ in range(2))
    assert once == again
    assert once.keys() >= METHODS.keys()
    alone = judged(STEEP, 20, {"certified": certificate})
    assert alone["certified"] == once["certified"]


def test_what_a_certificate_means_stands_word_for_word_wherever_a_page_says_it():
    meanings = {
        page.name: found
        for page in PAGES
        for found in re.findall(r"Certified \d[^:]{0,9}:.*?of tomorrow\.", " ".join(page.read_text("utf-8").split()))
    }
    assert meanings["training.md"] == PARAGRAPH
    assert set(meanings.values()) == {PARAGRAPH}
