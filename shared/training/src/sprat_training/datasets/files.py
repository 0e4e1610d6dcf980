"""A file's bytes to text: UTF-8 alone, and the place of what is not."""

import csv
from pathlib import Path
from typing import Final

from sprat.errors import UserError
from sprat_training.datasets.column_names import known_columns
from sprat_training.datasets.rows import Problems
from sprat_training.datasets.tables import separator_of, unmarked

MOST_BYTES: Final = 2_000_000_000
_EMPTY: Final = "the file is empty; it needs a row for each text, with its label"
_UTF_8: Final = 'save it as UTF-8 (in a spreadsheet: "CSV UTF-8")'
_WORKBOOKS: Final = (".xlsx", ".xls", ".ods", ".numbers")
_PACKED: Final = (".gz", ".zip", ".bz2", ".xz", ".zst")
_TABLES: Final = (".csv", ".tsv", ".tab")
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")
_PACKED_BOOK: Final = b"PK\x03\x04"
_OLD_BOOK: Final = b"\xd0\xcf\x11\xe0"


def read_text(path: Path) -> str:
    """Read the whole file, with line ends as they are.

    Raises:
        UserError: there is no such file, it is of another kind, empty, or not UTF-8.
    """
    suffix = path.suffix.lower()
    if suffix in _WORKBOOKS:
        raise UserError(f'{path}: a spreadsheet\'s own format is not read; save the sheet as "CSV UTF-8"')
    if suffix in _PACKED:
        raise UserError(f"{path}: packed; unpack it first")
    raw = _bytes(path)
    if raw.startswith((_PACKED_BOOK, _OLD_BOOK)):
        other = ", or another packed file" if raw.startswith(_PACKED_BOOK) else ""
        raise UserError(
            f"{path}: this is a spreadsheet's own format{other}, whatever the name says: export the sheet as CSV, "
            'in UTF-8 ("CSV UTF-8")'
        )
    if not raw.strip():
        raise UserError(f"{path}: {_EMPTY}")
    if raw[:2] in _UTF_16:
        raise UserError(f"{path}: row 1: UTF-16; {_UTF_8}")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        _tell(path, raw, error.start)
        raise AssertionError("unreachable") from None
    if not text.strip():
        raise UserError(f"{path}: {_EMPTY}")
    return text


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UserError(f"{path}: larger than {MOST_BYTES // 10**9} GB; a head learns nothing from so many texts")
        return path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file") from None
    except IsADirectoryError:
        raise UserError(f"{path}: a folder; give the path of one file") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _tell(path: Path, raw: bytes, at: int) -> None:
    """Say where the byte stands that is no UTF-8; all before it is."""
    before = raw[:at].decode("utf-8-sig")
    suffix = path.suffix.lower()
    table = suffix in _TABLES
    rows, _ = unmarked(before) if table else (before, None)
    line = before[before.rfind("\n") + 1 :]
    column = _column(rows, line, separator_of(before, suffix)) if table else None
    problem = f"byte 0x{raw[at]:02x} is not UTF-8, after {len(line)} characters of the line; {_UTF_8}"
    Problems(path).stop(rows.count("\n") + 1, column, problem, line=before.count("\n") + 1)


def _column(before: str, line: str, separator: str) -> str:
    """Give the name of the column in which `line` breaks off; its number where the first row holds no names."""
    number = max(1, len(_cells(line, separator)))
    names = _cells(before.partition("\n")[0].rstrip("\r"), separator) if "\n" in before else []
    has_names = known_columns(names) != (None, None)
    return names[number - 1].strip() if has_names and number <= len(names) else str(number)


def _cells(line: str, separator: str) -> list[str]:
    """Give the cells of one line. Quotes are text between tabs."""
    return line.split("\t") if separator == "\t" else next(csv.reader([line], delimiter=separator), [])
