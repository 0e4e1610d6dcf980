"""Read licence and languages from the front matter of a model's README.

The file is another's. It is no general YAML that is read: of the first lines, the two keys alone, each with a word or a
list of words. So nothing in the file can make reading it slow.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Final

_MOST_BYTES: Final = 64 * 1024
_FENCE: Final = "---"
_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 .+()-]{0,99}")
"""An SPDX expression or a language tag."""
_LANGUAGE: Final = re.compile(r"[a-z]{2,3}")


@dataclass(frozen=True, slots=True)
class Stated:
    """What a README states."""

    licence: str | None
    """SPDX identifier; None where there is none, or no plain word."""
    languages: tuple[str, ...]
    """BCP 47 tags."""


def read_readme(path: Path) -> Stated:
    """Return what the README at `path` states; nothing where it cannot be read."""
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES).decode("utf-8", "replace")
    except OSError:
        return Stated(None, ())
    first, *rest = text.splitlines() or [""]
    if first.rstrip() != _FENCE or _FENCE not in map(str.rstrip, rest):
        return Stated(None, ())
    lines = list(takewhile(lambda line: line.rstrip() != _FENCE, rest))
    licences, languages = _words(lines, "license", _WORD), _words(lines, "language", _LANGUAGE)
    return Stated(" AND ".join(licences) or None, tuple(languages))


def _words(lines: Sequence[str], key: str, form: re.Pattern[str]) -> list[str]:
    """Return the different values of a key that have this form."""
    return list(dict.fromkeys(value for value in _values(lines, key) if form.fullmatch(value)))


def _values(lines: Sequence[str], key: str) -> list[str]:
    """Return the values of a key at the first level: a word, or a list in either of YAML's forms."""
    start = next((number for number, line in enumerate(lines) if line.startswith(f"{key}:")), None)
    if start is None:
        return []
    value = _plain(lines[start].removeprefix(f"{key}:"))
    following = takewhile(lambda line: not line.strip() or line[0] in " -]#", lines[start + 1 :])
    if value.startswith("["):
        inside = " ".join([value, *map(_plain, following)]).removeprefix("[").partition("]")[0]
        return list(map(_unquoted, inside.split(",")))
    return [_unquoted(value)] if value else list(_items(following))


def _items(lines: Iterator[str]) -> Iterator[str]:
    for line in map(_plain, lines):
        if line.startswith("- "):
            yield _unquoted(line.removeprefix("- "))


def _plain(line: str) -> str:
    """Return a line without a comment and the space around it."""
    return line.partition(" #")[0].strip()


def _unquoted(word: str) -> str:
    return word.strip().strip("\"'")
