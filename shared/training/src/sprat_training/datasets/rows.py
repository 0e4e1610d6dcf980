"""Rows of a table, the checks of a text, and the errors that name row and column."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from sprat.base.errors import UserError
from sprat.base.labels import FORMULA_STARTS, SPREADSHEET_ERRORS

MAX_TEXT: Final = 20_000
"""Code points that the contract allows in a text."""
MAX_LISTED: Final = 20
"""Problems of one file that are listed; the others are counted."""

_LABEL_SHAPE: Final = re.compile(r"[^\W\d_]{1,32}(?:[_./-][^\W\d_]{1,32}){0,7}[_-]?\d{0,2}")
_PROTECTED: Final = re.compile(r"'+[=+\-@]")


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row of a CSV or TSV file."""

    number: int
    """As a spreadsheet numbers it, from 1."""
    line: int
    """Line of the file where the row begins; differs from `number` below a text with line breaks."""
    cells: list[str]


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield number, from 1, and content of each line of a JSON Lines file that is not blank.

    A line ends at a line feed alone: JSON may hold the other characters at which Python splits lines.

    Raises:
        UserError: it cannot be read as UTF-8.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({type(error).__name__})") from None
    yield from ((number, line) for number, line in enumerate(lines, start=1) if line.strip())


def protected_cell(text: str) -> str:
    """Return a text as a table may hold it: with an apostrophe before what a spreadsheet would run as a formula."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) or _PROTECTED.match(text) else text


def cell_text(cell: str) -> str:
    """Return the text of a cell, without the apostrophe of `protected_cell`."""
    return cell[1:] if _PROTECTED.match(cell) else cell


def normalised_text(text: str) -> str:
    """Return the form that equal texts share: case, character width and white space make no difference."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def look_like_texts(labels: Sequence[str]) -> bool:
    """Return whether the labels look like a column of texts, which error messages must not show.

    Labels repeat. Where they do not, as in a test set with one text per label, they are at least written like labels.
    """
    unique = set(labels)
    return 2 * len(unique) > len(labels) and not all(_LABEL_SHAPE.fullmatch(label) for label in unique)


def text_problem(text: str, *, table: bool = True) -> str | None:
    """Return what is wrong with a text; None where nothing is.

    Args:
        text: the cell.
        table: whether a spreadsheet may have written the file, so that a cell may hold a formula.
    """
    stripped = text.strip()
    if not stripped:
        return "empty; write the text, or delete the row"
    if damage := _damage(text):
        return damage
    if len(text) > MAX_TEXT:
        return f"{len(text):,} characters, at most {MAX_TEXT:,} are read; shorten it (is a quote left open above?)"
    if stripped in SPREADSHEET_ERRORS:
        return f"{stripped} is what a spreadsheet shows of a formula that failed; write the text itself"
    if table and stripped[0] == "=" and len(stripped) > 1 and stripped[1] != " ":
        return "a spreadsheet formula: what it would show is not in the file; save values instead of formulas"
    return None


def _damage(text: str) -> str | None:
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        return "holds half a character (a lone surrogate); export the file again from its source"
    if "\0" in text:
        return "holds a NUL character; is it a text file? Remove it"
    return None


@dataclass(frozen=True, slots=True)
class RowProblem:
    """What is wrong with a row of a file, and what to do."""

    path: Path
    row: int
    """As a spreadsheet numbers it, from 1."""
    line: int | None
    """Line of the file, where it is known."""
    column: str | None
    """Name or number of the column, where the problem is in one cell."""
    problem: str
    cells: tuple[str, ...] = ()
    """The row as it was read."""

    def __str__(self) -> str:
        where = f"row {self.row}" + (f" (line {self.line})" if self.line not in (None, self.row) else "")
        if self.column is not None:
            where += f', column "{self.column}"'
        return f"{self.path}: {where}: {self.problem}"


class FileProblems:
    """Collects what is wrong in one file, as lines such as `hr.csv: row 12, column "label": empty; …`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._found: list[RowProblem] = []
        self.blank_rows = 0
        """Rows without text and label that were skipped."""

    @property
    def found(self) -> tuple[RowProblem, ...]:
        """The problems, in the order of the file."""
        return tuple(self._found)

    def add(
        self, row: int, column: str | None, problem: str, *, line: int | None = None, cells: Sequence[str] = ()
    ) -> None:
        """Record a problem.

        Args:
            row: number of the row, as a spreadsheet shows it.
            column: name or number of the column, where the problem is in one cell.
            problem: what is wrong, and what to do.
            line: line of the file; mentioned only where it differs from the row.
            cells: the row.
        """
        self._found.append(RowProblem(self._path, row, line, column, problem, tuple(cells)))

    def fail(self, row: int, column: str | None, problem: str, *, line: int | None = None) -> NoReturn:
        """Record a problem after which the file cannot be read any further, and raise.

        Raises:
            UserError: always.
        """
        self.add(row, column, problem, line=line)
        self.raise_if_any()
        raise AssertionError("unreachable")

    def raise_if_any(self) -> None:
        """Raise where problems were recorded.

        Raises:
            UserError: one line for each of the first `MAX_LISTED` problems, and the number of the others.
        """
        if self._found:
            raise UserError("\n".join(problem_lines(self._found)))


def problem_lines(problems: Sequence[RowProblem]) -> list[str]:
    """Return a line for each of the first `MAX_LISTED` problems of a file, and the number of the others."""
    lines = [str(problem) for problem in problems[:MAX_LISTED]]
    if len(problems) > MAX_LISTED:
        lines.append(f"{problems[0].path}: and {len(problems) - MAX_LISTED} more")
    return lines
