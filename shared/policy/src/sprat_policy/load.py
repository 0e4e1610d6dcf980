"""Read a policy file. Errors name file, line, column, field, the problem and what to do."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from sprat.base.errors import UserError
from sprat.base.file_guard import check_writers
from sprat_contracts.signing import MIN_KEY_BYTES
from sprat_policy.door_signer import DoorSigner
from sprat_policy.rules import Policy
from sprat_policy.section import PolicySection, variable_of
from sprat_policy.source_globs import Claims
from sprat_policy.task_policy import UNION_TAGS, IntentPolicy, TaskPolicies
from sprat_policy.tenant_guard import SigningKeys, TenantGuard
from sprat_policy.yaml_document import Document, Location, Place, UnreadableYamlError, read_yaml

Root = TypeVar("Root", bound=PolicySection)

MAX_BYTES = 256 * 1024
"""About 3,000 tenants; a larger file is a mistake, and PyYAML would need seconds for it."""
_MAPPINGS = (dict, Mapping)
_MAX_PROBLEMS = 5
_MAX_SHOWN = 40
_MESSAGES = {
    "model_type": "not a section with fields below it",
    "dict_type": "not a section with fields below it",
    "tuple_type": "not a list",
    "too_long": "too many entries",
    "too_short": "no entry",
    "string_pattern_mismatch": "not of the form expected",
}
"""Type of a pydantic error → message; for errors whose own message speaks of Python or shows a regular expression."""


def load_policy(path: Path | str, tasks: Collection[str] | None = None) -> Policy:
    """Read the policy file.

    Args:
        path: the file.
        tasks: the names of all tasks of the installation; None: not known, and those of tiers are not checked.

    Raises:
        UserError: one line for each problem, at most five, as `policy.yaml:7:15: tenants.acme-bank.frontier: …`.
    """
    return _read_policy(read_file(Path(path)), path, tasks)[0]


def load_guarded_policy(
    path: Path | str, environment: Mapping[str, str], tasks: Collection[str] | None = None
) -> tuple[Policy, TenantGuard]:
    """Read the policy file, and the tenants' keys from the environment, for a service that judges texts.

    Args:
        path: the file.
        environment: the variables with the keys.
        tasks: as for :func:`load_policy`.

    Raises:
        UserError: as :func:`load_policy`, and where a variable is missing or no key; the message never has its value.
    """
    policy, document = _read_policy(read_file(Path(path)), path, tasks)
    keys = _keys(policy, environment, document, path, "signing_keys", "door_keys")
    return policy, TenantGuard(policy, keys["signing_keys"], keys["door_keys"])


def load_door_policy(
    path: Path | str, environment: Mapping[str, str], tasks: Collection[str] | None = None
) -> tuple[Policy, DoorSigner]:
    """Read the policy file, and the door's keys alone from the environment, for the HTTP door.

    Args:
        path: the file.
        environment: the variables with the keys.
        tasks: as for :func:`load_policy`.

    Raises:
        UserError: as :func:`load_guarded_policy`.
    """
    policy, document = _read_policy(read_file(Path(path)), path, tasks)
    return policy, DoorSigner(policy, _keys(policy, environment, document, path, "door_keys")["door_keys"])


def _read_policy(raw: bytes, path: Path | str, tasks: Collection[str] | None = None) -> tuple[Policy, Document]:
    policy, document = section_of(raw, path, Policy)
    unknown = () if tasks is None else _unknown_tasks(policy, tasks, document, path)
    beside = (_shared_sources, _bad_tiers, _bad_reviewers)
    _refuse(path, [*(line for check in beside for line in check(policy, document, path)), *unknown])
    return policy, document


def section_of(raw: bytes, path: Path | str, root: type[Root]) -> tuple[Root, Document]:
    """Read the content of a file as one section; `path` is named in errors.

    Raises:
        UserError: as :func:`load_policy`.
    """
    text = _decode(raw, path)
    try:
        document = read_yaml(text)
    except UnreadableYamlError as error:
        raise UserError(_line(path, error.place, error.problem)) from None
    if document.data is None:
        raise UserError(f"{path}: the file is empty; it needs the sections {_known(root)}")
    try:
        return root.model_validate(document.data), document
    except ValidationError as error:
        _refuse(path, [_describe(path, document, problem, root) for problem in error.errors(include_url=False)])
        raise


def _refuse(path: Path | str, problems: Sequence[str]) -> None:
    """Raise an error with the first problems, if there are any.

    Raises:
        UserError: a line for each.
    """
    if not problems:
        return
    more = [f"{path}: and {len(problems) - _MAX_PROBLEMS} more"] if len(problems) > _MAX_PROBLEMS else []
    raise UserError("\n".join([*problems[:_MAX_PROBLEMS], *more]))


def _shared_sources(policy: Policy, document: Document, path: Path | str) -> Iterator[str]:
    """Return a line for each source that two tenants have: either could take the other's ids."""
    for claim, other in Claims(policy.claims()).conflicts():
        location: Location = ("tenants", claim.section, claim.field, claim.place)
        line = document.values["tenants", other.section, other.field, other.place].line
        problem = (
            f"{_shorten(claim.glob)}: a source can match this and {_shorten(other.glob)} of tenant {other.section} in "
            f"line {line}; expected: sources that no other tenant has"
        )
        yield _line(path, document.values[location], f"{_dotted(location)}: {problem}")


