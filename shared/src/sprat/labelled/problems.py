"""What is wrong with a file, told in a few lines: the first mistakes, not all of a thousand."""

from pathlib import Path
from typing import Final, NoReturn

from sprat.errors import UserError

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
