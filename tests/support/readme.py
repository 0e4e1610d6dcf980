"""The README as data: its programs by name, its rows of settings; and the settings as the code has them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic_core import PydanticUndefined

from sprat_frontier.__main__ import FrontierServiceSettings
from sprat_intent.__main__ import IntentSettings
from sprat_ner.__main__ import NerSettings
from sprat_router.__main__ import RouterSettings
from sprat_translation.__main__ import TranslationSettings

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
SETTINGS = ROOT / "docs" / "settings.md"
REQUIRED = "required"

_PROGRAM = re.compile(r"<!-- test: (?P<name>[\w-]+) -->\n```\w+\n(?P<code>.*?)^```$", re.DOTALL | re.MULTILINE)
_ROW = re.compile(r"^\| `(?P<name>SPRAT_\w+)` \| (?P<default>[^|]+) \| ", re.MULTILINE)


def programs() -> dict[str, str]:
    """Give every program that is marked for testing, by its name."""
    return {found["name"]: found["code"] for found in _PROGRAM.finditer(README.read_text("utf-8"))}


def commands(program: str) -> list[str]:
    """Give the command lines of a console program."""
    return [line.removeprefix("$ ") for line in program.splitlines() if line.startswith("$ ")]


def told_settings(page: Path) -> list[tuple[str, str]]:
    """Give the rows of a page's tables of settings: variable and default."""
    return [(row["name"], row["default"].strip().strip("`")) for row in _ROW.finditer(page.read_text("utf-8"))]


def settings() -> dict[str, str]:
    """Give every variable that a service reads, with its default as the pages write it."""
    found: dict[str, str] = {}
    for service in (RouterSettings, IntentSettings, NerSettings, TranslationSettings, FrontierServiceSettings):
        found |= dict(_variables(service, "SPRAT_"))
    return found


def _variables(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, str]]:
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _variables(kind, f"{prefix}{name.upper()}__")
        else:
            yield f"{prefix}{name.upper()}", _told(field.get_default(call_default_factory=True))


def _told(default: Any) -> str:
    if default is PydanticUndefined:
        return REQUIRED
    if default is None or default == ():
        return "–"
    if isinstance(default, SecretStr):
        return default.get_secret_value()
    return default.name if isinstance(default, Path) else str(default)
