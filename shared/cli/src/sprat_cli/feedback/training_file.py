"""Corrected texts as a file to train from."""

import csv
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from sprat.errors import UserError
from sprat.labels import label_problem
from sprat_contracts import IntentOutput, LabelsOutput, Output
from sprat_contracts.languages import DEFAULT_LANGUAGE
from sprat_langid import resolved
from sprat_operations.feedback import CorrectedText
from sprat_training.datasets.reader import joined_labels, split_labels
from sprat_training.datasets.rows import protected_cell, text_problem

FORMATS: Final = (".csv", ".tsv", ".jsonl")
_BREAKS: Final = re.compile(r"[\t\r\n]")


def check_format(path: Path, task: str, form: type[Output]) -> None:
    """Refuse a file that cannot hold the rows of a task, whose output has this form.

    Raises:
        UserError: its suffix is not a known format, or a table cannot hold the task's output.
    """
    if path.suffix not in FORMATS:
        raise UserError(f"{path}: unknown format; the name must end in {', '.join(FORMATS)}")
    if form not in {IntentOutput, LabelsOutput} and path.suffix != ".jsonl":
        raise UserError(f"{path}: the output of {task} is no label of a text: use .jsonl")


def rows_of(examples: Iterable[CorrectedText], default_language: str = DEFAULT_LANGUAGE) -> list[dict[str, Any]]:
    """Return the rows: of one label text, label and language; of several text, labels and language.

    Else text, language and the whole output. A text that names no language is one in the installation's default.
    """
    return [_row(each, default_language) for each in examples]


def _row(example: CorrectedText, default_language: str) -> dict[str, Any]:
    text, language = example.text.text, _language(example, default_language)
    match example.output:
        case IntentOutput(label=label):
            return {"text": text, "label": label, "language": language}
        case LabelsOutput(labels=labels):
            return {"text": text, "labels": joined_labels([each.label for each in labels]), "language": language}
        case output:
            return {"text": text, "language": language, "output": output.model_dump(mode="json")}


def _language(example: CorrectedText, default: str) -> str:
    return resolved(example.text.read_in(default).language, example.text.text, default)


def trainable(path: Path, row: Mapping[str, Any]) -> bool:
    """Return whether `sprat train` accepts the row; one row that it refuses would make it refuse the whole file.

    Rows of tasks without labels have none, and `sprat train` does not read them.
    """
    labels: tuple[str, ...]
    if "label" in row:
        labels = () if row["label"] is None else (row["label"].strip(),)
    elif "labels" in row:
        labels = split_labels(row["labels"])
    else:
        return True
    if any(map(label_problem, labels)):
        return False
    return text_problem(row["text"], table=path.suffix != ".jsonl") is None


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]], *, overwrite: bool) -> None:
    """Write the file, readable by its owner alone, whole or not at all.

    Raises:
        UserError: it exists and may not be overwritten, cannot be written, or cannot hold a text.
    """
    if path.exists() and not overwrite:
        raise UserError(f"{path} is there already; --force writes over it")
    if path.suffix == ".tsv" and any(_BREAKS.search(row["text"]) for row in rows):
        raise UserError(f"{path}: a text holds a tab or a line break, which .tsv cannot hold; use .csv or .jsonl")
    part = path.with_name(f"{path.name}.part")
    try:
        part.unlink(missing_ok=True)
        part.touch(0o600, exist_ok=False)
        with part.open("w", encoding="utf-8", newline="") as file:
            if path.suffix == ".jsonl":
                file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            else:
                writer = csv.DictWriter(file, list(rows[0]), dialect="excel-tab" if path.suffix == ".tsv" else "excel")
                writer.writeheader()
                writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise UserError(f"{path}: cannot be written: {error.strerror}") from None


def _cell(value: Any) -> Any:
    """Return a value as a table holds it: somebody else wrote the text, and a spreadsheet may open the file."""
    return protected_cell(value) if isinstance(value, str) else value
