import numpy as np
import pytest

from sprat_training.evaluation.label_quality import Seen, escalated_for, inside_only, kept, recall_at_escalated

INSIDE = np.array([True] * 4 + [False] * 2)
SEEN = Seen(
    inside=INSIDE,
    best_right=np.array([True, True, False, True, False, False]),
    score=np.zeros(6),
    outside=np.array([0.1, 0.2, 0.3, 0.6, 0.7, 0.25]),
    sent_out=np.array([False, False, False, True, True, False]),
    confidence=np.array([0.9, 0.8, 0.7, 0.6, 0.7, 0.5]),
)


def test_the_in_scope_texts_alone_keep_their_order() -> None:
    alone = inside_only(SEEN)
    assert alone.inside.all()
    assert alone.confidence.tolist() == [0.9, 0.8, 0.7, 0.6]
    assert alone.right.tolist() == [True, True, False, False]


@pytest.mark.parametrize(("wanted", "escalated"), [(1.0, 0.5), (0.6, 0.25), (0.5, 0.0)])
def test_no_more_is_escalated_than_what_is_kept_needs_to_be_right(wanted: float, escalated: float) -> None:
    assert escalated_for(inside_only(SEEN), wanted) == pytest.approx(escalated)


def test_everything_is_escalated_where_even_the_surest_is_wrong() -> None:
    wrong = inside_only(SEEN)
    wrong.best_right[:] = False
    assert escalated_for(wrong, 0.5) == 1.0


def test_recall_counts_what_is_surer_to_be_outside_than_all_but_a_share_of_what_is_inside() -> None:
    assert recall_at_escalated(SEEN, 0.0) == 0.5  # above 0.6: one of two
    assert recall_at_escalated(SEEN, 0.75) == 1.0


def test_without_texts_out_of_scope_all_weight_lies_in_scope() -> None:
    share, right = kept(inside_only(SEEN), 0.75, 0.0)
    assert (share, right) == (pytest.approx(0.5), 1.0)
