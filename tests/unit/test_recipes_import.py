"""The recipes run where nobody looks for months: what they import must exist."""

import ast
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RECIPES = sorted(
    path for folder in ("services", "shared") for path in ROOT.glob(f"{folder}/*/recipe/*.py") if path.name[0] != "_"
)
OF_A_RECIPE_ALONE = {
    "ctranslate2",
    "safetensors",
    "scipy",
    "sentencepiece",
    "sklearn",
    "torch",
    "wordfreq",
    "sacrebleu",
}
"""What an extra of a recipe installs."""


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: f"{path.parts[-3]}/{path.name}")
def test_everything_that_a_recipe_imports_exists(recipe: Path) -> None:
    missing = [name for name in imported(recipe) if not exists(name)]
    assert not missing


def test_there_are_recipes() -> None:
    assert len(RECIPES) > 20


def imported(module: Path) -> set[str]:
    """Return the absolute names that a module imports."""
    found = set()
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
    return found


def exists(name: str) -> bool:
    """Return whether a module can be imported, or an extra installs it."""
    top = name.partition(".")[0]
    if top in sys.stdlib_module_names or top in OF_A_RECIPE_ALONE:
        return True
    if top in {"services", "shared"}:
        return (ROOT / f"{name.replace('.', '/')}.py").exists() or (ROOT / name.replace(".", "/")).is_dir()
    return find_spec(top) is not None
