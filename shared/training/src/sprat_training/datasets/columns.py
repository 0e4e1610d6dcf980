"""Which columns hold the texts and the labels: as named, else as known by their names, else the only two there are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sprat_training.datasets.column_names import LABEL_NAMES, TEXT_NAMES, known_columns, listed
from sprat_training.datasets.rows import Problems
from sprat_training.datasets.tables import Record

_LOOKED_AT: Final = 2_000
_NAME_THEM: Final = "name them: --text-column NAME --label-column NAME, or by number, from 1"
_HIDDEN: Final = (
    "row 1 seems to hold data, not their names, so it is not shown; number them from 1: --text-column 1 "
    "--label-column 2, as they stand; or write their names above"
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Columns as a person names them: by name, or by number from 1."""

    text: str | None = None
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Columns:
    """Where to look in each row."""

    text: int
    label: int | None
    """None where texts alone are wanted."""
    count: int
    """Cells that every row has."""
    has_names: bool
    """Row 1 holds the names."""
    names: tuple[str, ...]
    """For telling a person: the names, else the numbers."""

    @property
    def told(self) -> tuple[str, ...]:
        """Give the names of the columns that were taken."""
        return tuple(self.names[place] for place in (self.text, self.label) if place is not None)


def find_columns(head: Sequence[Record], wanted: Wanted, problems: Problems, *, with_labels: bool) -> Columns:
    """Decide from the first rows.

    Raises:
        UserError: it cannot be told; it says what there is.
    """
    first = head[0]
    names = [cell.strip() for cell in first.cells]
    text, label = known_columns(names)
    named_text = _named(wanted.text, head, problems)
    named_label = _named(wanted.label, head, problems)
    has_names = (
        text is not None or label is not None or any(_is_name(each, names) for each in (wanted.text, wanted.label))
    )
    text = named_text if named_text is not None else text
    label = named_label if named_label is not None else label
    if not has_names and text is None and label is None and len(names) == (2 if with_labels else 1):
        text, label = (0, None) if not with_labels else _two(head)
    if not with_labels:
        label = None
    if text is None or (with_labels and label is None):
        problems.stop(first.row, None, _unclear(head, text, label, with_labels=with_labels), line=first.line)
    if text == label:
        problems.stop(first.row, names[text], f"named for both the texts and the labels; {_NAME_THEM}")
    told = names if has_names else [str(place + 1) for place in range(len(names))]
    return Columns(text, label, len(names), has_names, tuple(told))


def _named(wanted: str | None, head: Sequence[Record], problems: Problems) -> int | None:
    if wanted is None:
        return None
    names = [cell.strip() for cell in head[0].cells]
    plain = [name.casefold() for name in names]
    if wanted.strip().casefold() in plain:
        return plain.index(wanted.strip().casefold())
    if wanted.isdecimal() and 1 <= int(wanted) <= len(names):
        return int(wanted) - 1
    there = _listed(head)
    said = f"there are: {there}" if there is not None else f"there are {len(names)}, and {_HIDDEN}"
    problems.stop(head[0].row, wanted, f"there is no such column; {said}", line=head[0].line)
    return None


def _is_name(wanted: str | None, names: Sequence[str]) -> bool:
    return wanted is not None and wanted.strip().casefold() in [name.casefold() for name in names]


def _two(head: Sequence[Record]) -> tuple[int, int]:
    """Of two columns without names: labels repeat, texts do not."""
    rows = [record.cells for record in head[:_LOOKED_AT] if len(record.cells) == 2]
    left, right = ({cells[place] for cells in rows} for place in (0, 1))
    return (1, 0) if len(left) < len(right) else (0, 1)


def _unclear(head: Sequence[Record], text: int | None, label: int | None, *, with_labels: bool) -> str:
    names = head[0].cells
    if with_labels and len(names) == 1:
        return (
            "there is one column, a text and a label are needed; separate them by a comma, a semicolon or a tab, "
            "or name the file .tsv where it is a tab"
        )
    missing = "texts" if text is None else "labels" if label is None else "texts"
    known = ", ".join(TEXT_NAMES if missing == "texts" else LABEL_NAMES)
    there = _listed(head)
    if there is None:
        return f"which column holds the {missing}? There are {len(names)}, and {_HIDDEN} (known: {known})"
    return f"which column holds the {missing}? There are {there}; {_NAME_THEM} (known: {known})"


def _listed(head: Sequence[Record]) -> str | None:
    """Give the names in row 1, or nothing where they may be texts: those are not for a terminal."""
    return listed([cell.strip() for cell in head[0].cells], [record.cells for record in head[1:]])
