"""Every member of the workspace declares the distributions that its source imports."""

import ast
import re
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from support.sources import ROOT, tree

MEMBERS = [
    folder
    for pattern in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]["workspace"]["members"]
    for folder in sorted(ROOT.glob(pattern))
    if (folder / "pyproject.toml").is_file()
]
installed = cache(packages_distributions)  # it reads the metadata of every installed distribution


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(member: Path) -> set[str]:
    """Return the distributions that a member names, in its dependencies or an extra, and its own."""
    project = tomllib.loads((member / "pyproject.toml").read_text())["project"]
    extras = project.get("optional-dependencies", {}).values()
    wanted = [*project.get("dependencies", []), *(each for extra in extras for each in extra)]
    names = [re.match(r"[A-Za-z0-9._-]+", each) for each in wanted]
    return {normalised(name[0]) for name in names if name} | {normalised(project["name"])}


def imported(member: Path) -> dict[str, Path]:
    """Return each top-level package that a member's source imports, and one file that does."""
    found: dict[str, Path] = {}
    for path in sorted((member / "src").rglob("*.py")):
        for node in ast.walk(tree(path)):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [each.name for each in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            found |= {name.partition(".")[0]: path for name in names}
    return found


def test_the_workspace_has_members():
    assert len(MEMBERS) > 5


@pytest.mark.parametrize("member", MEMBERS, ids=lambda member: str(member.relative_to(ROOT)))
def test_a_member_declares_what_it_imports(member):
    distributions = installed()
    names = declared(member)
    own = {path.name for path in (member / "src").iterdir()}
    missing = {
        package: str(path.relative_to(ROOT))
        for package, path in imported(member).items()
        if package not in own | sys.stdlib_module_names
        and not {normalised(each) for each in distributions.get(package, [package])} & names
    }
    assert missing == {}
