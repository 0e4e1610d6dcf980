"""The files of one training: all problems at once, rows left out on request, labels merged on request."""

import csv
from dataclasses import replace

import pytest

from sprat.base.errors import UserError
from sprat_training.datasets.columns import ColumnNames
from sprat_training.datasets.config import TrainingConfig
from sprat_training.datasets.sources import read_sources
from support.dataset_files import write_file
from support.training_data import enough


def csv_of(*rows):
    return "text,label\n" + "".join(f"{text},{label}\n" for text, label in rows)


def config(folder, *contents, **options):
    files = tuple(write_file(folder, f"{number}.csv", content) for number, content in enumerate(contents))
    return TrainingConfig(files=files, output=folder / "model", name="hr", **options)


def test_a_repeated_text_outside_every_label_is_counted_as_a_repeat(tmp_path):
    texts = [(f"text {label} {number}", label) for label in "ab" for number in range(6)]
    sources = read_sources(config(tmp_path, csv_of(*texts, ("far", "oos"), ("far", "oos"))))
    (repeated,) = sources.summary.repeats
    assert (repeated.rows[1] - repeated.rows[0], repeated.labels) == (1, ("oos",))
    assert (len(sources.data.texts), len(sources.outside)) == (12, 1)


def test_all_problems_of_all_files_are_said_at_once(tmp_path):
    broken = csv_of(*enough("a"), ("", "a"), *enough("b", 3), ("hello", ""))
    test = write_file(tmp_path, "test.csv", csv_of(("hey", "c"), ("ho", "")))
    with pytest.raises(UserError) as caught:
        read_sources(config(tmp_path, broken, csv_of(("", "x")), test_file=test))
    said = str(caught.value).replace(f"{tmp_path}/", "").splitlines()
    assert said[0] == '0.csv: row 7, column "text": empty; write the text, or delete the row'
    assert said[1].startswith('0.csv: row 11, column "label": empty')
    assert said[2].startswith('1.csv: row 2, column "text": empty')
    assert said[3].startswith('test.csv: row 3, column "label": empty')
    assert "--skip-bad-rows FILE" in said[4]
    assert said[5].startswith('0.csv: row 8: 1 label has fewer than 5 different texts: "b" 3')
    assert len(said) == 6


def test_what_is_wrong_in_the_test_and_outside_is_said_beside(tmp_path):
    test = write_file(tmp_path, "test.csv", csv_of(("hey", "c")))
    outside = write_file(tmp_path, "outside.txt", "A text 0\n")
    rows = csv_of(*enough("a"), *enough("b"))
    with pytest.raises(UserError) as caught:
        read_sources(config(tmp_path, rows, test_file=test, outside_file=outside))
    assert 'test.csv: row 2, column "label": no text is trained with the label "c"' in str(caught.value)
    assert "outside.txt: row 1: " in str(caught.value)
    missing = config(tmp_path, rows, csv_of(("", "a")), test_file=tmp_path / "none.csv")
    with pytest.raises(UserError, match=r"(?s)none\.csv: there is no such file.*1\.csv: row 2"):
        read_sources(missing)


def test_a_later_file_moves_texts_into_and_out_of_all_labels(tmp_path):
    first = csv_of(*enough("a", 6), *enough("b"), ("joke", "oos"), ("never", "c"))
    second = csv_of(("a text 5", "OOS"), ("joke", "b"), ("never", "oos"))
    sources = read_sources(config(tmp_path, first, second, merge_case=True))
    assert sources.data.labels == ("a", "b")
    assert dict(zip(sources.data.texts, sources.data.gold, strict=True))["joke"] == 1
    assert "a text 5" not in sources.data.texts
    assert sources.outside == ("a text 5", "never")
    moved = [(text.rows, text.labels) for text in sources.summary.corrected]
    assert moved == [((7, 2), ("oos",)), ((13, 3), ("b",)), ((14, 4), ("oos",))]
    assert sources.summary.dropped_labels == {"c": 0}


def test_a_correction_gives_a_text_of_the_file_of_texts_outside_a_label(tmp_path):
    outside = write_file(tmp_path, "outside.txt", "joke\nweather\n")
    rows = csv_of(*enough("a"), *enough("b"))
    given = config(tmp_path, rows, csv_of(("Joke", "a")), outside_file=outside)
    with pytest.raises(UserError, match=r"outside\.txt: row 1: .*it is either outside or not"):
        read_sources(given)
    sources = read_sources(replace(given, corrections=given.files[-1]))
    assert sources.outside == ("weather",)
    assert "Joke" in sources.data.texts


