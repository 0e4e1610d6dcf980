"""What was read."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

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
