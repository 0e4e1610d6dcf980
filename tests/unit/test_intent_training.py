"""The parts of a training on made-up vectors: no encoder."""

from pathlib import Path

import numpy as np
import pytest

from sprat.errors import UserError
from sprat_training import preparation, regression
from sprat_training.config import TrainingConfig, silent
from sprat_training.cross_validation import cross, text_folds
from sprat_training.datasets.rows import Labelled
from sprat_training.figures import measure, seen_of
from sprat_training.fitting import features_of, fit_calibrator, fit_head, logits_of
from sprat_training.label_issues import suspects
from sprat_training.preparation import LEAST_ROWS, prepare
from sprat_training.regression import fit_multinomial
from sprat_training.sources import texts_to_test
from support.labelled_files import made

NOTHING = np.zeros((0, 16), np.float32)


def clouds(labels=6, each=30, *, spread=0.35, seed=0, centres=0):
    """Vectors of length 1 around one centre a label."""
    middle = np.random.default_rng(centres).normal(size=(labels, 16))
    middle /= np.linalg.norm(middle, axis=1, keepdims=True)
    gold = np.repeat(np.arange(labels), each)
    vectors = middle[gold] + np.random.default_rng(seed).normal(scale=spread / 4, size=(len(gold), 16))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), gold.astype(np.int64)


def labelled(rows):
    texts, labels = zip(*rows, strict=True)
    return Labelled(Path("hr.csv"), texts, labels, tuple(range(2, len(rows) + 2)), ("text", "label"))


def plenty(label, count=LEAST_ROWS):
    return [(f"{label} text {number}", label) for number in range(count)]


def test_what_all_classes_share_stays_nothing_so_that_the_logits_of_several_heads_compare():
    vectors, gold = clouds(labels=12)
    weights, bias = fit_multinomial(vectors, gold, 12, c=10)
    assert np.abs(weights.mean(axis=1)).max() < 1e-5
    assert abs(bias.mean()) < 1e-5


def test_a_fit_needs_few_evaluations(monkeypatch):
    sought, asked = regression.minimise, []

    def counting(function, *rest, **more):
        return sought(lambda point: asked.append(point) or function(point), *rest, **more)

    monkeypatch.setattr(regression, "minimise", counting)
    fit_multinomial(*clouds(labels=40), 40, c=10)
    assert len(asked) < 24  # 28 without the curvature


def test_a_head_tells_its_labels_apart_and_is_the_same_every_time():
    vectors, gold = clouds()
    head, again = fit_head(vectors, gold, 6), fit_head(vectors, gold, 6)
    assert (logits_of(head, vectors).argmax(axis=1) == gold).all()
    assert head.weights.tobytes() == again.weights.tobytes()
    assert head.weights.dtype == np.float32


def test_folds_spread_every_label():
    gold = np.repeat(np.arange(7), 5)
    folds = text_folds(gold, 5)
    assert all(len(set(folds[gold == label])) == 5 for label in range(7))
    assert np.bincount(folds).tolist() == [7] * 5


def test_held_out_logits_are_of_heads_that_had_not_seen_the_text():
    vectors, gold = clouds()
    shuffled = np.random.default_rng(1).permutation(gold)  # labels that mean nothing cannot be guessed
    crossed = cross(vectors, shuffled, 6, NOTHING, silent)
    assert (crossed.logits.argmax(axis=1) == shuffled).mean() < 0.35


def test_labels_held_out_stand_in_for_texts_outside_and_what_is_outside_is_found():
    vectors, gold = clouds(labels=12)
    crossed = cross(vectors, gold, 12, NOTHING, silent)
    assert crossed.stand_ins
    right = crossed.logits.argmax(axis=1) == gold
    calibrator = fit_calibrator(crossed.inside, right, crossed.outside, 0.1)
    strange, _ = clouds(labels=12, seed=5, centres=99)
    seen = seen_of(logits_of(crossed.head, vectors), gold, features_of(logits_of(crossed.head, strange)), calibrator)
    assert seen.right[seen.inside].mean() > 0.95
    assert seen.sent_out[~seen.inside].mean() > 0.8