def test_bad_rows_are_left_out_and_written_to_a_file(tmp_path):
    rows = csv_of(*enough("a"), ("", "a"), *enough("b"), ("=1+1", "b"))
    bad = tmp_path / "bad.csv"
    sources = read_sources(config(tmp_path, rows, skip_bad_rows=bad))
    assert len(sources.data.texts) == 10
    assert [problem.row for problem in sources.bad_rows] == [7, 13]
    with bad.open(encoding="utf-8-sig", newline="") as file:
        names, *listed = csv.reader(file)
    assert names == ["file", "row", "column", "problem", "cells"]
    assert [row[1:3] for row in listed] == [["7", "text"], ["13", "text"]]
    assert listed[1][4:] == ["'=1+1", "b"]


def test_where_no_row_can_be_used_it_says_why(tmp_path):
    with pytest.raises(UserError, match=r"0\.csv: no row of it can be used"):
        read_sources(config(tmp_path, csv_of(("", "a")), skip_bad_rows=tmp_path / "bad.csv"))


def test_labels_are_merged_in_all_files_and_in_the_test(tmp_path):
    test = write_file(tmp_path, "test.csv", csv_of(("hey", "PAY"), ("joke", "OOS")))
    first = csv_of(*enough("Pay"), ("x", "pay"), *enough("leave"))
    sources = read_sources(
        config(tmp_path, first, csv_of(("y", " PAY"), ("z", "Oos")), test_file=test, merge_case=True)
    )
    assert sources.data.labels == ("Pay", "leave")
    assert sources.outside == ("z",)
    assert sources.test is not None
    assert sources.test.labels == ("Pay",)
    assert sources.summary.similar_labels == ()


GERMAN = ("die Heizung in Raum {} bleibt seit gestern kalt", "der Aufzug im Gebäude {} steht schon wieder still")


def german():
    return csv_of(*((text.format(n), "a" if at else "b") for n in range(6) for at, text in enumerate(GERMAN)))


def test_texts_in_another_language_than_the_stated_one_are_named_with_the_option(tmp_path):
    (note,) = read_sources(config(tmp_path, german())).notes
    assert note == "the texts look German (de), and the model is trained for en: --language de"
    assert read_sources(config(tmp_path, german(), languages=("de-AT",))).notes == ()


def test_texts_in_two_languages_keep_the_stated_one(tmp_path):
    english = csv_of(*((f"the lift in building {n} has stopped working again", "a") for n in range(12)))
    (note,) = read_sources(config(tmp_path, german(), english)).notes
    assert note.endswith("--language de --language en")


def test_a_named_column_that_a_further_file_lacks_is_found_there(tmp_path):
    columns = ColumnNames("Was", "label")
    rows = csv_of(*enough("a"), *enough("b")).replace("text,label", "Was,label")
    test = write_file(tmp_path, "test.csv", "label,Text\na,a new one\n")
    sources = read_sources(config(tmp_path, rows, columns=columns, test_file=test))
    assert sources.test is not None
    assert sources.test.texts == ("a new one",)
    assert sources.notes == (
        f'{test}: there is no column "Was" (--text-column); the texts are in a column with a well-known name',
    )
    unknown = write_file(tmp_path, "unknown.csv", "label,Xyz\na,a new one\n")
    with pytest.raises(UserError, match=r'unknown\.csv: row 1, column "Was": there is no such column'):
        read_sources(config(tmp_path, rows, columns=columns, test_file=unknown))


def test_a_number_of_a_column_counts_in_every_file(tmp_path):
    rows = "Message,Text,label\n" + "".join(f"{text},nothing,{label}\n" for text, label in [*enough("a"), *enough("b")])
    test = write_file(tmp_path, "test.csv", "Message,Text,label\na new one,nothing,a\n")
    sources = read_sources(config(tmp_path, rows, columns=ColumnNames("1", "3"), test_file=test))
    assert sources.test is not None
    assert sources.test.texts == ("a new one",)
    assert sources.notes == ()


def test_oos_means_outside_beside_the_label_that_the_user_names(tmp_path):
    rows = csv_of(*enough("a"), *enough("b"), ("joke", "Sonstiges"))
    test = write_file(tmp_path, "test.csv", csv_of(("hey", "a"), ("weather", "oos"), ("cup final", "Sonstiges")))
    sources = read_sources(config(tmp_path, rows, outside_label="Sonstiges", test_file=test))
    assert sources.outside == ("joke",)
    assert sources.outside_test == ("weather", "cup final")
    assert sources.notes == ()


@pytest.mark.parametrize("given", ["other", "Other "])
def test_a_label_for_texts_outside_in_another_spelling_than_in_the_file_is_asked_about(tmp_path, given):
    rows = csv_of(*enough("a"), *enough("b"), *enough("Other"))
    with pytest.raises(UserError, match=r"no row has this label; did you mean --outside-label Other\?"):
        read_sources(config(tmp_path, rows, outside_label=given))
    merged = read_sources(config(tmp_path, rows, outside_label=given, merge_case=True))
    assert len(merged.outside) == len(enough("Other"))
    unknown = read_sources(config(tmp_path, rows, outside_label="none"))
    assert unknown.data.labels == ("Other", "a", "b")
