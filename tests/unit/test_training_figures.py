"""The figures of a model and its likely wrong labels, on made-up vectors: no encoder."""

import json
from pathlib import Path

import numpy as np
import pytest

from sprat_inference.label_calibration import features
from sprat_training.datasets.config import TrainingConfig, no_progress
from sprat_training.datasets.distinct import prepare
from sprat_training.datasets.doubles import DoublesFound, core_numbers
from sprat_training.datasets.sources import Sources
from sprat_training.evaluation.metrics import wilson
from sprat_training.findings import label_steps
from sprat_training.fitting.figures import (
    NEAR_OUTSIDE,
    Figures,
    figures_of_labels,
    figures_of_sets,
    hidden_kept,
    near_outside,
    readings_of,
)
from sprat_training.fitting.heads import cross_validate, features_of, fit_calibrator, group_numbers, logits_of
from sprat_training.fitting.label_fit import FittedLabels
from sprat_training.fitting.label_issues import find_label_issues
from sprat_training.thresholds import Kept, Rows
from support.training_data import NO_VECTORS, clusters, labelled

ALL_DIFFERENT = DoublesFound(10_000, {}, np.zeros(0, bool))


def fitted_on(vectors, gold, labels, *, outside=NO_VECTORS, outside_share=0.1) -> FittedLabels:
    """Return what a training fits on made-up vectors; the text and the label of each have its number."""
    data, summary = prepare(labelled([(f"text {place}", labels[each]) for place, each in enumerate(gold)]))
    validation = cross_validate(vectors, data.gold, len(data.labels), outside, no_progress)
    right = validation.logits.argmax(axis=1) == data.gold
    texts = tuple(f"outside {place}" for place in range(len(outside)))
    config = TrainingConfig(
        files=(Path("hr.csv"),), output=Path("hr"), name="hr", lexical=False, outside_share=outside_share
    )
    return FittedLabels(
        config=config,
        base=None,
        sources=Sources(data, summary, texts, None, (), (), (), ()),
        data=data,
        cores=core_numbers(data.texts),
        groups=group_numbers(vectors, data.gold),
        validation=validation,
        calibrator=fit_calibrator(validation.inside, right, validation.outside, outside_share),
        stage=None,
        label_issues=find_label_issues(data, validation.logits),
        dropped=(),
        places=np.arange(len(gold)),
        truncated=0,
    )


def named(count: int, name: str = "label {}") -> list[str]:
    return [name.format(number) for number in range(count)]


def steps_of(fitted: FittedLabels, doubles: DoublesFound = ALL_DIFFERENT) -> list[str]:
    return list(label_steps(fitted, fitted.held_out(), doubles))


def test_held_out_labels_serve_as_texts_outside_and_texts_outside_are_recognised():
    vectors, gold = clusters(labels=12)
    validation = cross_validate(vectors, gold, 12, NO_VECTORS, no_progress)
    assert validation.labels_held_out
    right = validation.logits.argmax(axis=1) == gold
    calibrator = fit_calibrator(validation.inside, right, validation.outside, 0.1)
    foreign, _ = clusters(labels=12, seed=5, centres=99)
    head = validation.head
    readings = readings_of(
        logits_of(head, vectors), features_of(head, vectors), gold, features_of(head, foreign), calibrator
    )
    assert readings.right[readings.in_scope].mean() > 0.95
    assert readings.is_rejected[~readings.in_scope].mean() > 0.8


def test_stand_ins_weigh_as_the_share_outside_are_no_real_rows_and_never_certify():
    fitted = fitted_on(*clusters(labels=12), named(12))
    rows = fitted.held_out().rows
    assert fitted.validation.labels_held_out
    assert rows.weight[rows.outside].sum() / rows.weight.sum() == pytest.approx(0.1)
    assert set(rows.weight[~rows.outside]) == {1.0}
    assert not (rows.real & rows.outside).any()
    assert not rows.certifies.any()
    assert set(rows.languages) == {"en"}


def test_a_text_outside_that_several_heads_read_is_one_real_row():
    foreign, _ = clusters(labels=6, seed=5, centres=99)
    rows = fitted_on(*clusters(labels=6), named(6), outside=foreign).held_out().rows
    assert int((rows.real & rows.outside).sum()) == len(foreign)
    assert rows.outside.sum() > len(foreign)


def test_with_two_labels_and_nothing_outside_everything_gets_a_label():
    figures = fitted_on(*clusters(labels=2), named(2)).held_out()
    assert figures.outside_recall is None
    assert not figures.rows.says_none.any()
    assert len(figures.rows) == figures.texts


