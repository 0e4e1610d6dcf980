"""What the package exports, and that every field says what it means."""

import ast
import importlib
import pkgutil
import sys
from pathlib import Path
from typing import Any

import pytest

import sprat_contracts
from sprat_contracts import Message, Topics
from sprat_contracts.base import Part

MESSAGES = tuple(dict.fromkeys(topic.message for topic in Topics().table() if topic.message is not None))


def test_all_is_sorted_and_holds() -> None:
    exported = sprat_contracts.__all__
    constants = [name for name in exported if name.isupper()]
    classes = [name for name in exported if name[0].isupper() and not name.isupper()]
    functions = [name for name in exported if name[0].islower()]
    assert exported == sorted(constants) + sorted(classes) + sorted(functions)
    assert [name for name in exported if not hasattr(sprat_contracts, name)] == []


def test_all_holds_every_public_name_of_the_package() -> None:
    public = {name for name in vars(sprat_contracts) if not name.startswith("_")}
    modules = {module.name for module in pkgutil.iter_modules(sprat_contracts.__path__)}
    assert public - modules == set(sprat_contracts.__all__)


def test_every_part_of_every_message_is_exported() -> None:
    for module in pkgutil.iter_modules(sprat_contracts.__path__):
        importlib.import_module(f"sprat_contracts.{module.name}")
    parts = {part.__name__ for part in _below(Part) if part.__module__.startswith("sprat_contracts")}
    assert {name for name in parts if not name.startswith("_")} <= set(sprat_contracts.__all__)


def _below(part: type[Part]) -> set[type[Part]]:
    return {below for sub in part.__subclasses__() for below in (sub, *_below(sub))}


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.__name__)
def test_every_field_says_what_it_means(message: type[Message]) -> None:
    schema = message.model_json_schema()
    definitions: dict[str, Any] = {message.__name__: schema} | schema.get("$defs", {})
    silent = [
        f"{name}.{field}"
        for name, definition in definitions.items()
        for field, about in definition["properties"].items()
        if "description" not in about and not _described(about, definitions)
    ]
    assert silent == []
    assert all(definition["description"] for definition in definitions.values())


def _described(about: dict[str, Any], definitions: dict[str, Any]) -> bool:
    """Say whether a field shows the description of its part: pydantic leaves out one that is the same."""
    return "$ref" in about and "description" in definitions[about["$ref"].removeprefix("#/$defs/")]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.__name__)
def test_messages_are_frozen_and_keep_what_they_do_not_know(message: type[Message]) -> None:
    assert message.model_config["frozen"]
    assert message.model_config["extra"] == "allow"
    assert message.model_config["hide_input_in_errors"]


def test_every_message_has_its_own_type() -> None:
    types = [message.event_type for message in MESSAGES]
    assert len(set(types)) == len(types) == 11
    assert all(name.startswith("dev.sprat.") and name.endswith(".v1") for name in types)


def test_the_contracts_import_pydantic_and_nothing_else_that_is_not_pythons_own() -> None:
    allowed = {*sys.stdlib_module_names, "pydantic", "pydantic_core", "sprat_contracts"}
    for path in Path(sprat_contracts.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert {name.partition(".")[0] for name in names} <= allowed, path.name
