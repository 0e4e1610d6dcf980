"""The bytes of a file to text, and the text of a CSV or TSV file to rows.

Written by hand around the standard library's `csv`: data-frame readers say neither in which row a quote was opened nor
in which cell a byte is not UTF-8, and the user needs that to correct the file.
"""

import codecs
import csv
import io
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from sprat.base.errors import UserError
from sprat_training.datasets.columns import known_columns
from sprat_training.datasets.rows import MAX_TEXT, FileProblems, TableRow, cell_text

TAB_SUFFIXES: Final = (".tsv", ".tab")
MAX_BYTES: Final = 2_000_000_000
AUTO: Final = "auto"
"""The encoding is found."""

_EMPTY: Final = "the file is empty; it needs a row for each text, with its label"
_USE_UTF_8: Final = 'save it as UTF-8 (in a spreadsheet: "CSV UTF-8")'
_WORKBOOK_SUFFIXES: Final = (".xlsx", ".xls", ".ods", ".numbers")
_ARCHIVE_SUFFIXES: Final = (".gz", ".zip", ".bz2", ".xz", ".zst")
_UTF_16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")
_UTF_8_SEQUENCE: Final = re.compile(rb"[\xc3-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
"""A character of several bytes that other encodings hardly ever give."""
_ZIP_MAGIC: Final = b"PK\x03\x04"
_OLE_MAGIC: Final = b"\xd0\xcf\x11\xe0"
_SEPARATORS: Final = (",", ";", "\t")
_MAX_ROW_LINES: Final = 400
"""A row with more lines has a quote that was left open: the next quote, far below, closes it."""
_SEPARATOR_LINE: Final = re.compile(r'"?sep=([,;\t|])"?[ \t]*\r?(?:\n|\Z)', re.IGNORECASE)
"""A first line such as `sep=;`, which tells spreadsheets the separator and which they do not show."""


@dataclass(frozen=True, slots=True)
class FileText:
    """The content of a file."""

    text: str
    encoding: str | None
    """Its name, for messages; None for UTF-8, which needs none."""


def read_text(path: Path, encoding: str = AUTO) -> FileText:
    """Return the whole file as text; line ends stay as they are.

    Args:
        path: of the file.
        encoding: a name that Python knows; `auto` reads UTF-8, UTF-16 with its byte order mark, and else Windows-1252,
            which is what a spreadsheet of western Europe writes.

    Raises:
        UserError: there is no such file, or it is of another kind, empty, or in another encoding.
    """
    suffix = path.suffix.lower()
    if suffix in _WORKBOOK_SUFFIXES:
        raise UserError(f'{path}: a spreadsheet\'s own format is not read; save the sheet as "CSV UTF-8"')
    if suffix in _ARCHIVE_SUFFIXES:
        raise UserError(f"{path}: packed; unpack it first")
    raw = _read_bytes(path)
    if raw.startswith((_ZIP_MAGIC, _OLE_MAGIC)):
        other = ", or another packed file" if raw.startswith(_ZIP_MAGIC) else ""
        raise UserError(
            f"{path}: this is a spreadsheet's own format{other}, whatever the name says: export the sheet as CSV, "
            'in UTF-8 ("CSV UTF-8")'
        )
    if not raw.strip():
        raise UserError(f"{path}: {_EMPTY}")
    found = _decoded(path, raw) if encoding.lower() == AUTO else _decoded_as(path, raw, encoding)
    if not found.text.strip():
        raise UserError(f"{path}: {_EMPTY}")
    return found


def table_rows(text: str, suffix: str, problems: FileProblems) -> Iterator[TableRow]:
    """Yield the rows that are not blank.

    Args:
        text: the content of the file.
        suffix: of the file's name, such as `.csv`.
        problems: where problems are recorded.

    Raises:
        UserError: a quote is not balanced; the message names the row where it was opened.
    """
    separator = _separator_of(text, suffix)
    body, mark = _without_separator_line(text)
    lines_above = 0 if mark is None else 1
    if separator == "\t":
        yield from _tab_separated(body, lines_above, problems)
    else:
        yield from _quoted_csv(body, lines_above, separator, problems)


def _read_bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UserError(f"{path}: larger than {MAX_BYTES // 10**9} GB; a model learns nothing from so many texts")
        return path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file") from None
    except IsADirectoryError:
        raise UserError(f"{path}: a folder; give the path of one file") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _decoded(path: Path, raw: bytes) -> FileText:
    if raw[:2] in _UTF_16_MARKS:
        return _decoded_as(path, raw, "UTF-16")
    try:
        return FileText(raw.decode("utf-8-sig"), None)
    except UnicodeDecodeError as error:
        # Bytes that UTF-8 alone writes beside bytes that it never writes: the file is broken, not in another encoding.
        if _UTF_8_SEQUENCE.search(raw) is None:
            with suppress(UnicodeDecodeError):
                return FileText(raw.decode("cp1252"), "Windows-1252")
        _fail_at_byte(path, raw, error.start)


def _decoded_as(path: Path, raw: bytes, encoding: str) -> FileText:
    try:
        name = "utf-8-sig" if codecs.lookup(encoding).name == "utf-8" else encoding
        return FileText(raw.decode(name), encoding)
    except LookupError:
        raise UserError(
            f"--encoding {encoding}: no such encoding; name one that Python knows, as utf-8, cp1252 or utf-16, or auto"
        ) from None
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise UserError(f"{path}: line {line}: it is not {encoding}; name another --encoding, or auto") from None


def _fail_at_byte(path: Path, raw: bytes, at: int) -> NoReturn:
    """Raise an error that says in which row and column the first byte is that is not UTF-8."""
    before = raw[:at].decode("utf-8-sig")
    suffix = path.suffix.lower()
    is_table = suffix in (".csv", *TAB_SUFFIXES)
    rows = _without_separator_line(before)[0] if is_table else before
    line = before[before.rfind("\n") + 1 :]
    column = _column_of_last_cell(rows, line, _separator_of(before, suffix)) if is_table else None
    problem = f"byte 0x{raw[at]:02x} is not UTF-8, after {len(line)} characters of the line; {_USE_UTF_8}"
    FileProblems(path).fail(rows.count("\n") + 1, column, problem, line=before.count("\n") + 1)


def _column_of_last_cell(rows: str, line: str, separator: str) -> str:
    """Return the name of the column in which `line` breaks off; its number where row 1 holds no names."""
    number = max(1, len(_cells_of_line(line, separator)))
    names = _cells_of_line(rows.partition("\n")[0].rstrip("\r"), separator) if "\n" in rows else []
    has_names = known_columns(names) != (None, None)
    return names[number - 1].strip() if has_names and number <= len(names) else str(number)


def _cells_of_line(line: str, separator: str) -> list[str]:
    """Return the cells of one line; between tabs, quotes are text."""
    return line.split("\t") if separator == "\t" else next(csv.reader([line], delimiter=separator), [])


def _without_separator_line(text: str) -> tuple[str, str | None]:
    """Return the text below a first line such as `sep=;` and the separator that it names, else the text and None."""
    match = _SEPARATOR_LINE.match(text)
    return (text, None) if match is None else (text[match.end() :], match[1])


def _separator_of(text: str, suffix: str) -> str:
    """Return the separator: as a first line `sep=;` says; a tab in .tsv; else as row 1 suggests, by default a comma."""
    body, named = _without_separator_line(text)
    if named is not None:
        return named
    if suffix in TAB_SUFFIXES:
        return "\t"
    first = body.partition("\n")[0]
    for separator in _SEPARATORS:
        if None not in known_columns(first.strip("\r").replace('"', "").split(separator)):
            return separator
    return max(_SEPARATORS, key=first.count)


def _quoted_csv(text: str, lines_above: int, separator: str, problems: FileProblems) -> Iterator[TableRow]:
    csv.field_size_limit(max(csv.field_size_limit(), 4 * MAX_TEXT))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    number = 0
    while True:
        number, lines_before = number + 1, reader.line_num
        line = lines_above + lines_before + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            problems.fail(number, None, _csv_problem(error, lines_above + reader.line_num, line), line=line)
        if (lines := reader.line_num - lines_before) > _MAX_ROW_LINES:
            problems.fail(number, str(len(cells)), _open_quote(f"it goes on for {lines} lines"), line=line)
        if any(map(str.strip, cells)):
            yield TableRow(number, line, [*map(cell_text, cells)])
        else:
            problems.blank_rows += 1


def _tab_separated(text: str, lines_above: int, problems: FileProblems) -> Iterator[TableRow]:
    """Yield rows where tabs separate and lines end, whatever quotes a text holds; cells quoted whole are unquoted."""
    for number, line in enumerate(text.removesuffix("\n").split("\n"), start=1):
        cells = [_unquoted(cell) for cell in line.rstrip("\r").split("\t")]
        if any(map(str.strip, cells)):
            yield TableRow(number, lines_above + number, [*map(cell_text, cells)])
        else:
            problems.blank_rows += 1


def _unquoted(cell: str) -> str:
    if len(cell) >= 2 and cell[0] == cell[-1] == '"':
        inner = cell[1:-1]
        if '"' not in inner.replace('""', ""):
            return inner.replace('""', '"')
    return cell


def _csv_problem(error: csv.Error, line: int, first_line: int) -> str:
    """Return what is wrong in a row that begins in `first_line`, where the reader noticed it in `line`."""
    message = str(error)
    if "unexpected end of data" in message:
        return _open_quote("the file ends in it")
    if "expected after" in message:
        if line > first_line:  # the next quoted row closes the quote, so it is noticed there
            return _open_quote(f"or there is one inside the quoted cell, in line {line}")
        return 'a quote is inside a quoted cell; write it twice: ""; or the one that opens a cell is not closed'
    if "field limit" in message:
        return _open_quote(f"the cell is longer than {4 * MAX_TEXT:,} characters")
    return f"not CSV ({message}); save the file again"


def _open_quote(why: str) -> str:
    return f'a quote is opened and not closed ({why}); close it, or write a quote that belongs to the text twice: ""'
