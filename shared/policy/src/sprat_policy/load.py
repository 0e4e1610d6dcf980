"""Read a policy file, with errors that name file, line, column, field, what is wrong and what to do."""

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from sprat.errors import UserError
from sprat_policy.privacy_rules import Section
from sprat_policy.rules import Policy
from sprat_policy.yaml_document import Document, Location, Place, UnreadableYamlError, read_yaml

MAX_BYTES = 256 * 1024
"""About 3,000 tenants; more is a mistake, and PyYAML would take seconds over it."""
_BY_NAME = (dict, Mapping)
_MAX_PROBLEMS = 5
_MAX_SHOWN = 40
_IN_WORDS = {
    "model_type": "not a section with fields below it",
    "dict_type": "not a section with fields below it",
    "tuple_type": "not a list",
    "string_pattern_mismatch": "not of the form expected",
}
"""pydantic's errors that speak of Python, or in regular expressions, instead of the file."""


def load_policy(path: Path | str) -> Policy:
    """Read the policy file.

    Raises:
        UserError: one line for each problem, at most five, as `policy.yaml:7:15: tenants.acme-bank.frontier: …`.
    """
    return policy_of(_read(Path(path)), path)


def policy_of(raw: bytes, path: Path | str) -> Policy:
    """Read what stands in a policy file, or is to stand there; `path` is for the errors.

    Raises:
        UserError: as :func:`load_policy`.
    """
    text = _decoded(raw, path)
    try:
        document = read_yaml(text)
    except UnreadableYamlError as error:
        raise UserError(_line(path, error.place, error.problem)) from None
    if document.data is None:
        raise UserError(f"{path}: the file is empty; it needs the sections {_known(Policy)}")
    try:
        return Policy.model_validate(document.data)
    except ValidationError as error:
        problems = error.errors(include_url=False)
    lines = [_told(path, document, problem) for problem in problems[:_MAX_PROBLEMS]]
    if len(problems) > _MAX_PROBLEMS:
        lines.append(f"{path}: and {len(problems) - _MAX_PROBLEMS} more")
    raise UserError("\n".join(lines))


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise UserError(f"{path}: no such policy file; give the path of one, as compose/policy.yaml") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}; give the path of a policy file") from None


def _decoded(raw: bytes, path: Path | str) -> str:
    if len(raw) > MAX_BYTES:
        raise UserError(f"{path}: larger than {MAX_BYTES // 1024} KiB; that is no policy file, give the path of one")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The offset counts without the byte order mark; it is only in a first line, where its width does not matter.
        before = raw[: error.start]
        place = Place(before.count(b"\n") + 1, error.start - before.rfind(b"\n"))
        raise UserError(_line(path, place, "not UTF-8; save the file as UTF-8")) from None


def _told(path: Path | str, document: Document, problem: ErrorDetails) -> str:
    """Say one problem in a line."""
    location: Location = tuple(step for step in problem["loc"] if step != "[key]")
    standing = location
    while standing not in document.values:
        standing = standing[:-1]
    place = document.values[standing]
    if problem["type"] in ("extra_forbidden", "no_region") or "[key]" in problem["loc"]:
        place = document.keys.get(standing, place)
    name = ".".join(str(step) for step in location) or "the file"
    return _line(path, place, f"{name}: {_wrong(problem, location)}")


def _wrong(problem: ErrorDetails, location: Location) -> str:
    """Say what is wrong and what is expected instead."""
    if problem["type"] == "no_region":
        return problem["msg"]
    section, field = _declared(location)
    said = _IN_WORDS.get(problem["type"]) or problem["msg"][:1].lower() + problem["msg"][1:]
    if "[key]" in problem["loc"]:
        return f"{said}; expected: {_name_expected(location)}"
    if problem["type"] == "extra_forbidden" and section is not None:
        close = get_close_matches(str(location[-1]), section.model_fields, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        return f"no such field; {hint}known here: {_known(section)}"
    found = f"{_shown(problem['input'])}: " if isinstance(problem["input"], str) else ""
    expected = field.description if field is not None else f"the fields {_known(section)}" if section else ""
    return f"{found}{said}; expected: {expected}" if expected else f"{found}{said}"


def _name_expected(location: Location) -> str:
    """Say what a name that the owner chooses, as that of a tenant, has to be like."""
    _, field = _declared(location[:-1])
    kind: Any = get_args(field.annotation)[0] if field is not None else str
    said = (each.description for each in getattr(kind, "__metadata__", ()) if isinstance(each, FieldInfo))
    return next(filter(None, said), "a name")


def _declared(location: Location) -> tuple[type[Section] | None, FieldInfo | None]:
    """Give the section that a place in the file belongs to and the field of it, as far as there is one."""
    section: type[Section] | None = Policy
    field: FieldInfo | None = None
    named = False  # the next step is a name that the owner chose, as that of a tenant
    for depth, step in enumerate(location):
        if named:
            section, field, named = _section_of(field), None, False
        elif section is not None:
            field = section.model_fields.get(str(step)) if isinstance(step, str) else field
            named = field is not None and get_origin(field.annotation) in _BY_NAME
            if depth < len(location) - 1 and not named:
                section = _section_of(field)
    return section, field


def _section_of(field: FieldInfo | None) -> type[Section] | None:
    """Give the section that a field holds, alone, a list of, or under names."""
    kind: Any = field.annotation if field is not None else None
    if get_origin(kind) is tuple:
        kind = get_args(kind)[0]
    elif get_origin(kind) in _BY_NAME:
        kind = get_args(kind)[1]
    return kind if isinstance(kind, type) and issubclass(kind, Section) else None


def _known(section: type[BaseModel]) -> str:
    return ", ".join(section.model_fields)


def _shown(value: str) -> str:
    return repr(value if len(value) <= _MAX_SHOWN else value[:_MAX_SHOWN] + "…")


def _line(path: Path | str, place: Place, problem: str) -> str:
    return f"{path}:{place.line}:{place.column}: {problem}"
