"""JSON Lines to rows of cells: one object a line."""

import json
from collections.abc import Iterator
from typing import Any, Final

from sprat_training.datasets.column_names import known_columns, listed
from sprat_training.datasets.columns import Wanted
from sprat_training.datasets.rows import Problems

JSON_SUFFIXES: Final = (".jsonl", ".ndjson", ".json")


def cells_of(
    text: str, wanted: Wanted, problems: Problems, *, with_labels: bool
) -> tuple[tuple[str, ...], Iterator[tuple[int, str, str]]]:
    """Give the names of the fields, and row, text and label of each line that is not blank.

    Raises:
        UserError: the first line does not have the fields.
    """
    lines = [(row, line) for row, line in enumerate(text.split("\n"), start=1) if line.strip()]
    row, line = lines[0]
    if line.lstrip()[:1] == "[":
        problems.stop(row, None, 'a JSON array; write one object a line (JSON Lines), as {"text": …, "label": …}')
    first = _object(row, line, problems)
    problems.raise_any()
    names = list(first or {})
    text_place, label_place = known_columns(names)
    text_name = wanted.text or (names[text_place] if text_place is not None else None)
    label_name = wanted.label or (names[label_place] if label_place is not None else None)
    fields = (("texts", "text", text_name), ("labels", "label", label_name))[: 2 if with_labels else 1]
    for what, option, name in fields:
        if name is None:
            problems.stop(
                row, None, f"which field holds the {what}? There are {_listed(names)}; say --{option}-column NAME"
            )
        elif name not in names:
            problems.stop(row, name, f"there is no such field; there are: {_listed(names)}")
    told = tuple(name for _, _, name in fields if name is not None)
    return told, _rows(lines, told, problems)


def _rows(lines: list[tuple[int, str]], names: tuple[str, ...], problems: Problems) -> Iterator[tuple[int, str, str]]:
    for row, line in lines:
        value = _object(row, line, problems)
        if value is None:
            continue
        cells = [_cell(row, name, value, problems) for name in names]
        if None not in cells:
            yield row, cells[0] or "", (cells[1] or "") if len(cells) > 1 else ""


def _object(row: int, line: str, problems: Problems) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        where = f" after {error.pos} characters" if isinstance(error, json.JSONDecodeError) else ""
        problems.add(row, None, f"not JSON{where}; write one object a line")
        return None
    if not isinstance(value, dict):
        problems.add(row, None, "not a JSON object; write one object a line")
        return None
    return value


def _cell(row: int, name: str, value: dict[str, Any], problems: Problems) -> str | None:
    found = value.get(name)
    if isinstance(found, str):
        return found
    if isinstance(found, int) and not isinstance(found, bool):
        return str(found)
    said = "missing" if name not in value else "null" if found is None else "not a string"
    problems.add(row, name, f"{said}; write a string there, or delete the line")
    return None


def _listed(names: list[str]) -> str:
    return listed(names) or f"{len(names)}, not shown as they do not look like names"
