"""Terminal output: colour only if the terminal shows it, and no control characters of texts."""

import json
import os
import shutil
import sys
import unicodedata
from collections.abc import Sequence
from typing import Any, TextIO

import typer

from sprat.base import words
from sprat.base.errors import UserError

printable = words.printable


def wants_colour(stream: TextIO) -> bool:
    """Return whether the stream is a terminal that shows colour (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str, colour: str) -> str:
    """Colour a text for standard output, if its terminal shows colour."""
    return typer.style(text, fg=colour) if wants_colour(sys.stdout) else text


def faint(text: str) -> str:
    """Dim a text for standard output, if its terminal shows colour."""
    return typer.style(text, dim=True) if wants_colour(sys.stdout) else text


def columns() -> int | None:
    """Return how wide the terminal of standard output is now; None where it is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def fit(text: str, width: int) -> str:
    """Return a printable text that takes exactly `width` columns: cut with an ellipsis, or filled with spaces."""
    taken, kept = 0, 0
    for position, character in enumerate(text):
        taken += _columns_of(character)
        if taken < width:
            kept = position + 1
    if taken > width:
        text = text[:kept] + "…"
    return text + " " * (width - sum(map(_columns_of, text)))


def _columns_of(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1


def say(line: str) -> None:
    """Print a line and flush: a pipe must receive it while the command still runs."""
    print(line, flush=True)  # noqa: T201 - this is what a command line does


def say_json(value: Any) -> None:
    """Print a JSON object as one line."""
    say(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def remark(line: str) -> None:
    """Print a line on standard error: a remark for the user, not output."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - as above


def confirmed(question: str, what: str) -> bool:
    """Ask whether to do something.

    Raises:
        UserError: nobody can answer, as there is no terminal.
    """
    if not sys.stdin.isatty():
        raise UserError(f"--yes is needed to {what} without a terminal")
    return typer.confirm(question, err=True)


def table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Align rows of cells in columns."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