def _bad_tiers(policy: Policy, document: Document, path: Path | str) -> Iterator[str]:
    """Return a line for each tier that does not fit the rest of the policy."""
    for place, problem in policy.tier_problems():
        location: Location = ("tiers", place)
        yield _line(path, document.values[location], f"{_dotted(location)}: {problem}")


def _bad_reviewers(policy: Policy, document: Document, path: Path | str) -> Iterator[str]:
    """Return a line for each review by somebody whom the policy does not name."""
    own = {name: getattr(policy.tasks, name) for name in TaskPolicies.model_fields}
    for name, rules in (own | dict(policy.tasks.of_files)).items():
        for below, review in rules.reviews():
            location: Location = ("tasks", name, *below, "by")
            if problem := policy.problem_of_reviewer(name, review.by):
                yield _line(path, document.values[location], f"{_dotted(location)}: {_shorten(review.by)}: {problem}")


def _unknown_tasks(policy: Policy, tasks: Collection[str], document: Document, path: Path | str) -> Iterator[str]:
    """Return a line for each task, with a section or of a tier, that the installation does not have."""
    named: list[tuple[str, Location, Place]] = [
        (name, ("tasks", name), document.keys["tasks", name]) for name in policy.tasks.of_files
    ]
    for place, tier in enumerate(policy.tiers):
        locations: list[Location] = [("tiers", place, "tasks", number) for number in range(len(tier.tasks))]
        named += [(name, each, document.values[each]) for name, each in zip(tier.tasks, locations, strict=True)]
    for name, location, at in named:
        if name not in tasks:
            matches = get_close_matches(name, tasks, n=1)
            hint = f"did you mean {matches[0]}? " if matches else ""
            yield _line(path, at, f"{_dotted(location)}: no task {name!r}; {hint}known here: {', '.join(tasks)}")


def _keys(
    policy: Policy, environment: Mapping[str, str], document: Document, path: Path | str, *fields: str
) -> Mapping[str, SigningKeys]:
    """Return the keys of all tenants, by the fields that name their variables.

    Raises:
        UserError: a line for each variable that holds none.
    """
    problems: list[str] = []
    keys: dict[str, dict[str, tuple[bytes, ...]]] = {field: {} for field in fields}
    named = [
        (section, field, place, variable_of(reference))
        for section, tenant in policy.tenants.items()
        for field in fields
        for place, reference in enumerate(getattr(tenant, field))
    ]
    for section, field, place, name in named:
        value = environment.get(name, "")
        key = value.encode("utf-8", "surrogateescape")
        others = [each for other in fields if other != field for each in keys[other].get(section, ())]
        keys[field][section] = (*keys[field].get(section, ()), key)
        problem = (
            f"the variable {name} is not set"
            if not value
            else f"the variable {name} begins or ends with white space"
            if value != value.strip()
            else f"the variable {name} has {len(key)} bytes"
            if len(key) < MIN_KEY_BYTES
            else f"the variable {name} holds a key of signing_keys, with which the door could sign for every source"
            if key in others
            else None
        )
        if problem is not None:
            location = ("tenants", section, field, place)
            expected = f"expected: a key of {MIN_KEY_BYTES} bytes or more, as `openssl rand -base64 32` makes one"
            problems.append(_line(path, document.values[location], f"{_dotted(location)}: {problem}; {expected}"))
    _refuse(path, problems)
    return keys


def read_file(path: Path) -> bytes:
    """Return the content of a policy file, or of one beside it.

    Raises:
        UserError: it cannot be read, or somebody else may have written it.
    """
    check_writers(path)
    try:
        with path.open("rb") as file:
            check_writers(path, opened=file.fileno())  # again: somebody may have put another file there since
            return file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise UserError(f"{path}: no such policy file; give the path of one, as compose/policy.yaml") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}; give the path of a policy file") from None


