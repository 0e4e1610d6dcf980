"""CSV and TSV to rows of cells. A quote that is left open is told where it was opened, not where the file ends."""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sprat_training.datasets.column_names import known_columns
from sprat_training.datasets.rows import MAX_TEXT, Problems

_SEPARATORS: Final = (",", ";", "\t")
_MOST_LINES: Final = 400
"""Of one row. More is a quote that was left open: the next one, far below, closes it."""
_MARK: Final = re.compile(r'"?sep=([,;\t|])"?[ \t]*\r?(?:\n|\Z)', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Record:
    """One row of a table."""

    row: int
    line: int
    """Where it begins; differs from `row` below a text of several lines."""
    cells: list[str]


def unmarked(text: str) -> tuple[str, str | None]:
    """Give the text below a first line as `sep=;`, and the separator that it names; a text without one as it is.

    Such a line is for spreadsheets, which do not show it: row 1 is the one below.
    """
    mark = _MARK.match(text)
    return (text, None) if mark is None else (text[mark.end() :], mark[1])


def separator_of(text: str, suffix: str) -> str:
    """Give what separates the columns.

    That is what a first line as `sep=;` says; a tab in .tsv; else what stands in the first line, a comma if nothing
    does.
    """
    text, said = unmarked(text)
    if said is not None:
        return said
    if suffix in (".tsv", ".tab"):
        return "\t"
    first = text[: text.find("\n")] if "\n" in text else text
    for separator in _SEPARATORS:
        if None not in known_columns(first.strip("\r").replace('"', "").split(separator)):
            return separator
    return max(_SEPARATORS, key=first.count)


def records(text: str, suffix: str, problems: Problems) -> Iterator[Record]:
    """Give the rows that hold anything. `suffix`: of the file's name, as `.csv`.

    Raises:
        UserError: a quote is not balanced; it says in which row.
    """
    separator = separator_of(text, suffix)
    below, mark = unmarked(text)
    above = 0 if mark is None else 1
    if separator == "\t":
        yield from _tabbed(below, above)
    else:
        yield from _separated(below, above, separator, problems)


def _separated(text: str, above: int, separator: str, problems: Problems) -> Iterator[Record]:
    csv.field_size_limit(max(csv.field_size_limit(), 4 * MAX_TEXT))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    row = 0
    while True:
        row, before = row + 1, reader.line_num
        line = above + before + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            problems.stop(row, None, _said(error, above + reader.line_num, line), line=line)
        if (lines := reader.line_num - before) > _MOST_LINES:
            problems.stop(row, str(len(cells)), _open(f"it goes on for {lines} lines"), line=line)
        if any(map(str.strip, cells)):
            yield Record(row, line, cells)


def _tabbed(text: str, above: int) -> Iterator[Record]:
    """Tabs separate and lines end, whatever quotes a text holds; a cell that a spreadsheet quoted is unquoted."""
    for row, line in enumerate(text.split("\n"), start=1):
        cells = [_unquoted(cell) for cell in line.rstrip("\r").split("\t")]
        if any(map(str.strip, cells)):
            yield Record(row, above + row, cells)


def _unquoted(cell: str) -> str:
    if len(cell) >= 2 and cell[0] == cell[-1] == '"':
        inner = cell[1:-1]
        if '"' not in inner.replace('""', ""):
            return inner.replace('""', '"')
    return cell


def _said(error: csv.Error, at: int, begun: int) -> str:
    """Say what is wrong in a row that begins in line `begun`, noticed in line `at`."""
    said = str(error)
    if "unexpected end of data" in said:
        return _open("the file ends in it")
    if "expected after" in said:
        if at > begun:  # the next row that is quoted closes it, so it is noticed there
            return _open(f"or one stands inside the quoted cell, in line {at}")
        return 'a quote stands inside a quoted cell; write it twice: ""; or the one that opens a cell is not closed'
    if "field limit" in said:
        return _open(f"the cell is longer than {4 * MAX_TEXT:,} characters")
    return f"not CSV ({said}); save the file again"


def _open(why: str) -> str:
    return f'a quote is opened and not closed ({why}); close it, or write a quote that belongs to the text twice: ""'
