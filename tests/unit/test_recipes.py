"""Recipes run rarely, and some need torch: their imports and commands are checked without running them."""

import ast
import json
import re
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

from recipes.ner import make

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [ROOT, *ROOT.glob("shared/*/src"), *ROOT.glob("services/*/src"), ROOT / "contracts/src"]
RECIPES = sorted(ROOT.glob("recipes/*/*.py"))
OURS = ("recipes.", "sprat")
PAGES = [ROOT / "Makefile", *ROOT.glob("recipes/**/README.md")]
NAMES = {"scikit-learn": "sklearn"}
"""A distribution's package, where it has another name."""
INSTALLED_FOR_RECIPES = {
    NAMES.get(name, name)
    for name in re.findall(r"^[\w-]+", (ROOT / "recipes/requirements.txt").read_text("utf-8"), re.MULTILINE)
}


def path_of(module: str) -> Path | None:
    relative = Path(*module.split("."))
    paths = [source / path for source in SOURCES for path in (relative.with_suffix(".py"), relative / "__init__.py")]
    paths += [source / relative for source in SOURCES]  # a folder without __init__.py
    return next((path for path in paths if path.exists()), None)


def can_be_installed(package: str) -> bool:
    return package in sys.stdlib_module_names | INSTALLED_FOR_RECIPES or find_spec(package) is not None


def names_in(path: Path) -> set[str]:
    if path.is_dir():
        return {each.stem for each in path.iterdir()}
    names = {each.stem for each in path.parent.iterdir()} if path.name == "__init__.py" else set()
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
        else:
            names |= {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
    return names


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_recipe_imports_exists(recipe: Path) -> None:
    nodes = [*ast.walk(ast.parse(recipe.read_text("utf-8")))]
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    missing = [name for name in names if not can_be_installed(name.partition(".")[0])]
    missing += [
        f"{node.module}.{alias.name}"
        for node in nodes
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(OURS)
        for alias in node.names
        if (path := path_of(node.module or "")) is None or alias.name not in names_in(path)
    ]
    assert missing == []


def test_the_commands_in_makefile_and_readmes_name_modules_that_exist() -> None:
    commands = {
        module
        for page in PAGES
        for module in re.findall(r"(?:python|\$\(PYTHON\)) -m ((?:recipes|tests)\.[\w.]+)", page.read_text("utf-8"))
    }
    assert len(commands) > 5
    assert len(RECIPES) > 20
    assert [module for module in sorted(commands) if path_of(module) is None] == []


@pytest.mark.parametrize("module", ["train", "build"])
def test_the_ner_recipe_runs_its_stages_as_modules(module: str) -> None:
    _, flag, name, *arguments = make.command(module, "--work", Path("w"))
    assert (flag, arguments) == ("-m", ["--work", "w"])
    assert path_of(name) == ROOT / f"recipes/ner/{module}.py"


@pytest.mark.parametrize(
    ("recipe", "card"),
    [
        ("classify", "services/classify/src/sprat_classify/artefacts/pii"),
        ("encoder", "shared/encoder/src/sprat_encoder/artefacts/e5-small"),
        ("intent", "services/intent/src/sprat_intent/artefacts/default"),
        ("language_id", "services/language-id/src/sprat_language_id/artefacts/default"),
        ("ner", "services/ner/src/sprat_ner/artefacts/default"),
        ("privacy", "shared/privacy/src/sprat_privacy/artefacts/rampart"),
        ("translation", "services/translation/src/sprat_translation/artefacts/en-de"),
    ],
)
def test_the_texts_of_a_recipe_are_those_of_the_committed_card(recipe: str, card: str) -> None:
    texts = tomllib.loads((ROOT / "recipes" / recipe / "card.toml").read_text("utf-8"))
    committed = json.loads((ROOT / card / "card.json").read_text("utf-8"))
    names = {each["name"] for each in committed["made_of"]}
    assert {each["name"] for each in texts.get("made_of", [])} <= names
    said = [re.escape(text) for text in texts["limits"]]
    patterns = [re.compile(re.sub(r"\\\{[^}]*\\\}", ".+", text)) for text in said]
    assert [each.pattern for each in patterns if not any(map(each.fullmatch, committed["limits"]))] == []
