"""Metrics of an intent model, computed by hand beside."""

from dataclasses import replace

import numpy as np
import pytest

from recipes.intent.metrics import (
    in_scope_only,
    joined,
    kept_share,
    least_escalated,
    recall_at_rejected,
    reliability_bins,
)
from sprat_training.evaluation.metrics import ModelReadings, wilson

IN_SCOPE = np.array([True] * 4 + [False] * 2)
READINGS = ModelReadings(
    in_scope=IN_SCOPE,
    best_right=np.array([True, True, False, True, False, False]),
    best_logit=np.zeros(6),
    outside_probability=np.array([0.1, 0.2, 0.3, 0.6, 0.7, 0.25]),
    is_rejected=np.array([False, False, False, True, True, False]),
    confidence=np.array([0.9, 0.8, 0.7, 0.6, 0.7, 0.5]),
)


def test_the_in_scope_texts_alone_keep_their_order() -> None:
    alone = in_scope_only(READINGS)
    assert alone.in_scope.all()
    assert alone.confidence.tolist() == [0.9, 0.8, 0.7, 0.6]
    assert alone.right.tolist() == [True, True, False, False]


@pytest.mark.parametrize(("accuracy", "escalated"), [(1.0, 0.5), (0.6, 0.25), (0.5, 0.0)])
def test_no_more_is_escalated_than_the_accuracy_of_the_kept_answers_needs(accuracy: float, escalated: float) -> None:
    assert least_escalated(in_scope_only(READINGS), accuracy) == pytest.approx(escalated)


def test_everything_is_escalated_where_even_the_most_confident_answer_is_wrong() -> None:
    wrong = in_scope_only(READINGS)
    wrong.best_right[:] = False
    assert least_escalated(wrong, 0.5) == 1.0


def test_recall_counts_out_of_scope_texts_above_all_but_a_share_of_the_in_scope_ones() -> None:
    assert recall_at_rejected(READINGS, 0.0) == 0.5  # above 0.6: one of two
    assert recall_at_rejected(READINGS, 0.75) == 1.0


def test_without_out_of_scope_texts_the_in_scope_ones_have_all_the_weight() -> None:
    share, right = kept_share(in_scope_only(READINGS), 0.75, 0.0)
    assert (share, right) == (pytest.approx(0.5), 1.0)


def test_the_wilson_interval_of_nothing_is_everything() -> None:
    assert (wilson(0, 0).low, wilson(0, 0).high) == (0, 1)
    assert wilson(50, 50).high == pytest.approx(1)
    assert wilson(8, 10).low == pytest.approx(0.490, abs=0.001)


@pytest.mark.parametrize("count", [1, 50, 10_000, 10_000_000])
def test_an_interval_never_seems_to_end_at_both_sides_of_certainty(count: int) -> None:
    assert "(100.0% to" not in str(wilson(count, count))
    assert "to 0.0%)" not in str(wilson(0, count))


def test_a_bin_of_texts_outside_alone_is_left_out_where_the_traffic_has_none() -> None:
    in_scope, none = np.array([True, True, False]), np.zeros(3)
    rejected = ~in_scope
    read = ModelReadings(in_scope, in_scope, none, none, rejected, np.array([0.95, 0.9, 0.1]))
    assert sum(each.weight for each in reliability_bins(read, 0.0)) == pytest.approx(1)


@pytest.mark.parametrize(
    ("outside", "share", "right"),
    [
        pytest.param(None, 5 / 6, 2 / 5, id="none: one threshold for all"),
        pytest.param(0.5, 5 / 6, 2 / 5, id="a lower one changes nothing"),
        pytest.param(0.65, 4 / 6, 2 / 4, id="between the answers without a label"),
        pytest.param(1.0, 3 / 6, 2 / 3, id="no answer without a label is kept"),
    ],
)
def test_answers_without_a_label_have_a_threshold_of_their_own(
    outside: float | None, share: float, right: float
) -> None:
    read = replace(READINGS, in_scope=np.ones(6, bool))
    assert kept_share(read, 0.6, 0.0, outside) == (pytest.approx(share), pytest.approx(right))


def test_samples_are_joined_with_their_texts_in_order() -> None:
    both = joined([READINGS, in_scope_only(READINGS)])
    assert both.confidence.tolist() == [0.9, 0.8, 0.7, 0.6, 0.7, 0.5, 0.9, 0.8, 0.7, 0.6]
    assert both.in_scope.sum() == 8
