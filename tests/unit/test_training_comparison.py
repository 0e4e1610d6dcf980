"""Versions of a model compared, on texts that are held out by their hash."""

import math
from itertools import product

import numpy as np
import pytest

from sprat_training.data import TooFewToHoldOutError, hold_out, prepare
from sprat_training.datasets.rows import normalised_text
from sprat_training.evaluation.comparison import VersionAnswers, answers_of, compare, set_answers_of
from sprat_training.evaluation.metrics import ModelReadings, wilson
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
    read = ModelReadings(
        in_scope=np.array([True, True, False, True]),
        best_right=np.array([True, False, False, True]),
        best_logit=np.zeros(4),
        outside_probability=np.zeros(4),
        is_rejected=np.array([False, False, True, True]),
        confidence=np.array([0.9, 0.4, 0.9, 0.9]),
    )
    found = answers_of(read, 0.5)
    assert found.right.tolist() == [True, False, True, False], "as published: called outside, it has no label"
    assert found.kept.tolist() == [True, False, True, True]
    assert found.kept_right.tolist() == [True, False, True, False]
    assert found.called_outside.tolist() == [False, False, False, True]
    shares = compare(found, found)
    assert shares.kept_right.new.value + shares.kept_wrong.new.value + shares.escalated.new.value == 1
    assert shares.called_outside.new.value == 1 / 4 == shares.kept_wrong.new.value


def test_of_what_each_version_keeps_the_share_right_is_compared_in_pairs():
    def keeping(right, wrong):
        numbers = np.arange(100)
        rights = numbers < 60
        keeps = (numbers < right) | ((numbers >= 60) & (numbers < 60 + wrong))
        return VersionAnswers(rights, keeps, rights & keeps, np.zeros(100, bool))

    found = compare(keeping(40, 2), keeping(44, 20))
    assert found.right_of_kept.served.value == pytest.approx(40 / 42)
    assert found.right_of_kept.new.value == pytest.approx(44 / 64)
    assert found.right_of_kept.difference.value == pytest.approx(44 / 64 - 40 / 42)
    assert found.right_of_kept.differing == 22
    assert (found.kept_are_right, compare(keeping(44, 20), keeping(40, 2)).kept_are_right) == ("less", "more")
    assert compare(keeping(40, 2), keeping(50, 2)).kept_are_right == "alike"
    none_kept = compare(keeping(40, 2), keeping(0, 0))
    assert (none_kept.right_of_kept, none_kept.kept_are_right) == (None, "alike")
    assert "right of those kept" not in [each.name for each in none_kept.all]
    few = compare(keeping(1, 0), keeping(0, 1))
    assert (few.right_of_kept, few.kept_are_right, few.is_worse) == (None, "alike", False), "all draws would be alike"


