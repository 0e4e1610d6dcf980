"""What was read."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from sprat.errors import UserError

MAX_TEXT: Final = 20_000
"""Code points that the contract allows a text."""
MAX_LABEL: Final = 200


@dataclass(frozen=True, slots=True)
class Labelled:
    """Texts with their labels, in the order of the file. The tuples are parallel."""

    path: Path
    texts: tuple[str, ...]
    labels: tuple[str, ...]
    """Empty strings where texts alone were wanted."""
    rows: tuple[int, ...]
    """The number of each row as a spreadsheet shows it: the row of column names, if there is one, is row 1."""
    columns: tuple[str, ...]
    """The column that was taken for the texts and, where there is one, that of the labels; for telling a person."""

    def __len__(self) -> int:
        return len(self.texts)


# What rows have in common: equal texts, and how many rows a label has.

_LIKE_A_LABEL: Final = re.compile(r"[^\W\d_]{1,32}(?:[_./-][^\W\d_]{1,32}){0,7}[_-]?\d{0,2}")


def key_of(text: str) -> str:
    """Give what equal texts share: case, width of characters and white space tell none apart."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def alike(labels: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """Give groups of labels that differ by case, white space or the width of characters alone, each sorted."""
    groups: dict[str, set[str]] = {}
    for label in labels:
        groups.setdefault(key_of(label), set()).add(label)
    return tuple(sorted(tuple(sorted(group)) for group in groups.values() if len(group) > 1))


def may_be_texts(labels: Sequence[str]) -> bool:
    """Tell whether the labels look like another column's, for texts are not for a terminal.

    Labels repeat; where they do not, as in a test with one text for each, they are at least written like labels.
    """
    several = set(labels)
    return 2 * len(several) > len(labels) and not all(_LIKE_A_LABEL.fullmatch(label) for label in several)


def group_of(labels: Sequence[str]) -> str:
    """Give labels that are nearly the same so that white space shows."""
    return " = ".join(f'"{label}"' for label in labels)


def counted(labels: Iterable[str]) -> dict[str, int]:
    """Give the number of rows of each label, in the order of the labels."""
    return dict(sorted(Counter(labels).items()))


# Is a cell a text or a label that can be learnt from? What a spreadsheet made of one is told apart here.


_ERRORS: Final = frozenset(
    {"#NAME?", "#REF!", "#VALUE!", "#DIV/0!", "#N/A", "#NULL!", "#NUM!", "#SPILL!", "#CALC!", "#GETTING_DATA"}
)
_FORMULA: Final = ("=", "+", "-", "@")


def text_problem(text: str, *, table: bool = True) -> str | None:
    """Say what is wrong with a text, or nothing. `table`: a spreadsheet may have written the file, formulas too."""
    stripped = text.strip()
    if not stripped:
        return "empty; write the text, or delete the row"
    if wrong := _damaged(text):
        return wrong
    if len(text) > MAX_TEXT:
        return f"{len(text):,} characters, at most {MAX_TEXT:,} are read; shorten it (is a quote left open above?)"
    if stripped in _ERRORS:
        return f"{stripped} is what a spreadsheet shows of a formula that failed; write the text itself"
    if table and stripped[0] == "=" and len(stripped) > 1 and stripped[1] != " ":
        return "a spreadsheet formula: what it would show is not in the file; save values instead of formulas"
    return None


def _damaged(text: str) -> str | None:
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        return "holds half a character (a lone surrogate); save the file again from where it came"
    if "\0" in text:
        return "holds a NUL character; is it a text file? Remove it"
    return None


def label_problem(label: str) -> str | None:
    """Say what is wrong with a label, or nothing."""
    if not label:
        return "empty; write the label, or delete the row"
    if len(label) > MAX_LABEL:
        return f"{len(label):,} characters, at most {MAX_LABEL} make a label; is it the right column?"
    if label in _ERRORS or label[0] in _FORMULA:
        return (
            "begins as a spreadsheet formula does; labels travel into results, and whoever opens those in a "
            "spreadsheet would run it; rename the label"
        )
    if any(unicodedata.category(character) == "Cc" for character in label):
        return "holds a control character or a line end; is a quote missing above? Remove it"
    return None


def for_spreadsheets(cell: str) -> str:
    """Give a cell for a file that people open in a spreadsheet: one that would be run as a formula is made a text."""
    return f"'{cell}" if cell[:1] in (*_FORMULA, "\t", "\r") else cell


# What is wrong with a file, told in a few lines: the first mistakes, not all of a thousand.

MOST: Final = 5


class Problems:
    """Collects lines such as `hr.csv: row 12, column "label": empty; …`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines: list[str] = []
        self._count = 0

    def add(self, row: int, column: str | None, problem: str, *, line: int | None = None) -> None:
        """Note one. `line` is said where it differs from the row: a text above it goes over several lines."""
        self._count += 1
        if self._count > MOST:
            return
        place = f"row {row}" + (f" (line {line})" if line not in (None, row) else "")
        named = f', column "{column}"' if column is not None else ""
        self._lines.append(f"{self._path}: {place}{named}: {problem}")

    def stop(self, row: int, column: str | None, problem: str, *, line: int | None = None) -> NoReturn:
        """Note one after which nothing can be read, and raise.

        Raises:
            UserError: always.
        """
        self.add(row, column, problem, line=line)
        self.raise_any()
        raise AssertionError("unreachable")

    def raise_any(self) -> None:
        """Raise when there were any.

        Raises:
            UserError: with the first of them.
        """
        if self._count:
            more = [f"{self._path}: and {self._count - MOST} more"] if self._count > MOST else []
            raise UserError("\n".join(self._lines + more))
