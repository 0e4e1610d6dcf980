"""The texts of logs and errors that the page of failure modes quotes are those that the services write."""

import ast
import re
from functools import cache

import pytest

from support.readme import DOCS, ROOT

LINK = re.compile(r"\[[^\]]+\]\([^)]+\)")
PAGE = LINK.sub("", (DOCS / "failure-modes.md").read_text("utf-8"))
TEXT = re.compile(r"`([^`]+)`|\"([^\"]+)\"")
FIELD = re.compile(r"[\w.]+: \w+")
"""A quoted field of a message, such as `cached: false`."""
PLACEHOLDER = re.compile(r"%(?:\.\d+)?[sdf]")
QUOTED = [text for found in TEXT.finditer(PAGE) if " " in (text := found[1] or found[2]) and not FIELD.fullmatch(text)]


@cache
def literals() -> tuple[str, ...]:
    """Return every text in the sources, with … for a placeholder and without backticks; no docstrings."""
    sources = [*ROOT.glob("shared/*/src/**/*.py"), *ROOT.glob("services/*/src/**/*.py")]
    return tuple(
        PLACEHOLDER.sub("…", text).replace("`", "")
        for source in sources
        for text in texts(ast.parse(source.read_text("utf-8")))
    )


def texts(tree: ast.Module) -> list[str]:
    docstrings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            found.append("".join(str(each.value) if isinstance(each, ast.Constant) else "…" for each in node.values))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in docstrings:
            found.append(node.value)
    return found


def test_the_page_quotes_texts() -> None:
    assert len(QUOTED) >= 8


@pytest.mark.parametrize("text", QUOTED)
def test_a_quoted_text_is_in_the_sources(text: str) -> None:
    assert [each for each in literals() if text.removesuffix(" …") in each] != []
