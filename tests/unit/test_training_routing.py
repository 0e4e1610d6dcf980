"""Accuracy and cost of the ways to divide the work, computed by hand beside."""

from dataclasses import replace

import numpy as np
import pytest

from sprat.errors import UserError
from sprat_training.evaluation.metrics import wilson
from sprat_training.evaluation.report import assessment_html, recommendation, strategy_table, why_not_less
from sprat_training.evaluation.routing import (
    TextOutcomes,
    assess,
    f1_interval,
    for_accuracy,
    parse_budget,
    within_budget,
)


def outcomes(count=400, *, eur=0.001):
    """A small model that is right for 3 texts of 4, and confident only then; a frontier that is right for 9 of 10."""
    places = np.arange(count)
    right = places % 4 != 0
    confidence = np.where(right, 0.9, 0.3)
    return TextOutcomes(right, confidence, (places % 10 != 0).astype(float), np.full(count, eur))


def test_each_way_has_the_accuracy_counted_by_hand():
    assessment = assess(outcomes())
    assert assessment.small.accuracy.value == 0.75
    assert assessment.frontier.accuracy.value == pytest.approx(0.9)
    assert assessment.frontier.eur_per_million.value == pytest.approx(1000)
    routed = assessment.at(0.5)
    # A quarter is escalated: 0, 4, 8, …, of which the frontier gets those divisible by 20 wrong, too.
    assert routed.result.escalated == 0.25
    assert routed.result.accuracy.value == pytest.approx(0.75 + 0.25 * 0.8)
    assert routed.result.eur_per_million.value == pytest.approx(250)
    assert routed.random_accuracy == pytest.approx(0.75 * 0.75 + 0.25 * 0.9)


def test_the_extreme_thresholds_give_one_model_alone():
    assessment = assess(outcomes())
    assert assessment.at(0.0).result == assessment.small
    all_escalated = assessment.at(1.0).result
    assert replace(all_escalated, eur_per_million=assessment.frontier.eur_per_million) == assessment.frontier


def test_texts_that_the_policy_escalates_are_escalated_even_at_zero():
    texts = outcomes()
    texts.confidence[:40] = -1
    assert assess(texts).at(0.0).result.escalated == 0.1


def test_intervals_contain_the_value_and_shrink_with_more_texts():
    few, many = assess(outcomes(100)).small.accuracy, assess(outcomes(2_000)).small.accuracy
    assert few.low < few.value < few.high
    assert many.high - many.low < (few.high - few.low) / 3


def test_an_accuracy_has_wilsons_interval_even_where_every_answer_is_right():
    assert assess(outcomes()).small.accuracy == wilson(300, 400)
    right = TextOutcomes(np.ones(50, bool), np.full(50, 0.9), np.full(50, 0.98), np.zeros(50))
    assessment = assess(right)
    assert str(assessment.small.accuracy) == "100.0% (92.8% to 100.0%)"
    assert assessment.frontier.accuracy.low == pytest.approx(wilson(49, 50).low)


@pytest.mark.parametrize("right", [0, 40])
def test_f1_has_an_interval_even_where_every_answer_is_right_or_none(right):
    """50 texts, 10 of them without a label that get none: these say nothing of F1."""
    hits, named = np.zeros(50), np.zeros(50)
    hits[:right], named[:40] = 2, 4
    found, of_texts = f1_interval(hits, named), wilson(right, 40)
    assert found.value == of_texts.value
    assert (found.low, found.high) == (pytest.approx(of_texts.low), pytest.approx(of_texts.high))


def test_f1_of_one_slip_is_not_surer_than_that_of_none():
    hits = np.full(50, 2.0)
    none = f1_interval(hits, np.full(50, 4.0))
    hits[0] = 1
    one = f1_interval(hits, np.full(50, 4.0))
    assert one.low < none.low < one.value < one.high == 1


def test_f1_of_texts_that_differ_much_has_the_interval_of_its_draws():
    hits = np.arange(200) % 3.0
    found = f1_interval(hits, np.full(200, 4.0))
    means = np.random.default_rng(0).choice(hits, (1_000, 200)).mean(axis=1) / 2
    assert (found.low, found.high) == (
        pytest.approx(np.quantile(means, 0.025), abs=0.01),
        pytest.approx(np.quantile(means, 0.975), abs=0.01),
    )