def test_with_two_labels_and_nothing_outside_everything_gets_a_label():
    vectors, gold = clouds(labels=2)
    crossed = cross(vectors, gold, 2, NOTHING, silent)
    assert not crossed.stand_ins
    calibrator = fit_calibrator(crossed.inside, crossed.logits.argmax(axis=1) == gold, crossed.outside, 0.1)
    seen = seen_of(crossed.logits, gold, crossed.outside, calibrator)
    figures = measure(seen, crossed.logits.argmax(axis=1), gold, ("a", "b"), 0.1)
    assert figures.outside_recall is None
    assert figures.outside_share == 0
    assert figures.at(0.0).share == pytest.approx(1)


def test_wrong_labels_are_listed_with_the_label_believed():
    vectors, gold = clouds(labels=6, each=40)
    wrong = np.random.default_rng(2).choice(len(gold), 12, replace=False)
    given = gold.copy()
    given[wrong] = (gold[wrong] + 1) % 6
    names = [(f"text {place}", f"label {label}") for place, label in enumerate(given)]
    training, _ = prepare(labelled(names))
    listed = suspects(training, cross(vectors, given, 6, NOTHING, silent).logits)
    found = [each for each in listed[:12] if each.place in wrong]
    assert len(found) >= 11
    assert all(each.believed == f"label {gold[each.place]}" for each in found)
    assert all(each.row == each.place + 2 for each in listed)


def test_figures_are_as_counted_by_hand():
    logits = np.array([[5, 0, 0], [5, 0, 0], [0, 5, 0], [0, 5, 0], [0, 0, 5], [5, 0, 0]], np.float32)
    gold = np.array([0, 0, 1, 1, 2, 2])
    calibrator = fit_calibrator(features_of(logits), np.array([1, 1, 1, 1, 1, 0], bool), np.zeros((0, 2)), 0.0)
    figures = measure(
        seen_of(logits, gold, np.zeros((0, 2)), calibrator), logits.argmax(axis=1), gold, ("a", "b", "c"), 0.1
    )
    assert figures.accuracy.value == pytest.approx(5 / 6)
    assert [(each.given, each.believed, each.texts, each.of) for each in figures.pairs] == [("c", "a", 1, 2)]
    assert [each.recall for each in figures.labels] == [1, 1, 0.5]
    assert figures.labels[0].precision == pytest.approx(2 / 3)
    assert figures.least(0.8).keep_at == 0.5
    assert figures.least(0.999) is None


def test_equal_texts_count_once_and_contradictions_are_settled_by_the_most():
    rows = [
        *plenty("a"),
        *plenty("b"),
        ("A  text 0", "a"),
        ("same", "a"),
        ("Same", "b"),
        ("SAME ", "b"),
        ("tie", "a"),
        ("tie", "b"),
    ]
    training, look = prepare(labelled(rows))
    assert training.labels == ("a", "b")
    assert len(training.texts) == 11
    assert training.texts[-1] == "Same"
    assert [repeat.rows for repeat in look.repeats] == [(2, 12)]
    assert [(repeat.rows, repeat.labels) for repeat in look.torn] == [
        ((13, 14, 15), ("b", "a")),
        ((16, 17), ("a", "b")),
    ]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (plenty("a"), 'hr.csv: column "label": every row has the label "a"; at least two labels are needed'),
        (
            [*plenty("a"), *plenty("b", 4)],
            'hr.csv: row 7: 1 label has fewer than 5 different texts: "b" 4; add texts',
        ),
        ([*plenty("a"), *[("same", "b")] * 9], '1 label has fewer than 5 different texts: "b" 1'),
    ],
)
def test_too_little_is_refused_with_what_to_do(rows, said):
    with pytest.raises(UserError) as caught:
        prepare(labelled(rows))
    assert said in str(caught.value)


def test_small_labels_are_left_out_when_asked():
    training, look = prepare(labelled([*plenty("a"), *plenty("b"), *plenty("c", 2)]), drop_small=True)
    assert training.labels == ("a", "b")
    assert look.dropped == {"c": 2}


