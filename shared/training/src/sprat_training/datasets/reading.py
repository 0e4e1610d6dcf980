"""A file to labelled texts, or an error that says row, column and what to do."""

from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Final

from sprat.errors import UserError
from sprat_training.datasets.columns import Columns, Wanted, find_columns
from sprat_training.datasets.files import read_text
from sprat_training.datasets.json_lines import JSON_SUFFIXES, cells_of
from sprat_training.datasets.rows import Labelled, Problems, label_problem, text_problem
from sprat_training.datasets.tables import Record, records

_TABLES: Final = (".csv", ".tsv", ".tab", ".txt")
_HEAD: Final = 2_000

Cells = tuple[int, int, str, str]
"""Row, line, text, label."""


def read_labelled(path: Path, wanted: Wanted = Wanted()) -> Labelled:  # noqa: B008 - frozen
    """Read texts with labels. Blank rows are passed over; white space around a label is taken away.

    Raises:
        UserError: one line for each of the first mistakes, with file, row, column and what to do.
    """
    return _read(path, wanted, with_labels=True)


def read_texts(path: Path, column: str | None = None) -> Labelled:
    """Read texts alone: one a line in a .txt, else the column of texts.

    Raises:
        UserError: as above.
    """
    return _read(path, Wanted(text=column), with_labels=False)


def _read(path: Path, wanted: Wanted, *, with_labels: bool) -> Labelled:
    text, problems, suffix = read_text(path), Problems(path), path.suffix.lower()
    if suffix in JSON_SUFFIXES:
        told, rows = cells_of(text, wanted, problems, with_labels=with_labels)
        cells: Iterator[Cells] = ((row, row, text, label) for row, text, label in rows)
    elif suffix == ".txt" and not with_labels:
        told = ("1",)
        cells = ((row, row, line, "") for row, line in enumerate(text.splitlines(), start=1) if line.strip())
    elif suffix in _TABLES:
        told, cells = _table(text, suffix, wanted, problems, with_labels=with_labels)
    else:
        raise UserError(f"{path}: name it .csv, .tsv or .jsonl, for what it holds")
    return _checked(path, told, cells, problems, with_labels=with_labels)


def _table(
    text: str, suffix: str, wanted: Wanted, problems: Problems, *, with_labels: bool
) -> tuple[tuple[str, ...], Iterator[Cells]]:
    rows = records(text, suffix, problems)
    head = list(islice(rows, _HEAD))
    if not head:
        problems.stop(1, None, "no row holds anything; it needs a row for each text")
    columns = find_columns(head, wanted, problems, with_labels=with_labels)
    rest = chain(head[1:] if columns.has_names else head, rows)
    return columns.told, _cells(rest, columns, problems)


def _cells(rows: Iterator[Record], columns: Columns, problems: Problems) -> Iterator[Cells]:
    for record in rows:
        if (found := len(record.cells)) != columns.count:
            fewer = found < columns.count
            hint = "is a cell missing?" if fewer else "put a text that holds the separator in quotes"
            problems.add(record.row, None, f"{found} columns, row 1 has {columns.count}; {hint}", line=record.line)
            continue
        label = "" if columns.label is None else record.cells[columns.label].strip()
        yield record.row, record.line, record.cells[columns.text], label


def _checked(
    path: Path, told: tuple[str, ...], cells: Iterator[Cells], problems: Problems, *, with_labels: bool
) -> Labelled:
    texts, labels, numbers = [], [], []
    table = path.suffix.lower() not in JSON_SUFFIXES
    for row, line, text, label in cells:
        if wrong := text_problem(text, table=table):
            problems.add(row, told[0], wrong, line=line)
        if with_labels and (wrong := label_problem(label.strip())):
            problems.add(row, told[1], wrong, line=line)
        texts.append(text)
        labels.append(label.strip())
        numbers.append(row)
    problems.raise_any()
    if not texts:
        raise UserError(f"{path}: there are column names and no rows below; it needs a row for each text")
    return Labelled(path, tuple(texts), tuple(labels), tuple(numbers), told)