def test_where_nothing_is_outside_the_traffic_no_stand_in_counts():
    figures = fitted_on(*clusters(labels=6), named(6), outside_share=0.0).held_out()
    assert not figures.rows.outside.any()


def test_what_is_kept_of_hidden_labels_has_its_range_over_five_parts_of_the_labels():
    labels = np.repeat(np.arange(10) + 30, 4)
    for label in range(10):
        found = hidden_kept(labels == label + 30, labels)
        assert (found.texts, found.labels, found.parts) == (40, 10, 5)
        assert (found.least, found.share, found.most) == (0, 0.1, 0.5), "of each part are two labels"


def test_the_range_over_fewer_labels_than_parts_is_that_over_the_labels():
    found = hidden_kept(np.array([1, 1, 1, 0, 0, 0, 0, 1], bool), np.array([0, 0, 0, 0, 1, 1, 2, 2]))
    assert (found.parts, found.least, found.share, found.most) == (3, 0, 0.5, 0.75)


def test_of_hidden_labels_that_count_which_are_kept_with_a_label():
    figures = fitted_on(*clusters(labels=12), named(12)).held_out()
    rows = figures.rows
    found = figures.hidden_kept(Kept(rows.confidence >= 0, rows.right))
    assert (found.texts, found.labels, found.parts) == (360, 12, 5)
    assert rows.says_none[rows.outside].any()
    assert found.share == (~rows.says_none[rows.outside]).mean()
    assert figures.hidden_kept(Kept(rows.confidence > 1, rows.right)).most == 0
    assert figures.hidden_kept(None) is None


@pytest.mark.parametrize(
    ("labels", "more"),
    [(6, {"outside": clusters(labels=6, seed=5, centres=99)[0]}), (2, {}), (6, {"outside_share": 0.0})],
    ids=["texts outside are given", "nothing is outside", "no traffic is outside"],
)
def test_where_no_hidden_labels_stand_in_nothing_is_said_of_them(labels, more):
    figures = fitted_on(*clusters(labels=labels), named(labels), **more).held_out()
    assert figures.hidden_kept(Kept(figures.rows.confidence >= 0, figures.rows.right)) is None


def test_wrong_labels_are_listed_with_the_likely_label():
    vectors, gold = clusters(labels=6, each=40)
    wrong = np.random.default_rng(2).choice(len(gold), 12, replace=False)
    changed = gold.copy()
    changed[wrong] = (gold[wrong] + 1) % 6
    names = [(f"text {place}", f"label {label}") for place, label in enumerate(changed)]
    data, _ = prepare(labelled(names))
    issues = find_label_issues(data, cross_validate(vectors, changed, 6, NO_VECTORS, no_progress).logits)
    found = [each for each in issues[:12] if each.index in wrong]
    assert len(found) >= 11
    assert all(each.likely_label == f"label {gold[each.index]}" for each in found)
    assert all(each.row == each.index + 2 for each in issues)


def test_spellings_of_one_label_are_no_wrong_labels_and_to_merge_them_comes_before_checking_rows():
    vectors, gold = clusters(labels=6, each=40)
    wrong = np.random.default_rng(2).choice(len(gold), 12, replace=False)
    changed = gold.copy()
    changed[wrong] = (gold[wrong] + 1) % 6
    names = [f"{'Label' if place % 2 and each < 3 else 'label'} {each}" for place, each in enumerate(changed)]
    fitted = fitted_on(vectors, np.arange(len(gold)), names)
    assert len(fitted.sources.summary.similar_labels) == 3
    assert not [each for each in fitted.label_issues if each.label.lower() == each.likely_label.lower()]
    found = [each for each in fitted.label_issues[:12] if each.index in wrong]
    assert len(found) >= 11
    steps = steps_of(fitted)
    assert steps[0].startswith("Labels differ by case or white space alone")
    assert "doubted" in steps[1]


def test_few_sentences_in_many_rows_and_labels_with_few_texts_are_named():
    fitted = fitted_on(*clusters(labels=2, each=12), named(2))
    few = DoublesFound(10, {}, np.zeros(0, bool))
    assert steps_of(fitted, few)[0].startswith("Add texts that people wrote: the 24 rows are 10 different sentences")
    assert any(
        each.startswith("Add texts of the labels that have fewer than 20: label 0 (12), ") for each in steps_of(fitted)
    )