def _decode(raw: bytes, path: Path | str) -> str:
    if len(raw) > MAX_BYTES:
        raise UserError(f"{path}: larger than {MAX_BYTES // 1024} KiB; that is no policy file, give the path of one")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The offset does not count the byte order mark. That matters in the first line alone, and only for the column.
        before = raw[: error.start]
        place = Place(before.count(b"\n") + 1, error.start - before.rfind(b"\n"))
        raise UserError(_line(path, place, "not UTF-8; save the file as UTF-8")) from None


def _describe(path: Path | str, document: Document, problem: ErrorDetails, root: type[PolicySection]) -> str:
    """Return one line: the place in the file, the field, what is wrong and what is expected."""
    location: Location = tuple(step for step in problem["loc"] if step not in ("[key]", *UNION_TAGS))
    if problem["type"] == "section":
        location = (*location, problem["ctx"]["field"])
    present = location
    while present not in document.values:
        present = present[:-1]
    place = document.values[present]
    if problem["type"] in ("extra_forbidden", "no_region", "section") or "[key]" in problem["loc"]:
        place = document.keys.get(present, place)
    return _line(path, place, f"{_dotted(location) or 'the file'}: {_explain(problem, location, root)}")


def _dotted(location: Location) -> str:
    return ".".join(str(step) for step in location)


def _explain(problem: ErrorDetails, location: Location, root: type[PolicySection]) -> str:
    """Return what is wrong and what is expected instead."""
    if problem["type"] in ("no_region", "tier", "section"):
        return problem["msg"]
    section, field = _resolve(location, root)
    message = _MESSAGES.get(problem["type"]) or problem["msg"][:1].lower() + problem["msg"][1:]
    if "[key]" in problem["loc"]:
        return f"{message}; expected: {_expected_name(location, root)}"
    if problem["type"] == "extra_forbidden" and section is not None:
        if instead := section.replaced.get(str(location[-1])):
            return f"no such field any more; write {instead}"
        matches = get_close_matches(str(location[-1]), section.model_fields, n=1)
        hint = f"did you mean {matches[0]}? " if matches else ""
        return f"no such field; {hint}known here: {_known(section)}"
    shown = isinstance(problem["input"], str) and (field is None or field.repr)  # somebody may write a key itself there
    value = f"{_shorten(problem['input'])}: " if shown else ""
    expected = field.description if field is not None else f"the fields {_known(section)}" if section else ""
    return f"{value}{message}; expected: {expected}" if expected else f"{value}{message}"


def _expected_name(location: Location, root: type[PolicySection]) -> str:
    """Return the description of a name that the owner chooses, as that of a tenant."""
    _, field = _resolve(location[:-1], root)
    annotation: Any = get_args(field.annotation)[0] if field is not None else str
    metadata = getattr(annotation, "__metadata__", ())
    descriptions = (each.description for each in metadata if isinstance(each, FieldInfo))
    return next(filter(None, descriptions), "a name")


def _resolve(location: Location, root: type[PolicySection]) -> tuple[type[PolicySection] | None, FieldInfo | None]:
    """Return the section and the field that a location in the file belongs to, as far as they exist."""
    section: type[PolicySection] | None = root
    field: FieldInfo | None = None
    is_name = False  # the next step is a name that the owner chose, as that of a tenant
    for depth, step in enumerate(location):
        if is_name:
            section, field, is_name = _section_of(field), None, False
        elif section is not None:
            field = section.model_fields.get(str(step)) if isinstance(step, str) else field
            if field is None and issubclass(section, TaskPolicies):
                section = IntentPolicy  # of a task from a file
                continue
            is_name = field is not None and get_origin(field.annotation) in _MAPPINGS
            if depth < len(location) - 1 and not is_name:
                section = _section_of(field)
    return section, field


def _section_of(field: FieldInfo | None) -> type[PolicySection] | None:
    """Return the type of section that a field holds: one, a list of them, or one for each name."""
    return None if field is None else next(_sections_in(field.annotation), None)


def _sections_in(annotation: Any) -> Iterator[type[PolicySection]]:
    if isinstance(annotation, type) and issubclass(annotation, PolicySection):
        yield annotation
    for part in get_args(annotation):
        yield from _sections_in(part)


def _known(section: type[BaseModel]) -> str:
    return ", ".join(section.model_fields)


def _shorten(value: str) -> str:
    return repr(value if len(value) <= _MAX_SHOWN else value[:_MAX_SHOWN] + "…")


def _line(path: Path | str, place: Place, problem: str) -> str:
    return f"{path}:{place.line}:{place.column}: {problem}"
