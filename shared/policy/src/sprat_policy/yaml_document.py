"""Read a safe subset of YAML as plain data, with the line and column of every value.

Every scalar stays a string (so a tenant `no` is not a boolean). Repeated keys, anchors, aliases, tags, deep nesting and
further documents are errors.
"""

from dataclasses import dataclass
from typing import Any

import yaml
from yaml.error import MarkedYAMLError
from yaml.events import AliasEvent, NodeEvent
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.reader import ReaderError

MAX_DEPTH = 16

Step = str | int
Location = tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """A position in a file; both count from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Document:
    """The data of a file and the place of every key and value."""

    data: Any
    """Dictionaries, lists and strings; None if the file is empty."""
    keys: dict[Location, Place]
    values: dict[Location, Place]


class UnreadableYamlError(ValueError):
    """The text is not YAML, or uses more of it than is supported; has the place and the problem."""

    def __init__(self, place: Place, problem: str) -> None:
        super().__init__(problem)
        self.place = place
        self.problem = problem


def read_yaml(text: str) -> Document:
    """Read one document.

    Raises:
        UnreadableYamlError: with the place and the problem.
    """
    document = Document(None, {}, {})
    try:
        loader = _Loader(text)
    except ReaderError as error:
        line_start = text.rfind("\n", 0, error.position) + 1
        place = Place(text.count("\n", 0, error.position) + 1, error.position - line_start + 1)
        raise UnreadableYamlError(place, "a control character; remove it") from None
    try:
        root = loader.get_single_node()
    except MarkedYAMLError as error:
        raise UnreadableYamlError(_place(error.problem_mark), _problem(error)) from None
    finally:
        loader.dispose()
    return document if root is None else Document(_plain(root, (), document), document.keys, document.values)


def _problem(error: MarkedYAMLError) -> str:
    hint = "; indent with spaces" if "'\\t'" in str(error.problem) else ""
    return ": ".join(part for part in (error.context, error.problem) if part) + hint


class _Loader(yaml.SafeLoader):
    """Refuses unsupported YAML before anything is built from it."""

    depth = 0

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]  # PyYAML's stubs leave the parser untyped
        if isinstance(event, AliasEvent) or (isinstance(event, NodeEvent) and event.anchor is not None):
            raise UnreadableYamlError(_place(event.start_mark), "anchors and aliases are not read; write it out")
        if getattr(event, "tag", None) is not None:
            raise UnreadableYamlError(_place(event.start_mark), "tags are not read; remove it")
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise UnreadableYamlError(_place(event.start_mark), f"nested deeper than {MAX_DEPTH} levels")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _plain(node: Node, location: Location, document: Document) -> Any:
    """Return the node as plain data; add the places of all below it to `document`."""
    document.values[location] = _place(node.start_mark)
    if isinstance(node, ScalarNode):
        return node.value
    if isinstance(node, SequenceNode):
        return [_plain(item, (*location, index), document) for index, item in enumerate(node.value)]
    return _mapping(node, location, document)


def _mapping(node: Node, location: Location, document: Document) -> dict[str, Any]:
    if not isinstance(node, MappingNode):
        raise UnreadableYamlError(_place(node.start_mark), "neither a value, a list nor a section")
    plain: dict[str, Any] = {}
    for key, value in node.value:
        place = _place(key.start_mark)
        if not isinstance(key, ScalarNode):
            raise UnreadableYamlError(place, "a name is expected before the colon")
        if key.value in plain:
            first = document.keys[*location, key.value]
            raise UnreadableYamlError(place, f"{key.value!r} is there twice, first in line {first.line}; keep one")
        document.keys[*location, key.value] = place
        plain[key.value] = _plain(value, (*location, key.value), document)
    return plain


def _place(mark: Any) -> Place:
    return Place(mark.line + 1, mark.column + 1) if mark else Place(1, 1)