def test_where_nothing_is_escalated_the_cost_may_still_be_more_than_nothing():
    texts = outcomes(50)
    assessment = assess(replace(texts, confidence=np.full(50, 0.9)))
    price = assessment.frontier.eur_per_million.value
    none, all_sent = (assessment.at(keep_at).result.eur_per_million for keep_at in (0.5, 0.95))
    assert (none.value, none.low, none.high) == (0, 0, pytest.approx(wilson(0, 50).high * price))
    assert (all_sent.low, all_sent.high) == (pytest.approx(wilson(50, 50).low * price), pytest.approx(price))
    assert "0.0% escalated" in recommendation(assessment, for_accuracy(assessment, 0.6))
    assert f", 0.00 (0.00 to {none.high:.2f}) EUR per million texts" in recommendation(
        assessment, for_accuracy(assessment, 0.6)
    )
    assert assessment.small.eur_per_million.high == 0, "alone, it never costs anything"
    html = assessment_html(assessment, "", [], None)
    assert '<td class="n">1000.00</td>' in html, "a price that is the same for each text is known"
    assert "(0.00 to 0.00)" not in html


def test_the_cheapest_threshold_that_reaches_the_accuracy_is_found():
    assessment = assess(outcomes())
    choice = for_accuracy(assessment, 0.9)
    assert choice.chosen.result.escalated == 0.25
    assert choice.chosen.keep_at == 0.5  # of all from 0.31 to 0.90, which escalate the same texts, the least from 0.50
    assert choice.recommended.is_shown
    said = "The least from 0.50 on at which 90.0% right is shown with 95 % confidence"
    assert f". {said}. (In brackets: what the share lies between, with 95 % confidence. Shown: " in recommendation(
        assessment, choice
    )


def test_what_rests_on_an_assumed_frontier_is_said_to():
    assumed = assess(outcomes(), assumed=0.98)
    said = (
        "The least from 0.50 on at which 90.0% right is shown with 95 % confidence, if 98.0% of the frontier's answers"
    )
    assert f"{said} are right. (In brackets" in recommendation(assumed, for_accuracy(assumed, 0.9))
    denied = assess(replace(outcomes(), denied=True), assumed=0.98)
    assert "answers are right" not in recommendation(denied, for_accuracy(denied, 0.9))


def test_where_no_costs_are_known_the_share_escalated_decides():
    assessment = assess(outcomes(eur=0.0))
    choice = for_accuracy(assessment, 0.9)
    assert not assessment.costs_known
    assert (choice.chosen.keep_at, choice.chosen.result.escalated) == (0.5, 0.25)
    assert "EUR" not in recommendation(assessment, choice)


def test_nothing_is_escalated_where_the_small_model_alone_reaches_the_accuracy():
    for eur in (0.0, 0.001):
        texts = outcomes(eur=eur)
        sure = replace(texts, confidence=np.maximum(texts.confidence, 0.6))
        routed = for_accuracy(assess(sure), 0.7).chosen
        assert (routed.keep_at, routed.result.escalated) == (0.5, 0.0)


@pytest.mark.parametrize("denied", [False, True])
def test_a_lower_accuracy_never_gives_a_stricter_threshold_than_a_higher_one(denied):
    """A model that is right more often than was asked for, on so few texts that they show little."""
    random = np.random.default_rng(0)
    confidence = random.uniform(0.5, 1.0, 60)
    right = random.uniform(size=60) < 0.95
    texts = TextOutcomes(right, confidence, np.full(60, 0.98), np.zeros(60), denied)
    found = [for_accuracy(assess(texts), accuracy).chosen.keep_at for accuracy in (0.75, 0.8, 0.85, 0.9, 0.95)]
    assert found == sorted(found)
    assert found[0] == 0.5


def test_what_the_texts_do_not_show_is_called_provisional():
    assessment = assess(outcomes(40))
    choice = for_accuracy(assessment, 0.93)
    assert not choice.recommended.is_shown
    assert "Provisional: these 40 texts show " in recommendation(assessment, choice)


