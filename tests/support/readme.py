"""The documentation as data: pages, programs by name and rows of settings; and the settings as the code has them."""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic_core import PydanticUndefined

from sprat.base import plugins
from sprat_contracts import TASKS
from sprat_frontier.__main__ import FrontierServiceSettings
from sprat_gateway.settings import GatewaySettings
from sprat_router.__main__ import RouterSettings
from sprat_simulator.settings import SimulatorSettings

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
DOCS = ROOT / "docs"
CONFIGURATION = DOCS / "configuration.md"
PAGES = (*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md")))
"""The README and its neighbours, and the pages of the site; not the READMEs of packages and recipes."""
REQUIRED = "required"

_PROGRAM = re.compile(r"<!-- test: (?P<name>[\w-]+) -->\n```\w+\n(?P<code>.*?)^```$", re.DOTALL | re.MULTILINE)
_BLOCK = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_ROW = re.compile(r"^\| `(?P<name>SPRAT_\w+)` \| (?P<default>[^|]+) \| ", re.MULTILINE)


def programs() -> dict[str, str]:
    """Return every program of all pages that is marked for testing, by its name; a name stands for one program."""
    found = [each for page in PAGES for each in _PROGRAM.finditer(page.read_text("utf-8"))]
    by_name = {each["name"]: each["code"] for each in found}
    assert len(by_name) == len(found), "two programs have the same name"
    return by_name


def section(page: Path, title: str) -> str:
    """Return the text below a heading, up to the next heading of the same or a higher level."""
    text = page.read_text("utf-8")
    outline = without_code(text)
    found = re.search(rf"^(#+) {re.escape(title)}\n", outline, re.MULTILINE)
    assert found, f"{page.name} has no heading {title!r}"
    end = re.compile(rf"^#{{1,{len(found[1])}}} ", re.MULTILINE).search(outline, found.end())
    return text[found.end() : end.start() if end else None]


def without_code(text: str) -> str:
    """Return the text with its code blocks blanked, every character in its old place."""
    return _BLOCK.sub(lambda block: re.sub(r"[^\n]", " ", block[0]), text)


def commands(program: str) -> list[str]:
    """Return the command lines of a console program."""
    return [line.removeprefix("$ ") for line in program.splitlines() if line.startswith("$ ")]


def documented_settings(page: Path) -> list[tuple[str, str]]:
    """Return the rows of a page's tables of settings: variable and default."""
    return [(row["name"], row["default"].strip().strip("`")) for row in _ROW.finditer(page.read_text("utf-8"))]


@cache
def settings() -> dict[str, str]:
    """Return every variable that a service reads, with its default as the pages write it."""
    found: dict[str, str] = {}
    for service in (
        GatewaySettings,  # what others require, it can do without
        RouterSettings,
        *(plugins.load_specialist(name).settings for name in (*TASKS, "classify")),
        FrontierServiceSettings,
    ):
        found |= dict(_variables(service, "SPRAT_"))
    return found | dict(_variables(SimulatorSettings, "SPRAT_SIMULATOR_"))


def _variables(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, str]]:
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _variables(kind, f"{prefix}{name.upper()}__")
        else:
            yield f"{prefix}{name.upper()}", _written(field.get_default(call_default_factory=True))


def _written(default: Any) -> str:
    if default is PydanticUndefined:
        return REQUIRED
    if default is None or default == ():
        return "–"
    if isinstance(default, tuple):
        return json.dumps(default)
    if isinstance(default, SecretStr):
        return default.get_secret_value()
    return default.name if isinstance(default, Path) else str(default)
