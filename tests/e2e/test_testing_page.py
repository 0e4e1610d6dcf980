"""`sprat-testing` as its page and its example show it, run by their own commands."""

import inspect
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sprat_testing import Sprat
from support.readme import ROOT, commands, programs

EXAMPLE = ROOT / "examples" / "consumer-tests"


def run(command: list[str], folder: Path) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        command, cwd=folder, env=environment | {"PATH": path}, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_example_and_the_first_test_of_the_page_pass(tmp_path: Path) -> None:
    folder = tmp_path / "consumer-tests"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns(".venv", "__pycache__", ".pytest_cache"))
    (folder / "test_page.py").write_text(programs()["testing-first"], "utf-8")
    tests = sum(len(re.findall(r"^def test_", file.read_text("utf-8"), re.MULTILINE)) for file in folder.glob("test_*"))
    said = run(commands((folder / "README.md").read_text("utf-8"))[-1].split(), folder)
    assert f"{tests} passed" in said
    assert tests > 4


def test_the_context_manager_of_the_page_prints_the_label(tmp_path: Path) -> None:
    assert run([sys.executable, "-c", programs()["testing-context"]], tmp_path) == "balance\n"


def test_the_options_of_the_page_are_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pytest, "fixture", lambda **_: lambda function: function)
    namespace: dict[str, object] = {}
    exec(programs()["testing-options"], namespace)
    options = namespace["sprat_options"]()
    assert options
    assert set(options) <= set(inspect.signature(Sprat).parameters)
