"""Corrected texts as a table to train from, which is written and read."""

import csv
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sprat.base.errors import UserError
from sprat.base.labels import label_problem
from sprat_contracts import IntentOutput, LabelsOutput, Output
from sprat_contracts.languages import DEFAULT_LANGUAGE
from sprat_langid import resolved
from sprat_operations.corrections import FRONTIER
from sprat_operations.feedback import CorrectedText
from sprat_training.datasets.reader import ORIGIN_FIELDS, joined_labels, split_labels
from sprat_training.datasets.rows import normalised_text, protected_cell, text_problem
from sprat_training.datasets.tables import read_text


@dataclass(frozen=True, slots=True)
class Added:
    """What became of a table when corrections were added."""

    rows: int
    """In the table then."""
    new: int
    """Of these, those that it did not have, or had from an earlier correction."""
    untrainable: int
    """Corrections that are left out: training would refuse the text or the label."""


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
    """Return the rows: text, label (of several: labels; else the whole output), language, and who gave it when.

    A text that names no language is one in the installation's default.
    """
    return [_row(each, default_language) for each in examples]


def _row(example: CorrectedText, default_language: str) -> dict[str, Any]:
    right: dict[str, Any]
    match example.output:
        case IntentOutput(label=label):
            right = {"label": label}
        case LabelsOutput(labels=labels):
            right = {"labels": joined_labels([each.label for each in labels])}
        case output:
            right = {"output": output.model_dump(mode="json")}
    given = zip(ORIGIN_FIELDS, (example.by, example.given_at), strict=True)
    return {"text": example.text.text} | right | {"language": _language(example, default_language), **dict(given)}


def _language(example: CorrectedText, default: str) -> str:
    return resolved(example.text.read_in(default).language, example.text.text, default)


def merge_rows(path: Path, examples: Iterable[CorrectedText], outside_label: str, default_language: str) -> Added:
    """Add corrections to the table that keeps those of a model, because texts on Kafka expire.

    Of each text the row that was given last counts: a label that somebody changes in the table stays until a later
    correction of its text. What a person said stands above what the frontier said.

    Args:
        path: of the table, `.jsonl`, which holds every text.
        examples: the corrections.
        outside_label: what stands for a text outside every label.
        default_language: of texts that name none.

    Raises:
        UserError: the table cannot be read or written.
    """
    rows = _rows_in(path)
    kept = {normalised_text(row["text"]): row for row in rows}
    new, untrainable = 0, 0
    for example in sorted(examples, key=lambda each: each.given_at):
        row = _row(example, default_language)
        if "label" in row:
            row["label"] = row["label"] or outside_label
        if not trainable(path, row):
            untrainable += 1
            continue
        text = normalised_text(row["text"])
        before = kept.get(text)
        if before is None or _rank(before) < _rank(row):
            new += before is None or any(before.get(name) != row.get(name) for name in ("label", "labels"))
            kept[text] = row
    if list(kept.values()) != rows:
        write_rows(path, list(kept.values()), overwrite=True)
    return Added(len(kept), new, untrainable)


def _rank(row: Mapping[str, Any]) -> tuple[bool, int]:
    """Return what orders two rows of a text: the greater one counts."""
    return row.get("given_by") != FRONTIER, int(row.get("given_at") or 0)


def _rows_in(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a table that is there."""
    if not path.exists():
        return []
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(read_text(path).text.split("\n"), start=1):
        try:
            row = json.loads(line) if line.strip() else None
        except ValueError:
            row = ""
        if row is not None:
            if not isinstance(row, dict) or not isinstance(row.get("text"), str):
                raise UserError(
                    f"{path}: row {number} is no JSON object with a text; correct it, or move the file away"
                )
            rows.append(row)
    return rows


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
