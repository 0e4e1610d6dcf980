"""One text from a person, as it is: every offset in it counts."""

from pathlib import Path
from typing import TextIO

from sprat.errors import UserError


def read_text_input(argument: str, stdin: TextIO, *, as_text: bool) -> str:
    """Decide what the argument is: `-` is standard input, the path of a file what is in it, all else the text itself.

    Line ends and white space stay as they are.

    Raises:
        UserError: nothing in it, a file that cannot be read, or what is not UTF-8.
    """
    text, where = _read(argument, stdin, as_text=as_text)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UserError(f"{where}: not valid Unicode; is it UTF-8?") from None
    if not text.strip():
        raise UserError(f"{where}: there is nothing in it to mask")
    return text


def _read(argument: str, stdin: TextIO, *, as_text: bool) -> tuple[str, str]:
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
    if not as_text and _like_a_path(argument):
        raise UserError(f"there is no file {argument!r}; to mask these words themselves, add --text")
    return argument, "the text"


def _like_a_path(argument: str) -> bool:
    """Is it one word that ends as files do or begins as paths do? A word with a slash alone may be a text: 24/7."""
    return not any(map(str.isspace, argument)) and (
        argument.lower().endswith((".txt", ".md", ".csv", ".json", ".jsonl", ".eml"))
        or argument.startswith(("/", "./", "../", "~/"))
    )


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a text is longer than a file name may be, or holds a NUL
        return False
