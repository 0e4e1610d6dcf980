"""Labelled texts from a CSV, TSV or JSON Lines file, or an error that says row, column and what to do."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final

from sprat.base.errors import UserError
from sprat.base.labels import label_problem
from sprat_training.datasets.columns import (
    HEAD_ROWS,
    ColumnNames,
    TableColumns,
    find_columns,
    known_columns,
    question_for,
    routed_columns,
    safe_listing,
)
from sprat_training.datasets.rows import FileProblems, RowProblem, TableRow, text_problem
from sprat_training.datasets.tables import AUTO, TAB_SUFFIXES, read_text, table_rows

JSON_SUFFIXES: Final = (".jsonl", ".ndjson", ".json")
_TABLE_SUFFIXES: Final = (".csv", *TAB_SUFFIXES, ".txt")

SEPARATOR: Final = "|"
"""Between the labels of a text that has several."""
ORIGIN_FIELDS: Final = ("given_by", "given_at")
"""Columns of a correction: who gave it, and when. Training reads neither; such a row certifies nothing."""

Entry = tuple[int, int, str, str, Sequence[str]]
"""Row, line, text, label, and the row as it was read."""


@dataclass(frozen=True, slots=True)
class FileFindings:
    """What was noticed when a file was read."""

    path: Path
    encoding: str | None
    """None for UTF-8."""
    blank_rows: int
    """Rows that were skipped, as they hold neither text nor label."""
    unused_columns: tuple[str, ...]
    """Names of the columns or fields that are not read; empty where they may be texts."""
    taken_for_labels: str | None = None
    """Name of the column whose labels say where a ticket goes, as `queue`, where the user named none; else None."""


@dataclass(frozen=True, slots=True)
class LabelledTexts:
    """Texts with their labels, in the order of the files. `texts`, `labels`, `rows` and `paths` are parallel."""

    path: Path
    """The file, or the first of several."""
    texts: tuple[str, ...]
    labels: tuple[str, ...]
    """Empty strings where only texts were read."""
    rows: tuple[int, ...]
    """Numbers of the rows as a spreadsheet shows them: a row of column names is row 1."""
    columns: tuple[str, ...]
    """For messages: the column of the texts and, where there is one, that of the labels."""
    paths: tuple[Path, ...]
    """The file of each row."""
    findings: tuple[FileFindings, ...] = ()
    """One for each file."""

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def name(self) -> str:
        """Return the names of the files in words."""
        names = list(dict.fromkeys(each.name for each in self.paths)) or [self.path.name]
        return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))

    def place(self, index: int) -> str:
        """Return file and row for a message."""
        return f"{self.paths[index]}: row {self.rows[index]}"

    def take(self, indexes: Sequence[int]) -> "LabelledTexts":
        """Return some of the rows."""
        return replace(
            self,
            texts=tuple(self.texts[index] for index in indexes),
            labels=tuple(self.labels[index] for index in indexes),
            rows=tuple(self.rows[index] for index in indexes),
            paths=tuple(self.paths[index] for index in indexes),
        )


def split_labels(cell: str) -> tuple[str, ...]:
    """Return the labels of a cell, each once, without white space around them; none for an empty one."""
    return tuple(dict.fromkeys(label.strip() for label in cell.split(SEPARATOR) if label.strip()))


def joined_labels(labels: Sequence[str]) -> str:
    """Return labels as one cell."""
    return SEPARATOR.join(labels)


def joined(files: Sequence[LabelledTexts]) -> LabelledTexts:
    """Return the rows of several files, one after the other."""
    return LabelledTexts(
        files[0].path,
        tuple(chain.from_iterable(each.texts for each in files)),
        tuple(chain.from_iterable(each.labels for each in files)),
        tuple(chain.from_iterable(each.rows for each in files)),
        files[0].columns,
        tuple(chain.from_iterable(each.paths for each in files)),
        tuple(chain.from_iterable(each.findings for each in files)),
    )


def read_labelled(
    path: Path,
    columns: ColumnNames = ColumnNames(),  # noqa: B008 - frozen
    *,
    encoding: str = AUTO,
    bad_rows: list[RowProblem] | None = None,
    several: bool = False,
) -> LabelledTexts:
    """Read texts with labels. Blank rows are skipped; white space around a label is removed.

    Args:
        path: of the file.
        columns: as the user named them.
        encoding: as `read_text` takes it.
        bad_rows: where it is a list, rows that cannot be used are left out and their problems added to it.
        several: a text may have several labels, separated by :data:`SEPARATOR` or in a list of JSON, or none; they are
            returned as :func:`joined_labels` writes them.

    Raises:
        UserError: the file cannot be read; one line for each of the first problems, with row, column and what to do.
    """
    return _read(path, columns, encoding, bad_rows, with_labels=True, several=several)


def read_texts(
    path: Path, column: str | None = None, *, encoding: str = AUTO, bad_rows: list[RowProblem] | None = None
) -> LabelledTexts:
    """Read texts without labels: one per line of a .txt file, else the column of texts.

    Raises:
        UserError: the file cannot be read, as above.
    """
    return _read(path, ColumnNames(text=column), encoding, bad_rows, with_labels=False)


def read_column(path: Path, name: str) -> Mapping[int, Any]:
    """Return the values of the column or field `name` by row; empty where there is none.

    A value is a string in a table, and what JSON makes of it in JSON Lines.

    Raises:
        UserError: the file cannot be read.
    """
    text, suffix = read_text(path).text, path.suffix.lower()
    if suffix in JSON_SUFFIXES:
        objects = ((row, _fields(line)) for row, line in enumerate(text.split("\n"), start=1))
        return {row: fields[name] for row, fields in objects if name in fields}
    rows = table_rows(text, suffix, FileProblems(path))
    names = [cell.strip().casefold() for cell in next(rows).cells]
    if name not in names:
        return {}
    index = names.index(name)
    return {row.number: row.cells[index] for row in rows if len(row.cells) > index}


def columns_of_further(path: Path, columns: ColumnNames, encoding: str = AUTO) -> ColumnNames:
    """Return the columns that the user named for several files, as they are read in `path`.

    One that `path` does not have, and whose place another with a well-known name can take, is None: to be found.

    Raises:
        UserError: the file cannot be read.
    """
    if columns == ColumnNames():
        return columns
    names, are_numbered = _first_row(path, encoding)
    folded = [name.strip().casefold() for name in names]
    known_text, known_label = known_columns(names)

    def there(column: str | None, known: int | None) -> str | None:
        if column is None or known is None or column in names:
            return column
        by_number = column.isdecimal() and 1 <= int(column) <= len(names)
        return column if are_numbered and (column.strip().casefold() in folded or by_number) else None

    return ColumnNames(there(columns.text, known_text), there(columns.label, known_label))


def _read(
    path: Path,
    columns: ColumnNames,
    encoding: str,
    bad_rows: list[RowProblem] | None,
    *,
    with_labels: bool,
    several: bool = False,
) -> LabelledTexts:
    file, problems, suffix = read_text(path, encoding), FileProblems(path), path.suffix.lower()
    unused: tuple[str, ...] = ()
    if suffix in JSON_SUFFIXES:
        names, unused, entries = _json_entries(file.text, columns, problems, with_labels=with_labels, several=several)
    elif suffix == ".txt" and not with_labels:
        lines = enumerate(file.text.splitlines(), start=1)
        names, entries = ("1",), ((row, row, line, "", (line,)) for row, line in lines if line.strip())
    elif suffix in _TABLE_SUFFIXES:
        names, unused, entries = _table_entries(file.text, suffix, columns, problems, with_labels=with_labels)
    else:
        raise UserError(f"{path}: name it .csv, .tsv or .jsonl, for what it holds")
    table = suffix not in JSON_SUFFIXES
    usable = list(_usable(entries, names, problems, table=table, with_labels=with_labels, several=several))
    if bad_rows is None:
        problems.raise_if_any()
    else:
        bad_rows += problems.found
    if not usable and not problems.found:
        raise UserError(f"{path}: there are column names and no rows below; it needs a row for each text")
    taken = names[1] if with_labels and columns.label is None and routed_columns(names[1:]) else None
    return LabelledTexts(
        path,
        tuple(text for _, text, _ in usable),
        tuple(label for _, _, label in usable),
        tuple(row for row, _, _ in usable),
        names,
        (path,) * len(usable),
        (FileFindings(path, file.encoding, problems.blank_rows, unused, taken),),
    )


def _usable(
    entries: Iterator[Entry],
    names: tuple[str, ...],
    problems: FileProblems,
    *,
    table: bool,
    with_labels: bool,
    several: bool,
) -> Iterator[tuple[int, str, str]]:
    """Yield row, text and label of the rows without a problem."""
    for row, line, text, label, cells in entries:
        if with_labels and not text.strip() and not label.strip():
            problems.blank_rows += 1  # a spreadsheet's row with a number or a date alone
            continue
        wrong_text = text_problem(text, table=table)
        named = split_labels(label) if several else (label.strip(),)
        wrong_label = next(filter(None, map(label_problem, named)), None) if with_labels else None
        for name, problem in zip(names, (wrong_text, wrong_label), strict=False):
            if problem is not None:
                problems.add(row, name, problem, line=line, cells=cells)
        if wrong_text is None and wrong_label is None:
            yield row, text, joined_labels(named)


def _table_entries(
    text: str, suffix: str, user_columns: ColumnNames, problems: FileProblems, *, with_labels: bool
) -> tuple[tuple[str, ...], tuple[str, ...], Iterator[Entry]]:
    """Return the names of the columns that are read and of the others, and an entry for each row that is not blank."""
    rows = table_rows(text, suffix, problems)
    head = list(islice(rows, HEAD_ROWS))
    if not head:
        problems.fail(1, None, "every row is blank; it needs a row for each text")
    columns = find_columns(head, user_columns, problems, with_labels=with_labels)
    data = chain(head[1:] if columns.has_names else head, rows)
    return columns.used_names, _shown(columns.unused_names), _entries_of(data, columns, problems)


def _entries_of(rows: Iterator[TableRow], columns: TableColumns, problems: FileProblems) -> Iterator[Entry]:
    for row in rows:
        if (found := len(row.cells)) != columns.count:
            hint = "is a cell missing?" if found < columns.count else "put a text that holds the separator in quotes"
            problem = f"{found} columns, row 1 has {columns.count}; {hint}"
            problems.add(row.number, None, problem, line=row.line, cells=row.cells)
            continue
        label = "" if columns.label is None else row.cells[columns.label].strip()
        yield row.number, row.line, row.cells[columns.text], label, row.cells


def _json_entries(
    text: str, user_columns: ColumnNames, problems: FileProblems, *, with_labels: bool, several: bool
) -> tuple[tuple[str, ...], tuple[str, ...], Iterator[Entry]]:
    """Return the names of the fields that are read and of the others, and an entry for each line that is not blank."""
    rows = text.removesuffix("\n").split("\n")
    lines = [(row, line) for row, line in enumerate(rows, start=1) if line.strip()]
    problems.blank_rows = len(rows) - len(lines)
    row, line = lines[0]
    if line.lstrip()[:1] == "[":
        problems.fail(row, None, 'a JSON array; write one object per line (JSON Lines), as {"text": …, "label": …}')
    first = _json_object(row, line, problems)
    problems.raise_if_any()
    names = list(first or {})
    known_text, known_label = known_columns(names, text_is_named=user_columns.text in names)
    text_name = user_columns.text or (names[known_text] if known_text is not None else None)
    label_name = user_columns.label or (names[known_label] if known_label is not None else None)
    fields = (text_name, label_name)[: 2 if with_labels else 1]
    listing = safe_listing(names)
    shown = listing or f"{len(names)}, not shown as they do not look like names"
    for name in fields:
        if name is not None and name not in names:
            problems.fail(row, name, f"there is no such field; there are: {shown}")
    if None in fields:
        question = question_for("field", names, text_name, label_name, with_labels=with_labels)
        found = "" if listing is None else question.found
        problems.fail(row, None, f"{question.asked} There are {shown}{found}; use {question.options}")
    used_names = tuple(name for name in fields if name is not None)
    unused = _shown([name for name in names if name not in used_names])
    return used_names, unused, _entries_of_lines(lines, used_names, problems, several=several)


def _shown(names: Sequence[str]) -> tuple[str, ...]:
    """Return names for a message, without those of a table of corrections; none where they may be texts."""
    own = (*ORIGIN_FIELDS, "language") if {*ORIGIN_FIELDS} <= {*names} else ()
    return tuple(name for name in names if name not in own) if safe_listing(names) else ()


def _entries_of_lines(
    lines: list[tuple[int, str]], names: tuple[str, ...], problems: FileProblems, *, several: bool
) -> Iterator[Entry]:
    for row, line in lines:
        fields = _json_object(row, line, problems)
        if fields is None:
            continue
        cells = [
            _json_labels(row, line, name, fields, problems)
            if several and place == 1
            else _json_string(row, line, name, fields, problems)
            for place, name in enumerate(names)
        ]
        if None not in cells:
            yield row, row, cells[0] or "", (cells[1] or "") if len(cells) > 1 else "", (line,)


def _json_object(row: int, line: str, problems: FileProblems) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        where = f" after {error.pos} characters" if isinstance(error, json.JSONDecodeError) else ""
        problems.add(row, None, f"not JSON{where}; write one object per line", cells=(line,))
        return None
    if not isinstance(value, dict):
        problems.add(row, None, "not a JSON object; write one object per line", cells=(line,))
        return None
    return value


def _json_string(row: int, line: str, name: str, fields: dict[str, Any], problems: FileProblems) -> str | None:
    value = fields.get(name)
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    problem = "missing" if name not in fields else "null" if value is None else "not a string"
    problems.add(row, name, f"{problem}; write a string there, or delete the line", cells=(line,))
    return None


def _json_labels(row: int, line: str, name: str, fields: dict[str, Any], problems: FileProblems) -> str | None:
    """Return the labels of a list, joined; else what :func:`_json_string` returns."""
    value = fields.get(name)
    if not isinstance(value, list):
        return _json_string(row, line, name, fields, problems)
    if not all(isinstance(label, str) for label in value):
        problems.add(row, name, "a list with something else than strings; write a list of labels", cells=(line,))
        return None
    if any(SEPARATOR in label for label in value):
        problems.add(row, name, f"a label holds {SEPARATOR}, which separates labels; rename it", cells=(line,))
        return None
    return SEPARATOR.join(value)


def _first_row(path: Path, encoding: str = AUTO) -> tuple[list[str], bool]:
    """Return the cells of row 1, or the names of the first object's fields; and whether columns have numbers, too."""
    text, suffix = read_text(path, encoding).text, path.suffix.lower()
    if suffix in JSON_SUFFIXES:
        return list(_fields(next(line for line in text.split("\n") if line.strip()))), False
    first = next(table_rows(text, suffix, FileProblems(path)), None)
    return ([] if first is None else first.cells), True


def _fields(line: str) -> Mapping[str, Any]:
    """Return the object of a line; empty where it is none, which `read_labelled` reports."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