@pytest.mark.parametrize("rest", ["Other", "Sonstiges", "autres", "otros"])
def test_what_a_label_for_the_rest_means_is_to_be_decided_before_anything_else(rest):
    vectors, gold = clusters(labels=3, each=12)
    steps = steps_of(fitted_on(vectors, gold, ["billing", "leave", rest]))
    assert steps[0].startswith(f'Decide what "{rest}" means. If its texts belong to no other label, train with ')
    assert f"--outside-label {rest}: they then count as" in steps[0]
    assert not any("--out-of-scope FILE" in step for step in steps)
    assert any("--out-of-scope FILE" in step for step in steps_of(fitted_on(vectors, gold, named(3))))


def test_intervals_count_groups_and_not_their_rows():
    gold = np.repeat([0, 1], 80)
    ones = np.ones(160)
    rows, grouped = (Rows.of(ones, ones, group=each) for each in (None, np.arange(160) // 10))
    assert figures_of_labels(rows, gold, gold, ("a", "b")).accuracy == wilson(160, 160)
    assert figures_of_labels(grouped, gold, gold, ("a", "b")).accuracy == wilson(16, 16)


def test_figures_equal_those_counted_by_hand():
    logits = np.array([[5, 0, 0], [5, 0, 0], [0, 5, 0], [0, 5, 0], [0, 0, 5], [5, 0, 0]], np.float32)
    gold, best = np.array([0, 0, 1, 1, 2, 2]), logits.argmax(axis=1)
    inside, none = features(logits), np.zeros((0, 2))
    calibrator = fit_calibrator(inside, np.array([1, 1, 1, 1, 1, 0], bool), none, 0.0)
    read = readings_of(logits, inside, gold, none, calibrator)
    figures = figures_of_labels(Rows.of(read.confidence, read.right), best, gold, ("a", "b", "c", "d"))
    assert figures.accuracy.value == pytest.approx(5 / 6)
    assert [(each.label, each.predicted, each.texts, each.total) for each in figures.confusions] == [("c", "a", 1, 2)]
    assert [each.recall for each in figures.labels] == [1, 1, 0.5, 0]
    assert figures.labels[0].precision == pytest.approx(2 / 3)
    assert figures.macro_f1 == pytest.approx((4 / 5 + 1 + 2 / 3) / 3), "of the labels that have texts"


def test_the_calibration_error_is_the_distance_in_each_bin_by_weight():
    rows = Rows.of([0.95, 0.95, 0.55, 0.55], [1, 0, 1, 0], weight=[1, 1, 2, 2])
    figures = Figures(rows, wilson(2, 4), ())
    assert figures.calibration_error == pytest.approx((2 * 0.45 + 4 * 0.05) / 6)


def test_a_set_is_right_only_if_every_label_is():
    gold = np.array([[True, False], [True, True], [False, False], [False, False]])
    chances = np.array([[0.9, 0.1], [0.9, 0.4], [0.2, 0.1], [0.6, 0.1]])
    figures = figures_of_sets(gold, chances, np.array([0.9, 0.8, 0.7, 0.6]), ("a", "b"))
    assert figures.accuracy.value == 0.5
    assert figures.rows.says_none.tolist() == [False, False, True, False]
    assert figures.rows.outside.tolist() == [False, False, True, True]
    assert [(each.texts, each.recall, each.precision) for each in figures.labels] == [
        (2, 1.0, pytest.approx(2 / 3)),
        (1, 0.0, 0.0),
    ]


def test_what_cards_say_of_near_texts_is_what_was_measured():
    saved = json.loads((Path(__file__).parents[2] / "docs/figures/near-outside.json").read_text("utf-8"))
    sets = {name.split(", ")[0] for name in saved}
    assert sets == {"CLINC150", "CLINC150 (the rule's)", "BANKING77"}
    names = {f"{each.labels} labels, {each.rows} rows": each for each in NEAR_OUTSIDE}
    assert {f"{of}, {name}" for name in names for of in sets} == {*saved}
    for name, stated in names.items():
        each = [saved[f"{of}, {name}"] for of in sets]
        assert stated.least == min(one["near_kept_least"] for one in each)
        assert stated.most == max(one["near_kept_most"] for one in each)
        assert stated.right == min(one["right_with_near_least"] for one in each)
        assert stated.draws == sum(one["draws"] for one in each)


@pytest.mark.parametrize(
    ("labels", "rows", "measured"),
    [
        (5, 100, (5, 100)),
        (50, 10, (50, 10)),
        (9, 99, (5, 20)),
        (19, 1_000, (10, 100)),
        (150, 19, (50, 10)),
        (2, 3, (5, 10)),  # fewer than were measured
    ],
)
def test_what_is_said_of_near_texts_was_measured_with_no_more_labels_and_rows(labels, rows, measured):
    found = near_outside(labels, rows)
    assert (found.labels, found.rows) == measured
