"""Change one number of a policy file and nothing else: comments, order and blank lines are the owner's."""

import os
import re
import tempfile
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from sprat.errors import UserError
from sprat_policy.load import load_policy, policy_of
from sprat_policy.rules import MODEL_NAME, NamedModel
from sprat_policy.yaml_document import Document, read_yaml

_INDENT: Final = "  "
_NOTHING_IN_IT: Final = re.compile(r"[ \t]*\{[ \t]*\}(?=[ \t]*(#.*)?\r?$)")
"""A section `{}` at the end of a line."""
_NAME: TypeAdapter[str] = TypeAdapter(NamedModel)


def check_name(model: str) -> None:
    """See that texts can ask for a model by this name.

    Raises:
        UserError: they cannot.
    """
    try:
        _NAME.validate_python(model)
    except ValidationError:
        raise UserError(f"{model!r}: no name of a model; expected: {MODEL_NAME}") from None


def set_keep_at(path: Path, task: str, keep_at: float, model: str | None = None) -> str | None:
    """Write the `keep_at` of a task, or of one of its models, and give what stood there before, None where nothing did.

    What is to stand there is read first: only if it is a policy that says so, the file is replaced, as a whole.

    Raises:
        UserError: texts cannot ask for such a model; the file is no policy, or would be none any more; it cannot be
            written, or is laid out in a way that cannot be edited safely. The file is then as it was.
    """
    if model is not None:
        check_name(model)
    load_policy(path)
    raw = path.read_bytes().decode("utf-8")
    mark = raw[:1] if raw[:1] == "\ufeff" else ""
    location = keep_at_of(task, model)
    text, before = edited(raw.removeprefix("\ufeff"), location, f"{keep_at:.2f}")
    new = (mark + text).encode("utf-8")
    if not _says(new, task, model, keep_at):
        raise UserError(
            f"{path}: laid out in a way that is not edited safely; "
            f"write it yourself: {'.'.join(location)}: {keep_at:.2f}"
        )
    _replace(path, new)
    return before


def _says(content: bytes, task: str, model: str | None, keep_at: float) -> bool:
    """Tell whether it is a policy with this `keep_at`."""
    try:
        policy = policy_of(content, "")
    except UserError:
        return False
    found = policy.task(task) if model is None else policy.task(task, model)
    return abs(found.keep_at - keep_at) <= 0.005


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
        indent = _opened(document, lines, there)
        if indent is None:
            said, missing = ".".join(there), ".".join(location[depth:])
            raise UserError(f"{said} in line {key.line} is written on one line; add {missing}: {value}")
        added = [line.removeprefix(_INDENT * depth) for line in wanted[depth:]]
        lines[key.line : key.line] = [indent + line for line in added]
        return "".join(lines)
    return "".join([*lines, *wanted])


def _opened(document: Document, lines: list[str], section: tuple[str, ...]) -> str | None:
    """Make room below a section's name and give the indent of its fields; None where it is written on one line."""
    key, inside = document.keys[section], _inside(document, section)
    if inside:
        first = document.keys[*section, next(iter(inside))]
        return None if first.line == key.line else lines[first.line - 1][: first.column - 1]
    line = lines[key.line - 1]
    lines[key.line - 1] = _NOTHING_IN_IT.sub("", line)
    return None if lines[key.line - 1] == line else " " * (key.column - 1) + _INDENT


def _replace(path: Path, content: bytes) -> None:
    """Put the new content in the file's place at once: a service that starts meanwhile reads the one or the other."""
    real = path.resolve()
    try:
        handle, name = tempfile.mkstemp(dir=real.parent, prefix=f".{real.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.chmod(name, real.stat().st_mode & 0o777)  # noqa: PTH101 - a name, not a Path
            os.replace(name, real)  # noqa: PTH105 - as above
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from None
