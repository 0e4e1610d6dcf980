"""Change one number of a policy file and nothing else: comments, order and blank lines are the owner's."""

import os
import tempfile
from pathlib import Path
from typing import Any, Final

from sprat.errors import UserError
from sprat.policy.load import load_policy
from sprat.policy.places import Document, read_yaml

_INDENT: Final = "  "


def set_keep_at(path: Path, task: str, keep_at: float, model: str | None = None) -> str | None:
    """Write the `keep_at` of a task, or of one of its models, and give what stood there before, None where nothing did.

    The file is replaced as a whole, once the new one has been read and found good.

    Raises:
        UserError: the file is no policy, cannot be written, or is laid out in a way that cannot be edited safely.
    """
    load_policy(path)
    raw = path.read_bytes().decode("utf-8")
    mark = raw[:1] if raw[:1] == "\ufeff" else ""
    location = keep_at_of(task, model)
    text, before = edited(raw.removeprefix("\ufeff"), location, f"{keep_at:.2f}")
    _replace(path, mark + text)
    policy = load_policy(path)
    found = policy.task(task).keep_at if model is None else policy.task(task, model).keep_at
    if abs(found - keep_at) > 0.005:
        _replace(path, raw)
        raise UserError(
            f"{path}: laid out in a way that is not edited safely; "
            f"write it yourself: {'.'.join(location)}: {keep_at:.2f}"
        )
    return before


def keep_at_of(task: str, model: str | None = None) -> tuple[str, ...]:
    """Give the place of a task's `keep_at` in the file, or that of one of its models."""
    return ("tasks", task, "keep_at") if model is None else ("tasks", task, "models", model, "keep_at")


def edited(text: str, location: tuple[str, ...], value: str) -> tuple[str, str | None]:
    """Give the text of a policy with `value` at `location`, and the value that stood there; see :func:`set_keep_at`.

    Raises:
        UserError: sections written on one line, as `{keep_at: 0.8}`, where a field has to be added.
    """
    document = read_yaml(text)
    lines = text.splitlines(keepends=True)
    end = "\r\n" if "\r\n" in text else "\n"
    place = document.values.get(location)
    if place is not None:
        before = str(_inside(document, location))
        line, at = lines[place.line - 1], place.column - 1
        quote = line[at] if line[at] in "\"'" else ""
        length = len(before) + 2 * len(quote)
        if line[at : at + length].strip("\"'") != before:
            raise UserError(
                f"{'.'.join(location)} in line {place.line} is not written as a plain number; write {value} there"
            )
        lines[place.line - 1] = line[:at] + value + line[at + length :]
        return "".join(lines), before
    return _added(document, lines, location, value, end), None


def _inside(document: Document, location: tuple[str, ...]) -> Any:
    found = document.data
    for step in location:
        found = found[step]
    return found


def _added(document: Document, lines: list[str], location: tuple[str, ...], value: str, end: str) -> str:
    """Add the field below the deepest section that is there."""
    if lines and not lines[-1].endswith(("\n", "\r")):
        lines[-1] += end
    *sections, field = location
    wanted = [f"{_INDENT * depth}{name}:{end}" for depth, name in enumerate(sections)]
    wanted.append(f"{_INDENT * len(sections)}{field}: {value}{end}")
    for depth in range(len(sections), 0, -1):
        there = location[:depth]
        key = document.keys.get(there)
        if key is None:
            continue
        said, inside = ".".join(there), _inside(document, there)
        if not isinstance(inside, dict) and inside not in ("", None):
            raise UserError(f"{said} in line {key.line} holds no fields; write {field}: {value} there")
        if isinstance(inside, dict) and inside:
            first = document.keys[*there, next(iter(inside))]
            if first.line == key.line:
                missing = ".".join(location[depth:])
                raise UserError(f"{said} in line {key.line} is written on one line; add {missing}: {value}")
            indent = lines[first.line - 1][: first.column - 1]
        else:
            indent = " " * (key.column - 1) + _INDENT
        added = [line.removeprefix(_INDENT * depth) for line in wanted[depth:]]
        lines[key.line : key.line] = [indent + line for line in added]
        return "".join(lines)
    return "".join([*lines, *wanted])


def _replace(path: Path, text: str) -> None:
    """Put the new content in the file's place at once: a service that starts meanwhile reads the one or the other."""
    real = path.resolve()
    try:
        handle, name = tempfile.mkstemp(dir=real.parent, prefix=f".{real.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode("utf-8"))
        os.chmod(name, real.stat().st_mode & 0o777)  # noqa: PTH101 - a name, not a Path
        os.replace(name, real)  # noqa: PTH105 - as above
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from None
