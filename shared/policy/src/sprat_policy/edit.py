"""Change one value of a policy file; keep comments, order and blank lines as they are."""

import json
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from sprat.errors import UserError
from sprat_policy.keep_at_source import KeepAtSource, with_source
from sprat_policy.load import load_policy, policy_of, section_of
from sprat_policy.rules import MODEL_NAME, NamedModel, Policy, TaskPolicy
from sprat_policy.task_files import TaskFile, load_task_file
from sprat_policy.tiers import TierCalibration
from sprat_policy.yaml_document import Document, Location, UnreadableYamlError, read_yaml

_INDENT: Final = "  "
_EMPTY_SECTION: Final = re.compile(r"[ \t]*\{[ \t]*\}(?=[ \t]*(#.*)?\r?$)")
"""A section `{}` at the end of a line."""
_ON_ONE_LINE: Final = re.compile(r"\{[^{}#]*\}(?=[ \t]*(#.*)?\r?$)")
"""A section in braces at the end of a line."""
_NAME: TypeAdapter[str] = TypeAdapter(NamedModel)


def check_model_name(model: str) -> None:
    """Check that texts can request a model by this name.

    Raises:
        UserError: they cannot.
    """
    try:
        _NAME.validate_python(model)
    except ValidationError:
        raise UserError(f"{model!r}: not a name of a model; expected: {MODEL_NAME}") from None


def set_keep_at(
    path: Path, task: str, keep_at: float, model: str | None = None, source: KeepAtSource | None = None
) -> str | None:
    """Write the `keep_at` of a task, or of one of its models; return the value before, None if there was none.

    Where that is the same value, no more than the comment changes. The new content is read back first. The file is
    replaced, as a whole, only if it is a policy with the new value.

    Args:
        path: the policy file.
        task: the task.
        keep_at: the value.
        model: one of its models; None: the task itself.
        source: where it comes from: a comment behind it, unless another stands there; None: not known.

    Raises:
        UserError: the name is not one of a model; the file is not a policy, before or after; it cannot be written, or
            its layout cannot be edited safely. The file does not change then.
    """
    load_policy(path)
    return _set_keep_at(path, task, keep_at, model, source, lambda raw, name: policy_of(raw, "").task(task, name))


def set_task_keep_at(
    path: Path, keep_at: float, model: str | None = None, source: KeepAtSource | None = None
) -> str | None:
    """Write the same into the file of a task.

    Raises:
        UserError: as :func:`set_keep_at`.
    """
    load_task_file(path)
    return _set_keep_at(path, None, keep_at, model, source, lambda raw, name: section_of(raw, "", TaskFile)[0].of(name))


def set_task_model(path: Path, artefact: str, keep_at: float) -> TaskFile:
    """Write the model of a task and its `keep_at` into the task's file; return what the file said before.

    The new content is read back first, and the file replaced, as a whole, only if nothing else differs.

    Args:
        path: the file of the task.
        artefact: the folder of the model, from the folder of the file.
        keep_at: with two digits.

    Raises:
        UserError: the file is not valid; it cannot be written, or its layout cannot be edited safely. The file does not
            change then.
    """
    before = load_task_file(path)
    wanted = before.model_copy(update={"artefact": Path(artefact), "keep_at": round(keep_at, 2)})
    raw = path.read_bytes().decode("utf-8")
    byte_order_mark = raw[:1] if raw[:1] == "\ufeff" else ""
    text = raw.removeprefix("\ufeff")
    try:
        for field, value in (("artefact", json.dumps(artefact, ensure_ascii=False)), ("keep_at", f"{keep_at:.2f}")):
            text, _ = _set_value(text, (field,), value)
        text = with_source(text, ("keep_at",), None)
        new = (byte_order_mark + text).encode("utf-8")
        is_wanted = section_of(new, "", TaskFile)[0].model_dump() == wanted.model_dump()
    except (UserError, UnreadableYamlError):
        is_wanted = False
    if not is_wanted:
        raise UserError(
            f"{path}: laid out in a way that is not edited safely; write it yourself: artefact: {artefact} and "
            f"keep_at: {keep_at:.2f}"
        )
    _replace(path, new)
    return before


