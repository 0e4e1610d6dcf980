"""Corrected texts are written to a file, and `sprat train` reads the same texts from it."""

import csv
import json
from pathlib import Path

import pytest

from sprat.base.errors import UserError
from sprat_contracts import IntentOutput, TextSubmitted
from sprat_operations.correction_table import rows_of, trainable, write_rows
from sprat_operations.feedback import CorrectedText
from sprat_training.datasets.reader import read_labelled

TEXTS = ("plain", 'says "so", twice', "über 100 €", '"quoted"', "a;b")


def example(text: str, label: str = "transfer") -> CorrectedText:
    submitted = TextSubmitted.model_validate({"text": text, "tasks": {"intent": {}}})
    return CorrectedText(submitted, IntentOutput(label=label), ("/crm", "t-1"))


@pytest.mark.parametrize(
    ("named", "default", "language"),
    [({}, "de", "de"), ({}, "auto", "nl"), ({"language": "fr"}, "de", "fr"), ({"language": "auto"}, "de", "nl")],
)
def test_a_row_says_the_language_that_services_read_its_text_in(named: dict[str, str], default: str, language: str):
    fields = {"text": "Waar blijft mijn bestelling?", "tasks": {"intent": {}}} | named
    corrected = CorrectedText(TextSubmitted.model_validate(fields), IntentOutput(label="order"), ("/crm", "t-1"))
    assert [row["language"] for row in rows_of([corrected], default)] == [language]


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl"])
def test_texts_come_back_as_they_were(tmp_path: Path, suffix: str):
    texts = TEXTS if suffix == "tsv" else (*TEXTS, "two\nlines\tand a tab")
    path = tmp_path / f"out.{suffix}"
    write_rows(path, rows_of([example(text) for text in texts]), overwrite=False)
    read = read_labelled(path)
    assert (read.texts, set(read.labels)) == (tuple(texts), {"transfer"})


@pytest.mark.parametrize("suffix", ["csv", "tsv"])
def test_no_cell_begins_as_a_formula_and_texts_come_back_as_they_were(tmp_path: Path, suffix: str):
    texts = (
        "+49 is the number",
        "- first, call me",
        "@anna where is it",
        "-2+3+cmd|' /C calc'!A0",
        "'- quoted",
        "''+ twice",
    )
    path = tmp_path / f"out.{suffix}"
    write_rows(path, rows_of([example(text) for text in texts]), overwrite=False)
    separator = "," if suffix == "csv" else "\t"
    with path.open(newline="") as file:
        cells = [cell for row in csv.reader(file, delimiter=separator) for cell in row]
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in cells)
    assert read_labelled(path).texts == texts


def test_a_tab_or_a_line_break_does_not_go_into_a_tsv(tmp_path: Path):
    with pytest.raises(UserError, match="a tab or a line break"):
        write_rows(tmp_path / "out.tsv", rows_of([example("two\nlines")]), overwrite=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("suffix", "refused"),
    [("csv", ["=A1", "N\0L", "#REF!"]), ("tsv", ["=A1", "N\0L", "#REF!"]), ("jsonl", ["N\0L", "#REF!"])],
)
def test_texts_that_train_would_refuse_are_reported(tmp_path: Path, suffix: str, refused: list[str]):
    path = tmp_path / f"out.{suffix}"
    rows = rows_of([*(example(text) for text in ("plain", "=A1", "N\0L", "#REF!")), example("labelled", "=B2")])
    good = [row for row in rows if trainable(path, row)]
    assert [row["text"] for row in rows if row not in good] == [*refused, "labelled"]
    write_rows(path, good, overwrite=False)
    assert read_labelled(path).texts == tuple(row["text"] for row in good)


def test_a_file_is_not_written_over_unasked(tmp_path: Path):
    path = tmp_path / "out.jsonl"
    write_rows(path, rows_of([example("one")]), overwrite=False)
    with pytest.raises(UserError, match="--force"):
        write_rows(path, [], overwrite=False)
    write_rows(path, rows_of([example("two")]), overwrite=True)
    assert json.loads(path.read_text())["text"] == "two"


def test_a_folder_that_is_not_there_is_a_mistake(tmp_path: Path):
    with pytest.raises(UserError, match="cannot be written"):
        write_rows(tmp_path / "none" / "out.csv", rows_of([example("one")]), overwrite=False)