def few_outcomes(*, denied: bool = False) -> TextOutcomes:
    """45 texts, as a user had them: at 0.67 they reach 90 %, at 0.85 they show the most, and none shows 90 %."""
    small = np.ones(45, bool)
    small[[3, 9, 14, 20, 30, 33]] = False
    frontier = np.ones(45)
    frontier[[3, 4]] = 0
    return TextOutcomes(small, np.linspace(0.40, 0.99, 45), frontier, np.full(45, 0.0004), denied)


def test_it_is_said_why_a_cheaper_threshold_that_reaches_the_accuracy_is_not_taken():
    assessment = assess(few_outcomes())
    choice = for_accuracy(assessment, 0.9)
    cheaper = assessment.at(0.67).result
    assert (choice.chosen.keep_at, cheaper.accuracy.value) == (0.85, pytest.approx(41 / 45))
    why = why_not_less(assessment, choice)
    assert why == (
        "Why not 0.67? It reaches 90.0% on these texts (91.1%), but 45 texts show only 81.6%. No keep_at shows 90.0%; "
        "0.85 shows 87.4%, and the rule prefers what shows more. 0.85 costs 1.6 times as much, 302.22 instead of "
        "186.67 EUR per million texts. To show that keep_at 0.67 is enough takes about 1,973 texts, as often "
        "right: assess so many, or ask for what 0.67 shows (--accuracy 0.81)."
    )
    html = assessment_html(assessment, "", [], choice)
    assert why in html
    assert choice.named_keep_ats == {0.67, 0.85}
    assert "<td>keep_at 0.67</td>" in html, "each that a sentence names has a row"
    tight = for_accuracy(assessment, 0.84)
    assert f"keep_at {tight.chosen.keep_at:.2f}<" in assessment_html(assessment, "", [], tight)
    asked = for_accuracy(assessment, 0.81)
    assert (asked.recommended.is_shown, why_not_less(assessment, asked)) == (True, None)
    assert asked.chosen.keep_at <= 0.67


def test_where_the_frontier_is_denied_the_kept_texts_and_the_share_degraded_are_said():
    assessment = assess(few_outcomes(denied=True))
    why = why_not_less(assessment, for_accuracy(assessment, 0.9))
    assert "but 30 kept texts show only 77.4%" in why
    said = "Measuring with more texts will hardly show that keep_at 0.59 is enough: ask for what 0.59"
    assert f"0.85 degrades 75.6% instead of 33.3%. {said}" in why
    assert why.endswith("), or make the model better.")


def test_a_budget_and_an_accuracy_name_one_threshold_where_several_give_the_same():
    assessment = assess(outcomes())
    by_accuracy, by_budget = for_accuracy(assessment, 0.9).chosen, within_budget(assessment, 250).chosen
    assert by_accuracy == by_budget
    assert by_accuracy.keep_at == 0.5
    low = replace(outcomes(), confidence=np.where(outcomes().small_right, 0.4, 0.3))
    assert within_budget(assess(low), 250).chosen.keep_at == 0.4  # none from 0.50 on: the safest


def test_of_thresholds_that_cost_the_same_the_one_that_escalates_less_is_chosen():
    texts = outcomes()
    texts.frontier_eur[texts.confidence > 0.5] = 0.0  # the answers that a higher threshold adds cost nothing
    assert for_accuracy(assess(texts), 0.9).chosen.result.escalated == 0.25
    assert within_budget(assess(texts), 300).chosen.result.escalated == 0.25


def test_a_budget_needs_known_costs():
    with pytest.raises(UserError, match=r"--budget: no costs are known: say what an answer costs, by cost_eur"):
        within_budget(assess(outcomes(eur=0.0)), 20)


def test_the_error_for_an_accuracy_out_of_reach_names_the_best_one():
    with pytest.raises(UserError, match=r"0\.99: no keep_at from 0\.50 on reaches it .*; the best is 95\.0%"):
        for_accuracy(assess(outcomes()), 0.99)


def test_a_budget_gives_the_best_accuracy_that_it_affords():
    assert within_budget(assess(outcomes()), 300).chosen.result.accuracy.value == pytest.approx(0.95)
    assert within_budget(assess(outcomes()), 100).chosen.result.accuracy.value == 0.75


def test_a_budget_below_the_cost_of_what_the_policy_escalates_is_refused():
    texts = outcomes()
    texts.confidence[:40] = -1
    with pytest.raises(UserError, match=r"the least is 100\.00 EUR"):
        within_budget(assess(texts), 50)


