"""What is fitted of a file, what is found in it, and what is refused."""

import numpy as np
import pytest

from sprat.base.errors import UserError
from sprat_training.datasets.distinct import check_test, merge_spellings, prepare
from sprat_training.datasets.reader import joined, read_labelled
from support.dataset_files import write_file
from support.training_data import enough, labelled


def test_equal_texts_count_once_and_the_most_frequent_of_several_labels_is_used():
    rows = [
        *enough("a"),
        *enough("b"),
        ("A  text 0", "a"),
        ("same", "a"),
        ("Same", "b"),
        ("SAME ", "b"),
        ("tie", "a"),
        ("tie", "b"),
    ]
    data, summary = prepare(labelled(rows))
    assert data.labels == ("a", "b")
    assert len(data.texts) == 11
    assert data.texts[-1] == "Same"
    assert [text.rows for text in summary.repeats] == [(2, 12)]
    assert [(text.rows, text.labels) for text in summary.conflicts] == [
        ((13, 14, 15), ("b", "a")),
        ((16, 17), ("a", "b")),
    ]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (enough("a"), 'hr.csv: column "label": every row has the label "a"; at least two labels are needed'),
        (
            [*enough("a"), *enough("b", 4)],
            'hr.csv: row 7: 1 label has fewer than 5 different texts: "b" 4; add texts',
        ),
        ([*enough("a"), *[("same", "b")] * 9], '1 label has fewer than 5 different texts: "b" 1'),
    ],
)
def test_too_little_is_refused_with_what_to_do(rows, message):
    with pytest.raises(UserError) as caught:
        prepare(labelled(rows))
    assert message in str(caught.value)


def test_labels_with_too_few_texts_are_left_out_on_request():
    data, summary = prepare(labelled([*enough("a"), *enough("b"), *enough("c", 2)]), drop_small=True)
    assert data.labels == ("a", "b")
    assert summary.dropped_labels == {"c": 2}


def test_the_error_hints_that_row_1_may_be_the_column_names():
    data = labelled([("Anfrage", "Thema"), *enough("a"), *enough("b")], first_row=1)
    with pytest.raises(UserError, match=r"is row 1 the columns' names\? Then name them"):
        prepare(data)


def test_the_error_for_json_lines_does_not_ask_for_names_in_row_1():
    data = labelled([("hello", "x"), *enough("a"), *enough("b")], "hr.jsonl", first_row=1)
    with pytest.raises(UserError, match=r"row 1: 1 label has fewer than 5 .*with --drop-small$"):
        prepare(data)


def test_labels_that_differ_by_case_or_white_space_alone_are_found():
    rows = [*enough("Gehalt"), *enough("GEHALT"), *enough("sick note"), *enough("sick  note"), *enough("OOS")]
    data = labelled([(f"{place} {text}", label) for place, (text, label) in enumerate([*rows, *enough("sick notes")])])
    assert prepare(data)[1].similar_labels == (("GEHALT", "Gehalt"), ("sick  note", "sick note"))
    assert ("OOS", "oos") in prepare(data, outside_label="oos")[1].similar_labels


def test_the_error_names_labels_that_are_small_because_they_are_written_two_ways():
    rows = [*enough("Gehalt", 20), *enough("leave"), *[(f"pay {number}", "GEHALT") for number in range(2)]]
    with pytest.raises(
        UserError,
        match=r'"GEHALT" 2; .*; differing by case or white space alone.*: "GEHALT" = "Gehalt"; --merge-case takes each',
    ):
        prepare(labelled(rows))


def test_the_error_shows_no_labels_that_may_be_texts():
    rows = [*[(f"topic {number % 3}", f"My name is Anna {number}") for number in range(30)]]
    with pytest.raises(UserError) as caught:
        prepare(labelled(rows))
    assert 'is "label" the column of labels? Else name it: --label-column NAME' in str(caught.value)
    assert "Anna" not in str(caught.value)


def test_the_error_shows_no_labels_of_a_test_that_may_be_texts(tmp_path):
    data, _ = prepare(labelled([*enough("a"), *enough("b")]))
    test = write_file(tmp_path, "test.csv", "text,label\nhello,My name is Anna\nbye,I am Ben\n")
    with pytest.raises(UserError, match=r'row 2, column "label": no text is trained with this label; correct it'):
        check_test(read_labelled(test), data)


def test_too_many_texts_are_refused_with_a_way_out_and_sampled_evenly():
    rows = [(f"text {number}", "ab"[number % 10 == 0]) for number in range(1_100)]
    with pytest.raises(UserError, match=r"1,100 different texts; at most 1,000 are fitted.*--sample 1000"):
        prepare(labelled(rows), max_texts=1_000)
    data, summary = prepare(labelled(rows), sample=200)
    assert np.bincount(data.gold).tolist() == [100, 100]
    assert summary.sampled_from == 1_100


def test_rows_of_the_test_that_are_trained_on_are_left_out_and_listed(tmp_path):
    data, _ = prepare(labelled([*enough("a"), *enough("b")]))
    test = write_file(tmp_path, "test.csv", "text,label\nA text 0,a\nnew,b\n")
    rows, leaked = check_test(read_labelled(test), data)
    assert (rows.texts, leaked) == (("new",), (2,))


def test_a_later_file_corrects_an_earlier_one_and_counts_are_over_all_files():
    first = labelled([*enough("a"), *enough("b", 3), ("right", "a"), ("wrong", "a"), ("wrong", "b")])
    second = labelled([("b text 8", "b"), ("Wrong", "b"), ("right", "a")], "corrected.csv")
    data, summary = prepare(joined([first, second]))
    assert data.labels == ("a", "b")
    assert [(text.rows, text.labels, [str(path) for path in text.paths]) for text in summary.corrected] == [
        ((11, 12, 3), ("b",), ["hr.csv", "hr.csv", "corrected.csv"])
    ]
    assert [text.rows for text in summary.repeats] == [(10, 4)]
    assert summary.conflicts == ()
    assert data.labels[data.gold[data.texts.index("Wrong")]] == "b"


def test_labels_that_differ_by_case_are_merged_into_the_most_frequent_spelling_on_request():
    data = labelled([*enough("Gehalt"), ("x", "GEHALT"), ("y", "gehalt "), ("z", "OOS")])
    merged = merge_spellings(data, ["oos"])
    assert set(merged.labels) == {"Gehalt", "oos"}
    assert merged.texts == data.texts
