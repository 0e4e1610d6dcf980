"""The figures of a model and its likely wrong labels, on made-up vectors: no encoder."""

import numpy as np
import pytest

from sprat_training.config import no_progress
from sprat_training.data import prepare
from sprat_training.figures import measure, readings_of
from sprat_training.fitting import cross_validate, features_of, fit_calibrator, logits_of
from sprat_training.label_issues import find_label_issues
from support.training_data import NO_VECTORS, clusters, labelled


def test_held_out_labels_serve_as_texts_outside_and_texts_outside_are_recognised():
    vectors, gold = clusters(labels=12)
    validation = cross_validate(vectors, gold, 12, NO_VECTORS, no_progress)
    assert validation.labels_held_out
    right = validation.logits.argmax(axis=1) == gold
    calibrator = fit_calibrator(validation.inside, right, validation.outside, 0.1)
    foreign, _ = clusters(labels=12, seed=5, centres=99)
    readings = readings_of(
        logits_of(validation.head, vectors), gold, features_of(logits_of(validation.head, foreign)), calibrator
    )
    assert readings.right[readings.in_scope].mean() > 0.95
    assert readings.is_rejected[~readings.in_scope].mean() > 0.8


def test_with_two_labels_and_nothing_outside_everything_gets_a_label():
    vectors, gold = clusters(labels=2)
    validation = cross_validate(vectors, gold, 2, NO_VECTORS, no_progress)
    assert not validation.labels_held_out
    calibrator = fit_calibrator(validation.inside, validation.logits.argmax(axis=1) == gold, validation.outside, 0.1)
    readings = readings_of(validation.logits, gold, validation.outside, calibrator)
    figures = measure(readings, validation.logits.argmax(axis=1), gold, ("a", "b"), 0.1)
    assert figures.outside_recall is None
    assert figures.outside_share == 0
    assert figures.at(0.0).share == pytest.approx(1)


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


def test_figures_equal_those_counted_by_hand():
    logits = np.array([[5, 0, 0], [5, 0, 0], [0, 5, 0], [0, 5, 0], [0, 0, 5], [5, 0, 0]], np.float32)
    gold = np.array([0, 0, 1, 1, 2, 2])
    calibrator = fit_calibrator(features_of(logits), np.array([1, 1, 1, 1, 1, 0], bool), np.zeros((0, 2)), 0.0)
    figures = measure(
        readings_of(logits, gold, np.zeros((0, 2)), calibrator), logits.argmax(axis=1), gold, ("a", "b", "c"), 0.1
    )
    assert figures.accuracy.value == pytest.approx(5 / 6)
    assert [(each.label, each.predicted, each.texts, each.total) for each in figures.confusions] == [("c", "a", 1, 2)]
    assert [each.recall for each in figures.labels] == [1, 1, 0.5]
    assert figures.labels[0].precision == pytest.approx(2 / 3)
    assert figures.least_keep_at(0.8).keep_at == 0.5
    assert figures.least_keep_at(0.999) is None


def test_the_share_kept_is_at_most_everything():
    vectors, gold = clusters(labels=12)
    validation = cross_validate(vectors, gold, 12, NO_VECTORS, no_progress)
    calibrator = fit_calibrator(validation.inside, validation.logits.argmax(axis=1) == gold, validation.outside, 0.1)
    readings = readings_of(validation.logits, gold, validation.outside, calibrator)
    for share in np.arange(0.01, 0.9, 0.01):
        figures = measure(readings, validation.logits.argmax(axis=1), gold, tuple("abcdefghijkl"), float(share))
        assert f"{1 - figures.at(0.0).share:.1%}" == "0.0%"
