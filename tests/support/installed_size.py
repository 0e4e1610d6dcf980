"""What installing one service brings: members of Sprat, their Python files, and distributions of third parties.

`python -m tests.support.installed_size` writes the table that tests compare with.
"""

import re
import sys
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.metadata import requires
from pathlib import Path
from typing import Any

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
TABLE = Path(__file__).with_suffix(".toml")
ACCEPT = "python -m tests.support.installed_size"
_PYTHON = {"python_version": "3.11", "python_full_version": "3.11.0"}
_HEADER = f"# What installing one service brings, without extras, on Python 3.11. Written by `{ACCEPT}`.\n"


@dataclass(frozen=True, slots=True)
class InstalledSize:
    """The size of one service's installation."""

    members: tuple[str, ...]
    """The service's own distribution among them."""
    files: int
    """Python files of the members."""
    distributions: tuple[str, ...]
    """Names of third-party distributions."""


@dataclass(frozen=True, slots=True)
class _Member:
    folder: Path
    project: dict[str, Any]

    def extras(self) -> list[str]:
        return list(self.project.get("optional-dependencies", {}))

    def requirements(self, extra: str = "") -> list[str]:
        """Return what an extra requires; without one, what every installation requires."""
        if not extra:
            return list(self.project.get("dependencies", []))
        return list(self.project.get("optional-dependencies", {}).get(extra, []))

    def python_files(self) -> list[Path]:
        return list((self.folder / "src").rglob("*.py"))


@cache
def members() -> dict[str, _Member]:
    """Return the members of the workspace by the names of their distributions."""
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["uv"]["workspace"]["members"]
    files = sorted(file for pattern in patterns for file in ROOT.glob(f"{pattern}/pyproject.toml"))
    found = [_Member(file.parent, tomllib.loads(file.read_text("utf-8"))["project"]) for file in files]
    return {canonicalize_name(member.project["name"]): member for member in found}


def services() -> list[str]:
    """Return the distributions of the services."""
    return [name for name, member in members().items() if member.folder.parent == ROOT / "services"]


def installed_size(name: str, *extras: str) -> InstalledSize:
    """Return what installing a member brings: members as their sources declare it, others as they are installed here.

    Args:
        name: the member's distribution.
        extras: of it that are installed, too.

    Raises:
        PackageNotFoundError: a required distribution is not installed here.
    """
    environment: dict[str, Any] = {**default_environment(), **_PYTHON}
    visited: set[tuple[str, str]] = set()
    waiting = [(canonicalize_name(name), extra) for extra in ("", *extras)]
    while waiting:
        wanted = waiting.pop()
        if wanted in visited:
            continue
        visited.add(wanted)
        name, extra = wanted
        member = members().get(name)
        for line in member.requirements(extra) if member else requires(name) or []:
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({**environment, "extra": extra}):
                waiting += [(canonicalize_name(requirement.name), each) for each in ("", *requirement.extras)]
    names = {name for name, _ in visited}
    own = sorted(names & members().keys())
    files = sum(len(members()[each].python_files()) for each in own)
    return InstalledSize(tuple(own), files, tuple(sorted(names - members().keys())))


def read_table() -> dict[str, InstalledSize]:
    """Return the committed sizes, by service."""
    table = tomllib.loads(TABLE.read_text("utf-8"))
    return {
        name: InstalledSize(tuple(size["members"]), size["files"], tuple(size["distributions"]))
        for name, size in table.items()
    }


def growth(committed: InstalledSize, current: InstalledSize, tolerance: float = 0.05) -> list[str]:
    """Return one line for each difference that someone has to accept.

    Members and distributions are compared exactly. Files may become fewer, or more by `tolerance`.
    """
    found = []
    for kind, before, after in (
        ("member", committed.members, current.members),
        ("distribution", committed.distributions, current.distributions),
    ):
        found += [f"new {kind}: {name}" for name in sorted(set(after) - set(before))]
        found += [f"{kind} no longer installed: {name}" for name in sorted(set(before) - set(after))]
    if current.files > committed.files * (1 + tolerance):
        found.append(f"Python files of Sprat: {committed.files} → {current.files}")
    return found


def _array(names: tuple[str, ...]) -> str:
    return "[\n" + "".join(f'    "{name}",\n' for name in names) + "]"


def main() -> int:
    """Write the table and print its figures."""
    parts = [_HEADER]
    for name in services():
        size = installed_size(name)
        parts.append(
            f"\n[{name}]\nmembers = {_array(size.members)}\nfiles = {size.files}\n"
            f"distributions = {_array(size.distributions)}\n"
        )
        files = [file for each in size.members for file in members()[each].python_files()]
        lines = sum(len(re.findall(r"\n", file.read_text("utf-8"))) for file in files)
        sys.stdout.write(
            f"{name}: {len(size.members)} members, {size.files} files, {lines} lines, "
            f"{len(size.distributions)} distributions\n"
        )
    TABLE.write_text("".join(parts), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
