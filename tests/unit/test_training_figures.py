"""The figures of a model and its likely wrong labels, on made-up vectors: no encoder."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sprat_inference.label_calibration import LabelCalibrator, features
from sprat_training.config import TrainingConfig, no_progress
from sprat_training.data import prepare
from sprat_training.doubles import DoublesFound
from sprat_training.evaluation.metrics import Interval, ModelReadings, wilson
from sprat_training.figures import NEAR_OUTSIDE, KeptAnswers, measure, near_outside, readings_of
from sprat_training.findings import differs_on_test, outcome_table
from sprat_training.fitting import cross_validate, features_of, fit_calibrator, logits_of
from sprat_training.label_issues import find_label_issues
from sprat_training.verdict import conclude, kept_without
from support.training_data import NO_VECTORS, clusters, labelled

ALL_DIFFERENT = DoublesFound(10_000, {}, np.zeros(0, bool))


def figures_of_two_labels(each):
    """Return texts of two labels, their summary, and the figures of heads that had not seen them."""
    vectors, gold = clusters(labels=2, each=each)
    data, summary = prepare(labelled([(f"text {place}", f"label {label}") for place, label in enumerate(gold)]))
    validation = cross_validate(vectors, gold, 2, NO_VECTORS, no_progress)
    calibrator = fit_calibrator(validation.inside, validation.logits.argmax(axis=1) == gold, validation.outside, 0.1)
    readings = readings_of(validation.logits, validation.inside, gold, validation.outside, calibrator)
    return data, summary, measure(readings, gold, gold, data.labels, 0.1)


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


def test_with_two_labels_and_nothing_outside_everything_gets_a_label():
    vectors, gold = clusters(labels=2)
    validation = cross_validate(vectors, gold, 2, NO_VECTORS, no_progress)
    assert not validation.labels_held_out
    calibrator = fit_calibrator(validation.inside, validation.logits.argmax(axis=1) == gold, validation.outside, 0.1)
    readings = readings_of(validation.logits, validation.inside, gold, validation.outside, calibrator)
    figures = measure(readings, validation.logits.argmax(axis=1), gold, ("a", "b"), 0.1)
    assert figures.outside_recall is None
    assert figures.outside_share == 0
    assert figures.at(0.0).share == pytest.approx(1)


def test_the_share_kept_is_rounded_as_in_the_table():
    inside, kept = np.arange(132) < 120, np.arange(132) < 15  # 12.5 % of 90 % of the traffic
    gold, nothing = np.arange(120) % 2, np.zeros(132)
    readings = ModelReadings(inside, inside, nothing, nothing, ~inside, np.where(kept, 0.95, 0.2))
    figures = measure(readings, gold, gold, ("a", "b"), 0.1)
    own_label = outcome_table(figures, 0.9)[1]
    assert (own_label[0], own_label[-1]) == ("kept: its own label", f"{figures.at(0.9).share:.1%}")


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


def test_spellings_of_one_label_are_no_wrong_labels_and_to_merge_them_is_the_first_step():
    vectors, gold = clusters(labels=6, each=40)
    wrong = np.random.default_rng(2).choice(len(gold), 12, replace=False)
    changed = gold.copy()
    changed[wrong] = (gold[wrong] + 1) % 6
    spelt = [f"{'Label' if place % 2 and label < 3 else 'label'} {label}" for place, label in enumerate(changed)]
    data, summary = prepare(labelled([(f"text {place}", label) for place, label in enumerate(spelt)]))
    assert len(summary.similar_labels) == 3
    validation = cross_validate(vectors, data.gold, len(data.labels), NO_VECTORS, no_progress)
    issues = find_label_issues(data, validation.logits)
    assert not [each for each in issues if each.label.lower() == each.likely_label.lower()]
    found = [each for each in issues[:12] if each.index in wrong]
    assert len(found) >= 11
    assert all(each.likely_label.lower() == f"label {gold[each.index]}" for each in found)
    best = validation.logits.argmax(axis=1)
    calibrator = fit_calibrator(validation.inside, best == data.gold, validation.outside, 0.1)
    readings = readings_of(validation.logits, validation.inside, data.gold, validation.outside, calibrator)
    figures = measure(readings, best, data.gold, data.labels, 0.1)
    config = TrainingConfig(files=(Path("hr.csv"),), output=Path("hr"), name="hr", accuracy=0.6)
    verdict = conclude(config, data, summary, issues, figures, None, None, ALL_DIFFERENT, labels_held_out=False)
    assert verdict.steps[0].startswith("Labels differ by case or white space alone")
    assert "doubted" in verdict.steps[1]


@pytest.mark.parametrize(
    ("share", "why", "what"),
    [
        (0.985, "the texts are too few to show", "; to show 97.0% takes 350, as often right."),
        (
            0.9705,
            "the texts do not show",
            "; measuring with more texts will hardly show 97.0%: ask for a lower --accuracy, or make the model better.",
        ),
    ],
)
def test_texts_to_measure_with_are_told_from_texts_to_train_on(share, why, what):
    data, summary, figures = figures_of_two_labels(each=12)
    curve = tuple(KeptAnswers(step / 100, 0.9, Interval(share, 0.9, 1.0), 100) for step in range(101))
    config = TrainingConfig(files=(Path("hr.csv"),), output=Path("hr"), name="hr")
    measured = replace(figures, curve=curve)
    verdict = conclude(config, data, summary, (), measured, None, None, ALL_DIFFERENT, labels_held_out=False)
    assert verdict.sentence.startswith(f"It can be served, but {why} 97.0% right: ")
    assert verdict.sentence.endswith(what)
    assert verdict.steps[0].startswith("Train on more texts of the labels that have fewer than 20: label 0 (12), ")


@pytest.mark.parametrize(
    ("added", "reason"),
    [((), "no label has more than 12 texts"), (((1, 6),), "half of the labels have 15 texts or fewer")],
    ids=["equal", "unequal"],
)
def test_few_texts_are_counted_as_they_are(added, reason):
    data, summary, figures = figures_of_two_labels(each=12)
    data = replace(data, gold=np.concatenate([data.gold, *(np.full(count, label) for label, count in added)]))
    curve = tuple(KeptAnswers(step / 100, 0.05, Interval(1.0, 0.5, 1.0), 100) for step in range(101))
    config, measured = (
        TrainingConfig(files=(Path("hr.csv"),), output=Path("hr"), name="hr"),
        replace(figures, curve=curve),
    )
    verdict = conclude(config, data, summary, (), measured, None, None, ALL_DIFFERENT, labels_held_out=False)
    assert verdict.reason == reason


def test_few_sentences_in_many_rows_show_nothing():
    data, summary, figures = figures_of_two_labels(each=80)
    curve = tuple(KeptAnswers(step / 100, 1.0, Interval(1.0, 0.8, 1.0), 16) for step in range(101))
    config, measured = (
        TrainingConfig(files=(Path("hr.csv"),), output=Path("hr"), name="hr"),
        replace(figures, curve=curve),
    )
    few = DoublesFound(16, {}, np.zeros(0, bool))
    verdict = conclude(config, data, summary, (), measured, None, None, few, labels_held_out=False)
    assert verdict.grade == "fair"
    assert verdict.sentence.startswith("16 different sentences, 8 a label: nothing is shown of what people write.")
    assert verdict.steps[0].startswith(
        "Add texts that people wrote: the 160 rows are 16 different sentences, which are"
    )


def test_intervals_count_groups_and_not_their_rows():
    gold = np.repeat([0, 1], 80)
    groups = np.arange(160) // 10
    ones, none = np.ones(160, bool), np.zeros(160)
    readings = ModelReadings(ones, ones, none, none, np.zeros(160, bool), np.ones(160))
    rows, grouped = (measure(readings, gold, gold, ("a", "b"), 0.0, inside_groups=each) for each in (None, groups))
    assert (round(rows.at(0.5).texts), round(grouped.at(0.5).texts)) == (160, 16)
    assert str(grouped.at(0.5).right) == str(wilson(16, 16))
    assert grouped.accuracy == wilson(16, 16)
    assert rows.accuracy == wilson(160, 160)


def test_a_test_that_refutes_the_keep_at_is_called_what_it_is():
    data, summary, figures = figures_of_two_labels(each=40)
    measured, test = (
        replace(
            figures,
            curve=tuple(KeptAnswers(step / 100, 0.9, right, 200) for step in range(101)),
        )
        for right in (Interval(0.99, 0.98, 1.0), Interval(0.75, 0.3, 0.955))
    )
    config = TrainingConfig(files=(Path("hr.csv"),), output=Path("hr"), name="hr")
    verdict = conclude(config, data, summary, (), measured, test, None, ALL_DIFFERENT, labels_held_out=False)
    there = "75.0% (30.0% to 95.5%) of what is kept is right there, 97.0% was asked for."
    said = f"Worse on the test file than on held-out texts: {there} Choose a higher keep_at with `sprat assess`."
    assert verdict.sentence == said
    assert not verdict.keep_at_holds


def test_how_the_kept_texts_are_counted_is_said_where_they_are_weighted():
    _, _, figures = figures_of_two_labels(each=12)
    curve = tuple(KeptAnswers(step / 100, 0.9, Interval(1.0, 0.5, 1.0), 1.0) for step in range(101))
    plain, weighted = replace(figures, curve=curve), replace(figures, curve=curve, outside_share=0.1)
    shows = "show 26.9% with 95 % confidence; to show 97.0% takes 88, all right"
    assert str(plain.recommended(0.97)) == f"provisional: the kept texts (1) {shows}"
    said = "provisional: the kept texts (1 when weighted to 10% outside every label)"
    assert str(weighted.recommended(0.97)) == f"{said} {shows}"


def test_a_test_file_that_differs_by_more_than_chance_is_said_to():
    held_out, easier = wilson(76, 112), wilson(39, 40)  # the intervals do not overlap
    assert differs_on_test(held_out, None) is None
    assert differs_on_test(held_out, wilson(32, 40)) is None
    better, worse = differs_on_test(held_out, easier), differs_on_test(easier, held_out)
    assert better.startswith("more of the test file is right than of the held-out texts, by more than chance: ")
    assert "easier, or much like those that were trained on, or the training file has wrong labels" in better
    assert worse.startswith("more of the held-out texts is right than of the test file, by more than chance: ")
    assert "harder, or unlike those that were trained on, or have wrong labels" in worse


def test_what_a_label_for_the_rest_means_is_to_be_decided_before_anything_else():
    data, summary, figures = figures_of_two_labels(each=12)
    config = TrainingConfig(files=(Path("hr.csv"),), output=Path("hr"), name="hr")
    decide = 'Decide what "{}" means. If its texts belong to no other label, train with --outside-label '
    rest = [(label, decide.format(label), False) for label in ("Other", "Sonstiges", "autres", "otros")]
    for last, first, names_a_file in (*rest, ("billing", "Train on", True)):
        labels = (data.labels[0], last)
        verdict = conclude(
            config, replace(data, labels=labels), summary, (), figures, None, None, ALL_DIFFERENT, labels_held_out=True
        )
        assert verdict.steps[0].startswith(first)
        assert any("--out-of-scope FILE" in step for step in verdict.steps) is names_a_file
        assert (f"--outside-label {last}: they then count as" in verdict.steps[0]) is not names_a_file


def test_where_texts_outside_are_the_reason_a_step_says_what_helps():
    vectors, gold = clusters(labels=6, each=30)
    foreign = vectors[::6]  # texts outside that read as those inside
    data, summary = prepare(labelled([(f"text {place}", f"label {label}") for place, label in enumerate(gold)]))
    validation = cross_validate(vectors, gold, 6, foreign, no_progress)
    best = validation.logits.argmax(axis=1)
    calibrator = fit_calibrator(validation.inside, best == gold, validation.outside, 0.1)
    readings = readings_of(validation.logits, validation.inside, gold, validation.outside, calibrator)
    texts = len(np.unique(validation.outside_texts))
    figures = measure(readings, best, gold, data.labels, 0.1, validation.outside_groups, texts)
    config = TrainingConfig(files=(Path("hr.csv"),), output=Path("hr"), name="hr")
    without = kept_without(validation, data, (), config)
    verdict = conclude(config, data, summary, (), figures, None, without, ALL_DIFFERENT, labels_held_out=False)
    assert verdict.reason.startswith("texts outside every label are hard to tell from those inside; without them ")
    helps = "Add texts outside every label (now 30); where many of them are of one subject, give it a label of its own"
    assert verdict.steps[0] == helps


def test_of_what_is_not_kept_and_of_labels_without_texts_nothing_is_said():
    logits = np.array([[5, 0, 0], [5, 0, 0], [0, 5, 0], [0, 5, 0]], np.float32)
    gold = np.array([0, 0, 1, 1])
    calibrator = LabelCalibrator(np.array([[1.0, 0.0, -1.0], [0.0, 0.0, 0.0]]), np.zeros(3))
    readings = readings_of(logits, features(logits), gold, np.zeros((0, 2)), calibrator)
    figures = measure(readings, logits.argmax(axis=1), gold, ("a", "b", "c"), 0.1)
    assert figures.macro_f1 == 1  # of the two labels that have texts
    assert figures.at(1.0).share == 0
    assert figures.at(1.0).shown_right == "–"
    assert figures.at(0.5).shown_right.startswith("100.0% (")


def test_figures_equal_those_counted_by_hand():
    logits = np.array([[5, 0, 0], [5, 0, 0], [0, 5, 0], [0, 5, 0], [0, 0, 5], [5, 0, 0]], np.float32)
    gold = np.array([0, 0, 1, 1, 2, 2])
    inside, none = features(logits), np.zeros((0, 2))
    calibrator = fit_calibrator(inside, np.array([1, 1, 1, 1, 1, 0], bool), none, 0.0)
    readings = readings_of(logits, inside, gold, none, calibrator)
    figures = measure(readings, logits.argmax(axis=1), gold, ("a", "b", "c"), 0.1)
    assert figures.accuracy.value == pytest.approx(5 / 6)
    assert [(each.label, each.predicted, each.texts, each.total) for each in figures.confusions] == [("c", "a", 1, 2)]
    assert [each.recall for each in figures.labels] == [1, 1, 0.5]
    assert figures.labels[0].precision == pytest.approx(2 / 3)
    assert figures.recommended(0.8).keep_at == 0.5
    assert not figures.recommended(0.8).is_shown
    assert figures.recommended(0.999) is None


def test_the_threshold_allows_for_labels_that_differ():
    """Of the texts outside, those of one label out of ten are kept: an eleventh label may be like that one."""
    logits = np.tile(np.array([[5, 0, 0]], np.float32), (1000, 1))
    gold = np.zeros(1000, np.int64)
    groups = np.repeat(np.arange(10), 30)
    outside = np.where(np.repeat(groups[:, None], 2, axis=1) == 0, features(logits[:1]), -9.0)
    calibrator = LabelCalibrator(np.array([[1.0, 0.0, -1.0], [0.0, 0.0, 0.0]]), np.zeros(3))
    readings = readings_of(logits, features(logits), gold, outside, calibrator)
    best = logits.argmax(axis=1)
    of_groups = measure(readings, best, gold, ("a", "b", "c"), 0.2, groups).at(0.5)
    of_texts = measure(readings, best, gold, ("a", "b", "c"), 0.2).at(0.5)
    assert of_groups.right.value == pytest.approx(0.98)
    assert of_texts.right.value == pytest.approx(0.98)
    assert of_groups.right.low < of_texts.right.low
    # Ten labels of which one is kept whole: 0.02 wrong, with a standard error of as much, as 49 texts have.
    assert of_groups.texts == pytest.approx(0.98 * 0.02 / 0.02**2, rel=0.05)
    assert of_groups.right_at.shown < of_texts.right_at.shown


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


def test_the_share_kept_is_at_most_everything():
    vectors, gold = clusters(labels=12)
    validation = cross_validate(vectors, gold, 12, NO_VECTORS, no_progress)
    calibrator = fit_calibrator(validation.inside, validation.logits.argmax(axis=1) == gold, validation.outside, 0.1)
    readings = readings_of(validation.logits, validation.inside, gold, validation.outside, calibrator)
    for share in np.arange(0.01, 0.9, 0.01):
        figures = measure(readings, validation.logits.argmax(axis=1), gold, tuple("abcdefghijkl"), float(share))
        assert f"{1 - figures.at(0.0).share:.1%}" == "0.0%"


def test_where_all_that_is_kept_is_right_the_share_right_is_one_however_the_weights_round():
    """The weights of 287 texts and of the 80 outside are no binary fractions: sums in two orders may differ."""
    inside, outside = 287, 80
    of_traffic = np.random.default_rng(1).permutation(np.repeat([0.1, 0.9], [inside - 41, 41]))
    confidence = np.concatenate([of_traffic, np.full(outside, 0.2)])
    for sure in range(1, 41):
        kept = confidence.copy()
        kept[np.flatnonzero(confidence == 0.9)[sure:]] = 0.1
        readings = ModelReadings(
            in_scope=np.arange(inside + outside) < inside,
            best_right=kept == 0.9,
            best_logit=kept,
            outside_probability=1 - kept,
            is_rejected=np.zeros(inside + outside, bool),
            confidence=kept,
        )
        gold = np.zeros(inside, np.int64)
        at = measure(readings, gold, gold, ("a", "b"), 0.1).at(0.5)
        assert at.right.value == 1
        assert at.right.low == pytest.approx(wilson(sure, sure).low)
        assert at.right.high == pytest.approx(1)
        assert at.texts == pytest.approx(sure)
