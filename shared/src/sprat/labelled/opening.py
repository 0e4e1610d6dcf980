"""A file's bytes to text: UTF-8 alone, and the place of what is not."""

import csv
from pathlib import Path
from typing import Final

from sprat.errors import UserError
from sprat.labelled.problems import Problems

MOST_BYTES: Final = 2_000_000_000
_UTF_8: Final = 'save it as UTF-8 (in a spreadsheet: "CSV UTF-8")'
_WORKBOOKS: Final = (".xlsx", ".xls", ".ods", ".numbers")
_PACKED: Final = (".gz", ".zip", ".bz2", ".xz", ".zst")
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")


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
    if not raw.strip():
        raise UserError(f"{path}: the file is empty; it needs a row for each text, with its label")
    if raw[:2] in _UTF_16:
        raise UserError(f"{path}: row 1: UTF-16; {_UTF_8}")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        _tell(path, raw, error.start)
        raise AssertionError("unreachable") from None


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
    row = before.count("\n") + 1
    line = before[before.rfind("\n") + 1 :]
    separator = "\t" if "\t" in line else ";" if ";" in line else ","
    column = (
        len(next(csv.reader([line], delimiter=separator), [""])) if path.suffix.lower() in (".csv", ".tsv") else None
    )
    problem = f"byte 0x{raw[at]:02x} is not UTF-8, after {len(line)} characters of the line; {_UTF_8}"
    Problems(path).stop(row, None if column is None else str(column), problem)
