"""The repository's Python sources as syntax trees, for tests of rules that every source keeps."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def sources(*folders: str) -> list[Path]:
    """Return the Python files below these folders of the repository."""
    return [path for folder in folders for path in _files(folder)]


@cache
def _files(folder: str) -> tuple[Path, ...]:
    return tuple(path for path in sorted((ROOT / folder).rglob("*.py")) if ".venv" not in path.parts)


@cache
def tree(path: Path) -> ast.Module:
    """Return the syntax tree of a file."""
    return ast.parse(path.read_text("utf-8"))


@cache
def text(path: Path) -> str:
    """Return the text of a file."""
    return path.read_text("utf-8")


def calls(path: Path, *names: str) -> Iterator[ast.Call]:
    """Return the calls of functions or classes with these names, however they were imported."""
    if not any(f"{name}(" in text(path) for name in names):  # most files have none: parsing them all takes seconds
        return
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", None)) in names:
            yield node