@pytest.mark.parametrize("texts", [1, 12, 300])
def test_where_no_text_differs_the_interval_is_that_of_texts_that_were_not_seen(texts):
    """None of them differs: by Wilson, up to so many may. These are the ends of Tango's score interval, too."""
    found = compare(version([True] * texts), version([True] * texts))
    share = wilson(0, texts).high
    difference = found.right.difference
    assert (difference.value, difference.low, difference.high) == (0, pytest.approx(-share), pytest.approx(share))
    assert (found.better, found.keeps, found.kept_are_right, found.is_worse) == ("neither", "alike", "alike", False)
    if found.right_of_kept is not None:
        assert found.right_of_kept.difference == difference
    in_pairs = compare(version([True] * texts), version([True] * texts), groups=np.arange(texts) // 2).right.difference
    assert in_pairs.high == pytest.approx(wilson(0, -(-texts // 2)).high), "a group is one case"


@pytest.mark.parametrize(
    ("texts", "low"), [(1, -0.587), (2, -0.315), (3, -0.123), (4, 0.020), (12, 0.515), (300, 0.975)]
)
def test_where_all_texts_differ_alike_the_ends_are_those_of_tango_however_few_they_are(texts, low):
    none, all_right = version([False] * texts), version([True] * texts)
    found, other_way = compare(none, all_right), compare(all_right, none)
    ends = found.right.difference
    assert (ends.value, ends.low, ends.high) == (1, pytest.approx(low, abs=6e-4), 1)
    assert (other_way.right.difference.low, other_way.right.difference.high) == (-1, pytest.approx(-ends.low))
    shown = ("new", "served") if low > 0 else ("neither", "neither")
    assert (found.better, other_way.better) == shown, "a verdict is that of the interval that is shown"


def test_one_text_that_differs_gives_no_narrower_interval_than_none():
    served = [True] * 49
    none = compare(version([*served, True]), version([*served, True])).right.difference
    one = compare(version([*served, False]), version([*served, True])).right.difference
    assert one.high - one.low >= 0.95 * (none.high - none.low)
    assert one.low < 0 < one.value < one.high
    assert one.low == pytest.approx(-0.0528, abs=1e-4), "Tango's lower end for 1 gained and 0 lost of 50"


@pytest.mark.parametrize(
    ("gained", "lost", "texts"), [(4, 0, 50), (20, 4, 300), (4, 20, 300), (9, 2, 40), (30, 60, 90)]
)
def test_of_dozens_of_texts_what_the_draws_show_is_shown(gained, lost, texts):
    served = [True] * (texts - gained) + [False] * gained
    new = [False] * lost + [True] * (texts - lost)
    change = np.array(new, dtype=float) - served
    drawn = np.random.default_rng(0).multinomial(texts, np.full(texts, 1 / texts), 2_000) @ change
    low, high = np.quantile(drawn, (0.025, 0.975))
    shown = "new" if low > 0 else "served" if high < 0 else "neither"
    assert shown != "neither"
    assert compare(version(served), version(new)).better == shown


@pytest.mark.parametrize("texts", [2, 3, 4, 5, 7, 10])
def test_of_two_equally_good_versions_few_texts_call_one_better_hardly_ever(texts):
    """The chance is exact: it is the sum over all numbers of texts that one version alone gets right."""
    for differing in (0.1, 0.3, 0.5):
        called = 0.0
        for gained, lost in product(range(texts + 1), repeat=2):
            alike = texts - gained - lost
            if alike >= 0:
                served = [False] * gained + [True] * (texts - gained)
                found = compare(version(served), version([True] * (texts - lost) + [False] * lost))
                ways = math.comb(texts, gained) * math.comb(texts - gained, lost)
                chance = ways * (differing / 2) ** (gained + lost) * (1 - differing) ** alike
                called += chance if found.better != "neither" else 0
        assert called < (0.07 if texts > 3 else 1e-9), (texts, differing)


def test_texts_are_held_out_and_every_label_keeps_its_number():
    rows = [*enough("a", 9), *enough("b", 9)]
    data, _ = prepare(labelled(rows))
    held_out = frozenset(normalised_text(text) for text in data.texts[::2])
    train, test = hold_out(data, held_out)
    assert {normalised_text(text) for text in test.texts} == held_out
    assert sorted((*train.texts, *test.texts)) == sorted(data.texts)
    assert train.labels == data.labels == ("a", "b")
    labels = dict(rows)
    assert [train.labels[number] for number in train.gold] == [labels[text] for text in train.texts]
    assert list(test.labels) == [labels[text] for text in test.texts]


def test_a_label_without_a_text_to_train_on_and_texts_that_are_not_there_cannot_be_held_out():
    data, _ = prepare(labelled([*enough("a", 9), *enough("b", 9)]))
    of_b = frozenset(normalised_text(text) for text, gold in zip(data.texts, data.gold, strict=True) if gold)
    with pytest.raises(TooFewToHoldOutError, match='no text of the label "b" is left to train on'):
        hold_out(data, of_b)
    with pytest.raises(TooFewToHoldOutError, match="no text is held out"):
        hold_out(data, frozenset({"another text"}))


def test_texts_of_one_group_are_no_independent_cases():
    served, new = [False] * 9 + [True] * 91, [True] * 100
    alone = compare(version(served), version(new)).right.difference
    grouped = compare(version(served), version(new), groups=np.array([0] * 9 + [*range(1, 92)])).right.difference
    assert alone.low > 0 == grouped.low
    assert alone.value == grouped.value == pytest.approx(0.09)


def test_the_interval_has_95_percent():
    """Of 1,000 texts 60 are gained and 40 lost: a standard deviation of a hundredth, of which 1.96 go to each side."""
    served = np.repeat([False, True, True], [60, 40, 900])
    new = np.repeat([True, False, True], [60, 40, 900])
    difference = compare(version(list(served)), version(list(new))).right.difference
    assert (difference.low, difference.high) == pytest.approx((0.02 - 1.96 * 0.01, 0.02 + 1.96 * 0.01), abs=0.0015)


def test_the_interval_is_that_of_pairs():
    """300 texts, half of them wrong by both versions, differ on two: independent shares would differ by 8 points."""
    served = [False] * 150 + [True] * 150
    found = compare(version(served), version([True] * 2 + served[2:])).right.difference
    assert found.high - found.low < 0.03


def flags(*sets: str):
    """Return texts × labels; `ab` stands for the labels a and b."""
    return np.array([[label in each for label in "ab"] for each in sets])


def answers_to(gold: tuple[str, ...], said: tuple[str, ...], keep_at: float = 0.8) -> VersionAnswers:
    """Return what answers with a confidence of 0.9 are worth."""
    return set_answers_of(flags(*said), flags(*gold), np.full(len(said), 0.9), keep_at)


def test_of_several_labels_the_whole_set_is_right_and_micro_f1_counts_each_label():
    gold, said = ("ab", "a", "", "b"), ("ab", "ab", "", "")
    found = answers_to(gold, said)
    assert found.right.tolist() == [True, False, True, False]
    assert found.kept_right.tolist() == found.right.tolist()
    assert found.called_outside.tolist() == [False, False, False, True]
    assert (found.hits.tolist(), found.named.tolist()) == ([2, 1, 0, 0], [4, 3, 0, 1])
    assert not answers_to(gold, said, keep_at=0.95).kept.any()


def test_answers_to_several_parts_are_those_to_all_texts():
    whole = answers_to(("ab", "a", "b"), ("ab", "ab", ""))
    parts = [answers_to(("ab",), ("ab",)), answers_to(("a", "b"), ("ab", ""))]
    together = VersionAnswers.of_all(parts)
    for name in ("right", "kept", "kept_right", "called_outside", "hits", "named"):
        assert getattr(together, name).tolist() == getattr(whole, name).tolist(), name
    alone = VersionAnswers.of_all([version([True]), version([False, True])])
    assert (alone.right.tolist(), alone.hits) == ([True, False, True], None)


def test_both_versions_are_compared_in_micro_f1_on_the_same_draws():
    gold = ("ab",) * 60
    better = answers_to(gold, ("ab",) * 60)
    worse = answers_to(gold, (*("ab",) * 30, *("a",) * 30))
    found = compare(worse, better).micro_f1
    assert (found.new.value, found.differing) == (1, 30)
    assert (found.new.low, found.new.high) == (pytest.approx(wilson(60, 60).low), 1), "as of 60 texts, all right"
    assert found.served.value == pytest.approx(2 * 90 / (90 + 120))
    assert found.served.low < found.served.value < found.served.high
    assert found.difference.value == pytest.approx(1 - found.served.value)
    assert 0 < found.difference.low < found.difference.value < found.difference.high
    same = compare(better, better).micro_f1.difference
    share = wilson(0, 60).high
    assert (same.value, same.low, same.high) == (0, pytest.approx(-share), pytest.approx(share))
    assert compare(version([True]), version([True])).micro_f1 is None


@pytest.mark.parametrize(("texts", "shown"), [(1, False), (2, False), (3, False), (4, True), (60, True)])
def test_a_difference_in_micro_f1_on_few_texts_has_the_one_interval_too(texts, shown):
    gold = ("ab",) * texts
    change = compare(answers_to(gold, ("",) * texts), answers_to(gold, gold)).micro_f1.difference
    assert (change.value, change.low, change.high) == (1, pytest.approx(1 - 2 * wilson(0, texts).high), 1)
    assert (change.low > 0) == shown