def test_a_header_taken_for_a_row_is_hinted_at():
    rows = [("Anfrage", "Thema"), *plenty("a"), *plenty("b")]
    texts, labels = zip(*rows, strict=True)
    data = Labelled(Path("hr.csv"), texts, labels, tuple(range(1, len(rows) + 1)), ("1", "2"))
    with pytest.raises(UserError, match=r"is row 1 the columns' names\? Then name them"):
        prepare(data)


def test_json_lines_are_not_asked_for_names_in_row_1():
    texts, labels = zip(("hello", "x"), *plenty("a"), *plenty("b"), strict=True)
    data = Labelled(Path("hr.jsonl"), texts, labels, tuple(range(1, len(texts) + 1)), ("text", "label"))
    with pytest.raises(UserError, match=r"row 1: 1 label has fewer than 5 .*with --drop-small$"):
        prepare(data)


def test_labels_that_differ_by_case_or_white_space_alone_are_found():
    rows = [*plenty("Gehalt"), *plenty("GEHALT"), *plenty("sick note"), *plenty("sick  note"), *plenty("OOS")]
    data = labelled([(f"{place} {text}", label) for place, (text, label) in enumerate([*rows, *plenty("sick notes")])])
    assert prepare(data)[1].alike == (("GEHALT", "Gehalt"), ("sick  note", "sick note"))
    assert ("OOS", "oos") in prepare(data, outside_label="oos")[1].alike


def test_labels_too_small_for_being_written_two_ways_are_told_as_such():
    rows = [*plenty("Gehalt", 20), *plenty("leave"), *[(f"pay {number}", "GEHALT") for number in range(2)]]
    with pytest.raises(
        UserError, match=r'"GEHALT" 2; .*; differing by case or white space alone.*: "GEHALT" = "Gehalt"$'
    ):
        prepare(labelled(rows))


def test_labels_that_may_be_texts_are_not_told():
    rows = [*[(f"topic {number % 3}", f"My name is Anna {number}") for number in range(30)]]
    with pytest.raises(UserError) as caught:
        prepare(labelled(rows))
    assert 'is "label" the column of labels? Else name it: --label-column NAME' in str(caught.value)
    assert "Anna" not in str(caught.value)


def test_labels_of_a_test_that_may_be_texts_are_not_told(tmp_path):
    training, _ = prepare(labelled([*plenty("a"), *plenty("b")]))
    test = made(tmp_path, "test.csv", "text,label\nhello,My name is Anna\nbye,I am Ben\n")
    with pytest.raises(UserError, match=r'row 2, column "label": no text is trained with this label; correct it'):
        texts_to_test(TrainingConfig(file=Path("hr.csv"), output=tmp_path, name="hr", test_file=test), training)


def test_what_is_kept_is_no_more_than_everything():
    vectors, gold = clouds(labels=12)
    crossed = cross(vectors, gold, 12, NOTHING, silent)
    calibrator = fit_calibrator(crossed.inside, crossed.logits.argmax(axis=1) == gold, crossed.outside, 0.1)
    seen = seen_of(crossed.logits, gold, crossed.outside, calibrator)
    for share in np.arange(0.01, 0.9, 0.01):
        figures = measure(seen, crossed.logits.argmax(axis=1), gold, tuple("abcdefghijkl"), float(share))
        assert f"{1 - figures.at(0.0).share:.1%}" == "0.0%"


def test_too_many_rows_are_refused_with_a_way_out_and_sampled_evenly(monkeypatch):
    monkeypatch.setattr(preparation, "MOST_ROWS", 1_000)
    rows = [(f"text {number}", "ab"[number % 10 == 0]) for number in range(1_100)]
    with pytest.raises(UserError, match=r"1,100 different texts; at most 1,000 are fitted.*--sample 1000"):
        prepare(labelled(rows))
    training, look = prepare(labelled(rows), sample=200)
    assert np.bincount(training.gold).tolist() == [100, 100]
    assert look.sampled_from == 1_100
