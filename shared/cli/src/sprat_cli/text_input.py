"""Texts from an argument: the text itself, a file, or standard input."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from sprat.base.errors import UserError
from sprat.base.words import counted

_PATH_OR_FILE_NAME = re.compile(r"[^\s]*(/|\\)[^\s]*|[^\s]+\.(jsonl|json|txt|csv|md)", re.IGNORECASE)


def read_text(argument: str, stdin: TextIO, *, as_text: bool) -> str:
    """Read one text as it is: `-` is standard input, the path of a file its content, anything else the text itself.

    Line ends and white space are kept, since offsets count them.

    Raises:
        UserError: the text is blank, the file cannot be read, or the input is not UTF-8.
    """
    text, where = _read_whole(argument, stdin, as_text=as_text)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UserError(f"{where}: not valid Unicode; is it UTF-8?") from None
    if not text.strip():
        raise UserError(f"{where} is empty")
    return text


def _read_whole(argument: str, stdin: TextIO, *, as_text: bool) -> tuple[str, str]:
    path = Path(argument)
    try:
        if argument == "-" and not as_text:
            where = "standard input"
            return stdin.buffer.read().decode(), where
        where = f"file {path}"
        if not as_text and _exists(path):
            return path.read_bytes().decode(), where
    except UnicodeDecodeError:
        raise UserError(f"{where}: not UTF-8") from None
    except OSError as error:
        raise UserError(f"{where}: cannot be read: {error.strerror}") from None
    if not as_text and _looks_like_a_path(argument):
        raise UserError(f"there is no file {argument!r}; to mask these words themselves, add --text")
    return argument, "the text"


def _looks_like_a_path(argument: str) -> bool:
    """Return whether it is one word with the end of a file name or the start of a path. `24/7` may be a text."""
    return not any(map(str.isspace, argument)) and (
        argument.lower().endswith((".txt", ".md", ".csv", ".json", ".jsonl", ".eml"))
        or argument.startswith(("/", "./", "../", "~/"))
    )


@dataclass(frozen=True, slots=True)
class TextLines:
    """Texts, each with its place for error messages, and a description of where they come from."""

    texts: Sequence[tuple[str, str]] = field(repr=False)
    """Place and text."""
    description: str
    numbers: Sequence[int] = ()
    """The line of each text, from 1; empty where the texts are no lines."""


def read_lines(argument: str, stdin: TextIO, *, as_text: bool, whole: bool) -> TextLines:
    """Read texts, one a line: `-` is standard input, the path of a file its lines, anything else one text itself.

    Args:
        argument: what the user named.
        stdin: read if the argument is `-`.
        as_text: take the argument as the text, even if a file has its name.
        whole: the file or standard input is one text.

    Raises:
        UserError: there is no text, the file cannot be read, or the argument looks like a path where no file is.
    """
    if argument == "-" and not as_text:
        return _split(stdin.read(), "standard input", whole=whole)
    path = Path(argument)
    if not as_text and _is_file(path):
        try:
            content = path.read_text("utf-8")
        except UnicodeDecodeError:
            raise UserError(f"{path}: not UTF-8") from None
        except OSError as error:
            raise UserError(f"{path}: cannot be read: {error.strerror}") from None
        return _split(content, f"file {path}", whole=whole)
    if not as_text and _PATH_OR_FILE_NAME.fullmatch(argument):
        raise UserError(f"there is no file {argument!r}; to send these words themselves, add --text")
    return TextLines([("the text", argument)], "the argument as a text, not as a file")


def _split(content: str, where: str, *, whole: bool) -> TextLines:
    if whole:
        texts, numbers = [(where, content.strip())] if content.strip() else [], []
    else:
        # Not splitlines(): texts may hold U+2028 and other characters that it takes for line ends.
        lines = [(number, line.strip()) for number, line in enumerate(content.split("\n"), 1) if line.strip()]
        texts = [(f"{where}, line {number}", line) for number, line in lines]
        numbers = [number for number, _ in lines]
    if not texts:
        raise UserError(f"{where}: nothing to send")
    return TextLines(texts, f"{where}: {counted(len(texts), 'text')}", numbers)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # the text is longer than a file name may be, or holds a NUL
        return False


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # as above
        return False
