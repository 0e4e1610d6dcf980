"""Versions of a model compared, on texts that are held out by their hash."""

from types import SimpleNamespace

import numpy as np
import pytest

from sprat.errors import UserError
from sprat_training.data import MIN_TEXTS, hold_out, is_held_out, prepare
from sprat_training.evaluation.comparison import VersionAnswers, answers_of, compare, set_answers_of
from support.training_data import enough, labelled


def version(right: list[bool]) -> VersionAnswers:
    rights = np.array(right)
    return VersionAnswers(rights, np.ones(len(rights), bool), rights, np.zeros(len(rights), bool))


@pytest.mark.parametrize(
    ("gained", "lost", "better"), [(20, 4, "new"), (4, 20, "served"), (5, 4, "neither"), (0, 0, "neither")]
)
def test_the_better_version_is_named_only_where_the_paired_interval_excludes_0(gained, lost, better):
    served = [True] * (300 - gained) + [False] * gained
    new = [False] * lost + [True] * (300 - lost)
    found = compare(version(served), version(new))
    assert found.better == better
    assert found.right.differing == gained + lost
    difference = found.right.difference
    assert difference.value == pytest.approx((gained - lost) / 300)
    assert difference.low <= difference.value <= difference.high


@pytest.mark.parametrize(
    ("gained", "kept_before", "kept_now", "keeps", "worse"),
    [
        (0, 100, 60, "less", True),
        (40, 100, 60, "less", False),  # it gets clearly more texts right
        (0, 60, 100, "more", False),
        (0, 100, 99, "alike", False),
        (-40, 60, 100, "more", True),
    ],
)
def test_a_version_that_gets_no_more_right_and_keeps_clearly_less_is_worse(gained, kept_before, kept_now, keeps, worse):
    def keeping(right, kept):
        first = np.arange(300)
        rights, keeps_it = first < right, first < kept
        return VersionAnswers(rights, keeps_it, rights & keeps_it, np.zeros(300, bool))

    found = compare(keeping(200, kept_before), keeping(200 + gained, kept_now))
    assert (found.keeps, found.is_worse) == (keeps, worse)


def test_what_an_answer_is_worth():
    def answer(label, best, confidence):
        output = SimpleNamespace(label=label, alternatives=(SimpleNamespace(label=best),))
        return SimpleNamespace(output=output, confidence=confidence)

    answers = [answer("a", "a", 0.9), answer("b", "b", 0.4), answer(None, "a", 0.9), answer(None, "a", 0.9)]
    found = answers_of(answers, ["a", "a", None, "a"], 0.5)
    assert found.right.tolist() == [True, False, True, True]
    assert found.kept.tolist() == [True, False, True, True]
    assert found.kept_right.tolist() == [True, False, True, False]
    assert found.called_outside.tolist() == [False, False, False, True]
    shares = compare(found, found)
    assert shares.kept_right.new.value + shares.kept_wrong.new.value + shares.escalated.new.value == 1
    assert shares.called_outside.new.value == 1 / 4 == shares.kept_wrong.new.value


def test_a_text_that_is_held_out_stays_so_whatever_rows_are_added():
    rows = [*enough("a", 60), *enough("b", 60)]
    data, summary = prepare(labelled(rows))
    train, _, test = hold_out(data, summary)
    assert 0.1 < len(test) / 120 < 0.3
    assert not set(test.texts) & set(train.texts)
    more, summary = prepare(labelled([*enough("c", 60), *rows[::-1], *enough("d", 60)]))
    _, _, test_of_more = hold_out(more, summary)
    assert set(test.texts) == {text for text in test_of_more.texts if text[0] in "ab"}
    assert is_held_out("Some Text") == is_held_out(" some  text")


def test_a_label_with_too_few_texts_left_is_refused_or_left_out():
    few = [row for row in enough("c", 60) if is_held_out(row[0])][:4] + enough("c", MIN_TEXTS)
    data, summary = prepare(labelled([*enough("a", 60), *enough("b", 60), *dict(few).items()]))
    with pytest.raises(UserError, match='leaves fewer than 5 of some labels: "c"'):
        hold_out(data, summary)
    train, found, test = hold_out(data, summary, drop_small=True)
    assert train.labels == ("a", "b")
    assert "c" in found.dropped_labels
    assert set(test.labels) == {"a", "b"}


def test_the_interval_is_that_of_pairs():
    """300 texts, half of them wrong by both versions, differ on two: independent shares would differ by 8 points."""
    served = [False] * 150 + [True] * 150
    found = compare(version(served), version([True] * 2 + served[2:])).right.difference
    assert found.high - found.low < 0.02


def several(*sets: str, confidence: float = 0.9):
    """Return answers of several labels; `ab` stands for the labels a and b."""
    outputs = [SimpleNamespace(labels=[SimpleNamespace(label=label) for label in each]) for each in sets]
    return [SimpleNamespace(output=output, confidence=confidence) for output in outputs]


def test_of_several_labels_the_whole_set_is_right_and_micro_f1_counts_each_label():
    gold = [frozenset(each) for each in ("ab", "a", "", "b")]
    found = set_answers_of(several("ab", "ab", "", ""), gold, keep_at=0.8)
    assert found.right.tolist() == [True, False, True, False]
    assert found.kept_right.tolist() == found.right.tolist()
    assert found.called_outside.tolist() == [False, False, False, True]
    assert (found.hits.tolist(), found.named.tolist()) == ([2, 1, 0, 0], [4, 3, 0, 1])
    assert not set_answers_of(several("ab", "ab", "", ""), gold, keep_at=0.95).kept.any()


def test_both_versions_are_compared_in_micro_f1_on_the_same_draws():
    gold = [frozenset("ab")] * 60
    better = set_answers_of(several(*["ab"] * 60), gold, 0.8)
    worse = set_answers_of(several(*["ab"] * 30, *["a"] * 30), gold, 0.8)
    found = compare(worse, better).micro_f1
    assert (found.new.value, found.new.low, found.differing) == (1, 1, 30)
    assert found.served.value == pytest.approx(2 * 90 / (90 + 120))
    assert found.served.low < found.served.value < found.served.high
    assert found.difference.value == pytest.approx(1 - found.served.value)
    assert 0 < found.difference.low < found.difference.value < found.difference.high
    same = compare(better, better).micro_f1.difference
    assert (same.value, same.low, same.high) == (0, 0, 0)
    assert compare(version([True]), version([True])).micro_f1 is None