def _set_keep_at(
    path: Path,
    task: str | None,
    keep_at: float,
    model: str | None,
    source: KeepAtSource | None,
    task_of: Callable[[bytes, str], TaskPolicy],
) -> str | None:
    """Write the `keep_at`; `task_of` reads the task from the content of the file, as it is for a model."""
    if model is not None:
        check_model_name(model)
    location = keep_at_location(task, model)
    raw = path.read_bytes().decode("utf-8")
    byte_order_mark = raw[:1] if raw[:1] == "\ufeff" else ""
    text, before = _set_value(raw.removeprefix("\ufeff"), location, f"{keep_at:.2f}")
    if before is not None and f"{float(before):.2f}" == f"{keep_at:.2f}":
        noted = raw if source is None else byte_order_mark + with_source(raw.removeprefix("\ufeff"), location, source)
        if noted != raw:
            _replace(path, noted.encode("utf-8"))
        return before
    new = (byte_order_mark + with_source(text, location, source)).encode("utf-8")
    if not _has_keep_at(new, task_of, model, keep_at):
        raise UserError(
            f"{path}: laid out in a way that is not edited safely; "
            f"write it yourself: {'.'.join(location)}: {keep_at:.2f}"
        )
    _replace(path, new)
    return before


def keep_at_location(task: str | None, model: str | None = None) -> tuple[str, ...]:
    """Return the keys that lead to the `keep_at` of a task, or of one of its models.

    Args:
        task: of a policy file; None: in the file of a task.
        model: the model; None: the task itself.
    """
    return (*(() if task is None else ("tasks", task)), *(() if model is None else ("models", model)), "keep_at")


def set_tier_calibration(path: Path, tier: str, task: str, calibration: TierCalibration) -> tuple[str, bool]:
    """Write the calibration of a tier for a task; return where it stands in the file, and whether the file changed.

    The new content is read back first, and the file replaced, as a whole, only if nothing else differs.

    Args:
        path: the policy file.
        tier: the tier, as Results call it.
        task: the task.
        calibration: what it is now.

    Raises:
        UserError: the file is not a policy; it has no such tier; it cannot be written, or its layout cannot be edited
            safely. The file does not change then.
    """
    policy = load_policy(path)
    place = next((number for number, each in enumerate(policy.tiers) if each.label == tier), None)
    if place is None:
        raise UserError(f"{path}: no tier is called {tier}")
    location: Location = ("tiers", place, "calibration", task)
    shown = ".".join(map(str, location))
    changed = policy.tiers[place].model_copy(
        update={"calibration": {**policy.tiers[place].calibration, task: calibration}}
    )
    wanted = policy.model_copy(update={"tiers": (*policy.tiers[:place], changed, *policy.tiers[place + 1 :])})
    if wanted.model_dump() == policy.model_dump():
        return shown, False
    fields = (f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in calibration.model_dump().items())
    value = f"{{{', '.join(fields)}}}"
    raw = path.read_bytes().decode("utf-8")
    byte_order_mark = raw[:1] if raw[:1] == "\ufeff" else ""
    text = _with_section(raw.removeprefix("\ufeff"), location, value)
    new = "" if text is None else byte_order_mark + text
    if not _is(new.encode("utf-8"), wanted):
        raise UserError(f"{path}: laid out in a way that is not edited safely; write it yourself: {shown}: {value}")
    _replace(path, new.encode("utf-8"))
    return shown, True


