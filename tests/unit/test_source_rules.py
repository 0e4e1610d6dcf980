"""Rules that all sources keep: one meaning of a name, imperative docstrings, and no hidden imports."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from support.sources import ROOT, sources, text, tree

SOURCES = sources("contracts/src", *(str(path.relative_to(ROOT)) for path in sorted(ROOT.glob("s[eh]*/*/src"))))
TOOLS = sources(*(f"shared/{member}/src" for member in ("training", "operations", "cli", "local")))
SERVICES = sorted(path.name for path in ROOT.glob("services/*/src/sprat_*"))

VAGUE_VERB = r"(?:Give|Tell|Say)s?\b(?! up\b)|(?:Look|Mind|Know)s?\b(?! up\b)|Makes? known\b"
"""Openings of a docstring that do not name what is returned, read or raised. "Look up" and "Give up" do."""

PRIVATE_USERS = ("bounded_records", "fetch_pace", "fetch_sessions", "group_coordinator", "requests")
COMPAT = {f"shared/chassis/src/sprat/kafka/{module}.py" for module in PRIVATE_USERS}
PRIVATE_MODULES = ("aiokafka.protocol", "aiokafka.coordinator", "aiokafka.consumer.fetcher", "aiokafka.record")
STICKY_ASSIGNOR = "aiokafka.coordinator.assignors.sticky.sticky_assignor.StickyPartitionAssignor"
"""A value of the public option `partition_assignment_strategy`; aiokafka exports it nowhere else."""

OLD_CLASSES = (
    "Answering|Bought|Case|Chassis|FaultLimit|Flight|FlightLoop|Flights|Found|Gate|Given|Held|Item|LookBack|Meant|"
    "Overheard|Patience|Seen|Told|Wish"
)
OLD_FUNCTIONS = "group_start|let_go|mend|patiently|told"
OLD_MODULES = (
    "admin|announcing|answering|assessing|benching|beside|carding|crossing|declaration|delivery|given|group_start|"
    "kinds|labelled|let_go|lines|looking|operating|original|patience|perimeter|plain|reading|stand_ins|steps|suspects|"
    "telling|tolerant_records|withdrawal|withdrawn"
)
"""Names that readers had to decode; each now has the field's term (retry_until, release, ConcurrentLoop ...)."""


def place(path: Path, node: ast.stmt | ast.expr | None = None) -> str:
    """Return where something is in the repository."""
    return f"{path.relative_to(ROOT)}:{node.lineno}" if node else str(path.relative_to(ROOT))


def with_match(paths: list[Path], pattern: str) -> Iterator[Path]:
    """Yield the files that a pattern matches: parsing only these saves a second."""
    regex = re.compile(pattern, re.MULTILINE)
    return (path for path in paths if regex.search(text(path)))


def definitions(path: Path) -> Iterator[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield the classes, functions and methods of a file."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def kafka_imports(path: Path) -> Iterator[str]:
    """Yield the full names that a file imports from aiokafka and FastStream."""
    yield from re.findall(r"^ *import ((?:aiokafka|faststream)[\w.]*)", text(path), re.MULTILINE)
    several = r"^ *from ((?:aiokafka|faststream)[\w.]*) import (\([^)]*\)|.*)"
    for module, names in re.findall(several, text(path), re.MULTILINE):
        yield from (f"{module}.{name}" for name in re.findall(r"\w+", names))


def is_private(name: str) -> bool:
    """Return whether an import takes what aiokafka or FastStream may change in any version."""
    if name == STICKY_ASSIGNOR or not name.startswith(("aiokafka.", "faststream.")):
        return False
    return "._" in name or any(f"{name}.".startswith(f"{module}.") for module in PRIVATE_MODULES)


def test_the_rules_see_all_members() -> None:
    assert {path.relative_to(ROOT).parts[:2] for path in SOURCES} == {
        ("contracts", "src"),
        *(path.relative_to(ROOT).parts[:2] for path in ROOT.glob("s[eh]*/*/pyproject.toml")),
    }
    assert len({path.relative_to(ROOT).parts[1] for path in TOOLS}) == 4
    assert {"sprat_intent", "sprat_router"} <= {*SERVICES}


def test_one_class_name_means_one_thing() -> None:
    places = defaultdict(list)
    for path in SOURCES:
        for name in re.findall(r"^ *class (\w+)[:(\[]", text(path), re.MULTILINE):
            places[name].append(place(path))
    assert len(places) > 200
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_a_docstring_starts_with_what_is_returned_or_done() -> None:
    vague = [
        f"{place(path, node)} {node.name}"
        for path in with_match(SOURCES, rf'"""\s*(?:{VAGUE_VERB})')
        for node in definitions(path)
        if re.match(VAGUE_VERB, ast.get_docstring(node) or "")
    ]
    assert vague == []


def test_no_tool_names_the_module_of_a_service() -> None:
    """A tool finds services through entry points: a path in a string is an import that no checker sees."""
    module = rf"\b(?:{'|'.join(SERVICES)})\b"
    named = [
        f"{place(path, node)} {node.value!r}"
        for path in with_match(TOOLS, module)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.search(module, node.value)
    ]
    assert named == []


def test_only_modules_for_it_import_the_private_parts_of_the_kafka_libraries() -> None:
    private = {place(path): name for path in SOURCES for name in kafka_imports(path) if is_private(name)}
    assert private.keys() == COMPAT, "the rule does not see the imports"


def test_old_names_do_not_come_back() -> None:
    definition = re.compile(rf"^ *(?:class _?(?:{OLD_CLASSES})|(?:async )?def _?(?:{OLD_FUNCTIONS}))\b", re.MULTILINE)
    assert [f"{place(path)}: {each}" for path in SOURCES for each in definition.findall(text(path))] == []
    module = re.compile(rf"/_?(?:{OLD_MODULES})(?:\.py|/)")
    assert [place(path) for path in SOURCES if module.search(place(path))] == []
