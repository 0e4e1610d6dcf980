"""What ways of dividing the work give, computed by hand beside."""

import numpy as np
import pytest

from sprat.errors import UserError
from sprat_training.evaluation.intervals import wilson
from sprat_training.evaluation.report import report, sentence
from sprat_training.evaluation.strategies import Observed, assess
from sprat_training.evaluation.thresholds import for_accuracy, parse_budget, within_budget


def observed(count=400, *, eur=0.001):
    """A small model that is right three times in four, and knows it; a frontier that is right nine times in ten."""
    places = np.arange(count)
    right = places % 4 != 0
    confidence = np.where(right, 0.9, 0.3)
    return Observed(right, confidence, (places % 10 != 0).astype(float), np.full(count, eur))


def test_each_way_is_as_right_as_counted_by_hand():
    assessment = assess(observed())
    assert assessment.small.accuracy.value == 0.75
    assert assessment.frontier.accuracy.value == pytest.approx(0.9)
    assert assessment.frontier.eur_per_million.value == pytest.approx(1000)
    routed = assessment.at(0.5)
    # A quarter is escalated: the places 0, 4, 8, …, of which those divisible by 20 are wrong there, too.
    assert routed.outcome.escalated == 0.25
    assert routed.outcome.accuracy.value == pytest.approx(0.75 + 0.25 * 0.8)
    assert routed.outcome.eur_per_million.value == pytest.approx(250)
    assert routed.random_accuracy == pytest.approx(0.75 * 0.75 + 0.25 * 0.9)


def test_at_the_ends_it_is_the_one_model_or_the_other():
    assessment = assess(observed())
    assert assessment.at(0.0).outcome == assessment.small
    assert assessment.at(1.0).outcome == assessment.frontier


def test_what_the_policy_escalates_is_escalated_even_at_nought():
    seen = observed()
    seen.confidence[:40] = -1
    assert assess(seen).at(0.0).outcome.escalated == 0.1


def test_intervals_hold_the_value_and_shrink_with_more_texts():
    few, many = assess(observed(100)).small.accuracy, assess(observed(2_000)).small.accuracy
    assert few.low < few.value < few.high
    assert many.high - many.low < (few.high - few.low) / 3


def test_intervals_are_as_wide_as_wilsons():
    counted, drawn = wilson(300, 400), assess(observed()).small.accuracy
    assert drawn.low == pytest.approx(counted.low, abs=0.01)
    assert drawn.high == pytest.approx(counted.high, abs=0.01)


def test_the_cheapest_threshold_that_is_right_enough_is_found():
    choice = for_accuracy(assess(observed()), 0.9)
    assert choice.routed.outcome.escalated == 0.25
    assert choice.routed.keep_at == 0.9  # of all between 0.31 and 0.90, which escalate the same, the most careful
    assert choice.sure is not None


def test_where_no_costs_are_known_the_share_escalated_decides():
    assessment = assess(observed(eur=0.0))
    choice = for_accuracy(assessment, 0.9)
    assert not assessment.costs_known
    assert (choice.routed.keep_at, choice.routed.outcome.escalated) == (0.9, 0.25)
    assert choice.sure.outcome.escalated == 0.25
    assert "EUR" not in sentence(choice)


def test_nothing_is_escalated_where_the_small_model_alone_is_right_enough():
    for eur in (0.0, 0.001):
        routed = for_accuracy(assess(observed(eur=eur)), 0.75).routed
        assert (routed.keep_at, routed.outcome.escalated) == (0.3, 0.0)


def test_of_thresholds_that_cost_the_same_the_one_that_escalates_less_is_taken():
    seen = observed()
    seen.frontier_eur[seen.confidence > 0.5] = 0.0  # the answers that a higher threshold adds are free
    assert for_accuracy(assess(seen), 0.9).routed.outcome.escalated == 0.25
    assert within_budget(assess(seen), 300).routed.outcome.escalated == 0.25


def test_without_costs_no_budget_can_be_kept():
    with pytest.raises(UserError, match=r"--budget: no costs are known: say what an answer costs, by cost_eur"):
        within_budget(assess(observed(eur=0.0)), 20)


def test_an_accuracy_out_of_reach_is_refused_with_how_far_one_gets():
    with pytest.raises(UserError, match=r"--accuracy 0\.99: no keep_at reaches it .*; the best is 95\.0%"):
        for_accuracy(assess(observed()), 0.99)


def test_a_budget_buys_the_best_that_it_can():
    assert within_budget(assess(observed()), 300).routed.outcome.accuracy.value == pytest.approx(0.95)
    assert within_budget(assess(observed()), 100).routed.outcome.accuracy.value == 0.75


def test_a_budget_below_what_the_policy_escalates_is_refused():
    seen = observed()
    seen.confidence[:40] = -1
    with pytest.raises(UserError, match=r"the least is 100\.00 EUR"):
        within_budget(assess(seen), 50)


@pytest.mark.parametrize(("said", "eur"), [("20EUR/1M", 20), ("0.5 EUR / 10k", 50), ("€3/1000", 3000), ("20/1M", 20)])
def test_budgets_are_read(said, eur):
    assert parse_budget(said) == pytest.approx(eur)


@pytest.mark.parametrize("said", ["20", "20EUR", "x/1M", "20EUR/0", "-1EUR/1M"])
def test_what_is_no_budget_is_refused(said):
    with pytest.raises(UserError, match="needs euros for so many texts, as in 20EUR/1M"):
        parse_budget(said)


def test_the_report_is_one_file_that_loads_and_runs_nothing():
    assessment = assess(observed())
    html = report(assessment, "<script>alert(1)</script>", ["a & b"], for_accuracy(assessment, 0.9))
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert "http" not in html.replace("http-equiv", "")
    assert html.count("<svg") == 2
    assert "default-src 'none'" in html
    assert "keep_at 0.90" in html


def test_wilson_of_nothing_is_everything():
    assert (wilson(0, 0).low, wilson(0, 0).high) == (0, 1)
    assert wilson(50, 50).high == pytest.approx(1)
    assert wilson(8, 10).low == pytest.approx(0.490, abs=0.001)