def _with_section(text: str, location: Location, value: str) -> str | None:
    """Return the text with a section on one line, two levels below an entry of a list; None where that is not safe."""
    document = read_yaml(text)
    lines = text.splitlines(keepends=True)
    end = "\r\n" if "\r\n" in text else "\n"
    *parent, name = location
    if location in document.values:
        place = document.values[location]
        line, at = lines[place.line - 1], place.column - 1
        lines[place.line - 1] = line[:at] + _ON_ONE_LINE.sub(lambda _: value, line[at:], count=1)
        return "".join(lines)
    entry = tuple(parent[:-1])
    if tuple(parent) in document.keys:
        indent = _open_section(document, lines, tuple(parent))
        if indent is None:
            return None
        lines.insert(document.keys[tuple(parent)].line, f"{indent}{name}: {value}{end}")
        return "".join(lines)
    first = document.keys[*entry, next(iter(_value_at(document, entry)))]
    if not lines[first.line - 1].endswith(("\n", "\r")):
        lines[first.line - 1] += end
    indent = " " * (first.column - 1)
    added = [f"{indent}{parent[-1]}:{end}", f"{indent}{_INDENT}{name}: {value}{end}"]
    lines[first.line : first.line] = added
    return "".join(lines)


def _is(content: bytes, wanted: Policy) -> bool:
    """Return whether the content is this policy."""
    try:
        return policy_of(content, "").model_dump() == wanted.model_dump()
    except UserError:
        return False


def _has_keep_at(
    content: bytes, task_of: Callable[[bytes, str], TaskPolicy], model: str | None, keep_at: float
) -> bool:
    """Return whether the content is valid, and has this `keep_at`."""
    try:
        return abs(task_of(content, model or "default").keep_at - keep_at) <= 0.005
    except UserError:
        return False


def _set_value(text: str, location: tuple[str, ...], value: str) -> tuple[str, str | None]:
    """Return the text of a policy with `value` at `location`, and the value before; see :func:`set_keep_at`.

    Raises:
        UserError: sections written on one line, as `{keep_at: 0.8}`, where a field has to be added.
    """
    document = read_yaml(text)
    lines = text.splitlines(keepends=True)
    end = "\r\n" if "\r\n" in text else "\n"
    place = document.values.get(location)
    if place is not None:
        before = str(_value_at(document, location))
        line, at = lines[place.line - 1], place.column - 1
        quote = line[at] if line[at] in "\"'" else ""
        length = len(before) + 2 * len(quote)
        if line[at : at + length].strip("\"'") != before:
            raise UserError(
                f"{'.'.join(location)} in line {place.line} is not written as a plain number; write {value} there"
            )
        lines[place.line - 1] = line[:at] + value + line[at + length :]
        return "".join(lines), before
    return _add_field(document, lines, location, value, end), None


def _value_at(document: Document, location: Location) -> Any:
    value = document.data
    for step in location:
        value = value[step]
    return value


def _add_field(document: Document, lines: list[str], location: tuple[str, ...], value: str, end: str) -> str:
    """Return the text with the field added below the deepest of its sections that exists."""
    if lines and not lines[-1].endswith(("\n", "\r")):
        lines[-1] += end
    *sections, field = location
    new_lines = [f"{_INDENT * depth}{name}:{end}" for depth, name in enumerate(sections)]
    new_lines.append(f"{_INDENT * len(sections)}{field}: {value}{end}")
    for depth in range(len(sections), 0, -1):
        section = location[:depth]
        key = document.keys.get(section)
        if key is None:
            continue
        indent = _open_section(document, lines, section)
        if indent is None:
            name, missing = ".".join(section), ".".join(location[depth:])
            raise UserError(f"{name} in line {key.line} is written on one line; add {missing}: {value}")
        added = [line.removeprefix(_INDENT * depth) for line in new_lines[depth:]]
        lines[key.line : key.line] = [indent + line for line in added]
        return "".join(lines)
    return "".join([*lines, *new_lines])


def _open_section(document: Document, lines: list[str], section: Location) -> str | None:
    """Remove `{}` behind a section's name; return the indent of its fields, None if they are on the same line."""
    key, fields = document.keys[section], _value_at(document, section)
    if fields:
        first = document.keys[*section, next(iter(fields))]
        return None if first.line == key.line else lines[first.line - 1][: first.column - 1]
    line = lines[key.line - 1]
    lines[key.line - 1] = _EMPTY_SECTION.sub("", line)
    return None if lines[key.line - 1] == line else " " * (key.column - 1) + _INDENT


def _replace(path: Path, content: bytes) -> None:
    """Replace the file atomically: a service that starts meanwhile reads either the old or the new content."""
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