def test_of_what_is_kept_the_share_right_is_shown_at_each_threshold():
    assessment = assess(outcomes())
    assert assessment.small.right_of_kept == wilson(300, 400) == assessment.at(0.3).result.right_of_kept
    assert assessment.at(0.5).result.right_of_kept == wilson(300, 300)
    assert assessment.frontier.right_of_kept is None
    assert "100.0% (98.7% to 100.0%) right of those kept" in recommendation(assessment, for_accuracy(assessment, 0.9))


def test_where_nothing_is_known_of_a_frontier_the_kept_answers_are_judged_and_nothing_is_said_of_all():
    unknown = assess(replace(outcomes(), unknown=True))
    choice = for_accuracy(unknown, 0.97)
    assert (choice.chosen.keep_at, choice.recommended.is_shown) == (0.5, True)
    said = "keep_at 0.50: 25.0% escalated, 100.0% (98.7% to 100.0%) right of those kept. "
    assert recommendation(unknown, choice).startswith(said)
    head, *rows = strategy_table(unknown, (0.5,), ("small", "frontier"))
    assert head == ("", "escalated", "right of those kept (95 % interval)")
    assert [row[0] for row in rows] == ["small", "keep_at 0.50"]
    with pytest.raises(UserError, match=r"no keep_at from 0\.50 on reaches it of the kept answers on these texts"):
        for_accuracy(assess(replace(outcomes(), unknown=True, small_right=np.zeros(400, bool))), 0.97)


def test_where_the_policy_denies_the_frontier_escalated_texts_end_as_the_small_models_answers():
    """The share right of all is that of the small model at each threshold, so the kept answers are judged."""
    denied = assess(replace(outcomes(), denied=True))
    assert {each.result.accuracy.value for each in denied.routed} == {0.75}
    assert {each.result.eur_per_million.value for each in denied.routed} == {0.0}
    choice = for_accuracy(denied, 0.97)
    assert (choice.chosen.keep_at, choice.recommended.is_shown) == (0.5, True)
    html = assessment_html(denied, "denied", [], choice)
    assert "frontier alone" not in html
    with pytest.raises(UserError, match="--budget: the policy denies the frontier, so nothing is paid"):
        within_budget(denied, 300)
    unsure = replace(outcomes(), confidence=np.full(400, 0.5), denied=True)
    with pytest.raises(
        UserError, match=r"no keep_at from 0\.50 on reaches it of the kept answers on these texts; the best is 75\.0%"
    ):
        for_accuracy(assess(unsure), 0.8)


@pytest.mark.parametrize(("budget", "eur"), [("20EUR/1M", 20), ("0.5 EUR / 10k", 50), ("€3/1000", 3000), ("20/1M", 20)])
def test_budgets_are_parsed(budget, eur):
    assert parse_budget(budget) == pytest.approx(eur)


@pytest.mark.parametrize("budget", ["20", "20EUR", "x/1M", "20EUR/0", "-1EUR/1M"])
def test_other_text_than_a_budget_is_refused(budget):
    with pytest.raises(UserError, match="needs euros per number of texts, as in 20EUR/1M"):
        parse_budget(budget)


def test_the_report_is_one_file_that_loads_and_runs_nothing():
    assessment = assess(outcomes())
    html = assessment_html(assessment, "<script>alert(1)</script>", ["a & b"], for_accuracy(assessment, 0.9))
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert "http" not in html.replace("http-equiv", "")
    assert html.count("<svg") == 2
    assert "default-src 'none'" in html
    assert "keep_at 0.50" in html


def test_thresholds_that_escalate_the_same_texts_are_one_row_and_that_of_the_card_is_named():
    assessment = assess(outcomes(), named={"card": 0.72, "policy": 0.2})
    table = strategy_table(assessment, (0.0, 0.5, 0.6, 0.8, 1.0), ("small", "frontier"))
    assert [row[:2] for row in table] == [
        ("", "escalated"),
        ("small", "0.0%"),
        ("keep_at 0.20 (policy 0.20)", "0.0%"),
        ("keep_at 0.50 to 0.80 (card 0.72)", "25.0%"),
        ("frontier", "100.0%"),
    ]
