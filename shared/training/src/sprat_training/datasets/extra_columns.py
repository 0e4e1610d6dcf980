"""Of a file that is like another one: which of the other's columns it has, and what stands beside texts and labels."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sprat_training.datasets.column_names import known_columns
from sprat_training.datasets.columns import Wanted
from sprat_training.datasets.files import read_text
from sprat_training.datasets.json_lines import JSON_SUFFIXES
from sprat_training.datasets.rows import Problems
from sprat_training.datasets.tables import records


def as_named(path: Path, wanted: Wanted) -> Wanted:
    """Give, of columns that a person named for another file, those that this one has; the rest is to be found.

    A number counts where the columns are not known by their names: files that are alike by their names alone may have
    them in another order.

    Raises:
        UserError: the file cannot be read.
    """
    if wanted == Wanted():
        return wanted
    names, numbers = _first_row(path)
    known = known_columns(names)

    def there(column: str | None, found: int | None) -> str | None:
        if column is None or column in names:
            return column
        if not numbers:
            return None
        if column.strip().casefold() in (name.strip().casefold() for name in names):
            return column
        return column if found is None and column.isdecimal() and 1 <= int(column) <= len(names) else None

    return Wanted(there(wanted.text, known[0]), there(wanted.label, known[1]))


def column_beside(path: Path, name: str) -> Mapping[int, Any]:
    """Give what stands in the column or field `name`, by row; rows without it are left out, and all without a column.

    It is a string where a table holds it, else what JSON makes of it.

    Raises:
        UserError: the file cannot be read.
    """
    text, suffix = read_text(path), path.suffix.lower()
    if suffix in JSON_SUFFIXES:
        objects = ((row, _fields(line)) for row, line in enumerate(text.split("\n"), start=1))
        return {row: fields[name] for row, fields in objects if name in fields}
    rows = records(text, suffix, Problems(path))
    names = [cell.strip().casefold() for cell in next(rows).cells]
    if name not in names:
        return {}
    place = names.index(name)
    return {record.row: record.cells[place] for record in rows if len(record.cells) > place}


def _first_row(path: Path) -> tuple[list[str], bool]:
    """Give the cells of row 1, or the names of the first object's fields; and whether columns have numbers, too."""
    text, suffix = read_text(path), path.suffix.lower()
    if suffix in JSON_SUFFIXES:
        return list(_fields(next(line for line in text.split("\n") if line.strip()))), False
    first = next(records(text, suffix, Problems(path)), None)
    return ([] if first is None else first.cells), True


def _fields(line: str) -> Mapping[str, Any]:
    """Give the object of a line; nothing where it is none, which whoever reads the rows will say."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
