"""The wheels, built by `make wheels`, installed where there is no checkout, and run there."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.installed_size import ROOT, members
from support.up_process import UpProcess, have_ended

REQUIREMENT = "sprat[all]"
MAX_BYTES = 80_000_000
WEIGHTS = {
    "sprat-encoder": ["e5-small", "minilm-l6", "zero-shot"],
    "sprat-intent": ["default", "en-fast"],
    "sprat-ner": ["default"],
    "sprat-privacy": ["rampart"],
    "sprat-translation": ["en-de"],
}
"""Artefacts that a member's wheel holds."""

pytestmark = pytest.mark.timeout(300)


def make_wheels(folder: Path, *variables: str) -> subprocess.CompletedProcess[str]:
    """Run `make wheels` with this Python instead of the one in .venv."""
    make = ["make", "--silent", "--old-file", ".venv/.installed", "wheels"]
    command = [*make, f"BIN={Path(sys.executable).parent}", f"DIST={folder}", *variables]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=240)


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels") / "dist"
    done = make_wheels(folder)
    assert done.returncode == 0, done.stderr
    return folder


def wheel_of(folder: Path, name: str) -> Path:
    version = members()[name].project["version"]
    return folder / f"{name.replace('-', '_')}-{version}-py3-none-any.whl"


def test_there_is_one_wheel_for_each_member_and_nothing_else(wheels: Path) -> None:
    assert sorted(wheels.iterdir()) == sorted(wheel_of(wheels, name) for name in members())
    assert max(file.stat().st_size for file in wheels.iterdir()) < MAX_BYTES


@pytest.mark.parametrize("name", members())
def test_a_wheel_holds_the_files_of_its_package_and_the_licence(wheels: Path, name: str) -> None:
    package, version = name.replace("-", "_"), members()[name].project["version"]
    source = members()[name].folder / "src" / package
    expected = {
        str(Path(package) / file.relative_to(source)): file.read_bytes()  # of a symbolic link: what it leads to
        for folder, _, names in os.walk(source, followlinks=True)
        for file in map(Path(folder).joinpath, names)
        if file.is_file() and "__pycache__" not in file.parts and not file.name.startswith(".")
    }
    for file in ("LICENSE", "NOTICE"):
        expected[f"{package}-{version}.dist-info/licenses/{file}"] = (ROOT / file).read_bytes()
    generated = {f"{package}-{version}.dist-info/{file}" for file in ("METADATA", "RECORD", "WHEEL", "top_level.txt")}
    with zipfile.ZipFile(wheel_of(wheels, name)) as wheel:
        assert (
            set(wheel.namelist()) - {f"{package}-{version}.dist-info/entry_points.txt"} == expected.keys() | generated
        )
        assert [file for file, content in expected.items() if wheel.read(file) != content] == []


@pytest.mark.parametrize("name", WEIGHTS)
def test_a_wheel_holds_the_weights_that_its_member_runs(wheels: Path, name: str) -> None:
    package = name.replace("-", "_")
    with zipfile.ZipFile(wheel_of(wheels, name)) as wheel:
        held = [file.removeprefix(f"{package}/artefacts/") for file in wheel.namelist() if "/artefacts/" in file]

    assert sorted({file.partition("/")[0] for file in held}) == WEIGHTS[name]


def test_a_wheel_that_is_too_large_fails_the_build(tmp_path: Path) -> None:
    done = make_wheels(tmp_path / "dist", "MEMBERS=services/router", "MAX_WHEEL_MB=0")

    assert done.returncode != 0
    assert "larger than 0 MB" in done.stderr
    assert "sprat_router-" in done.stderr


@dataclass(frozen=True)
class InstalledWheels:
    """An environment with Sprat from wheels."""

    python: Path
    env: Mapping[str, str]

    def run(self, *arguments: str, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
        command = [str(self.python.with_name("sprat")), *arguments]
        return subprocess.run(
            command,
            cwd=self.python.parents[2],
            env=self.env,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )


def interpreter(version: str) -> Path | None:
    """Return a Python of this version: from the PATH, else one that pyenv has installed."""
    on_path = shutil.which(f"python{version}")
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [Path(on_path)] if on_path else []
    for candidate in [*candidates, *sorted(pyenv.glob(f"{version}.*/bin/python"))]:
        command = [candidate, "-c", "import sys, venv; print('%d.%d' % sys.version_info[:2])"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.stdout.strip() == version:
            return candidate
    return None


def pip_install(python: Path, venv: Path, wheels: Path) -> list[list[str]]:
    install = [
        str(venv / "bin/python"),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-compile",
        "--disable-pip-version-check",
    ]
    return [[str(python), "-m", "venv", str(venv)], [*install, *_wanted(wheels)]]


def uv_install(python: Path, venv: Path, wheels: Path) -> list[list[str]]:
    install = ["uv", "pip", "install", "--quiet", "--python", str(venv / "bin/python")]
    return [["uv", "venv", "--quiet", "--python", str(python), str(venv)], [*install, *_wanted(wheels)]]


def _wanted(wheels: Path) -> list[str]:
    options = ["--only-binary", ":all:", "--constraint", str(ROOT / "constraints.txt"), "--find-links", str(wheels)]
    return [*options, REQUIREMENT]


@pytest.fixture(
    scope="module",
    params=[("3.11", pip_install), ("3.13", uv_install)],
    ids=["Python 3.11 with pip", "Python 3.13 with uv"],
)
def installation(
    request: pytest.FixtureRequest, wheels: Path, tmp_path_factory: pytest.TempPathFactory
) -> InstalledWheels:
    version, commands = request.param
    python = interpreter(version)
    if python is None:
        pytest.skip(f"Python {version} is not installed")
    if commands is uv_install and shutil.which("uv") is None:
        pytest.skip("uv is not installed")
    venv = tmp_path_factory.mktemp("installation") / "venv"
    outside = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV", "SPRAT_"))
    }
    for command in commands(python, venv, wheels):
        done = subprocess.run(
            command, env=outside, cwd=venv.parent, capture_output=True, text=True, timeout=240, check=False
        )
        assert done.returncode == 0, done.stderr
    return InstalledWheels(venv / "bin/python", {"PATH": "/usr/bin:/bin", "HOME": str(Path.home())})


def test_the_version_is_that_of_the_wheels(installation: InstalledWheels) -> None:
    done = installation.run("--version")

    assert (done.stdout, done.stderr) == (f"sprat {members()['sprat'].project['version']}\n", "")


def test_the_demo_runs_without_the_checkout(installation: InstalledWheels) -> None:
    figures = installation.python.parents[2] / "demo.json"
    done = installation.run("demo", "--json", str(figures))

    assert done.returncode == 0, done.stdout + done.stderr
    assert "The promise was kept." in done.stdout
    assert json.loads(figures.read_text("utf-8"))["results"] == 386


def test_up_starts_every_service_and_stops(installation: InstalledWheels) -> None:
    up = UpProcess(cwd=installation.python.parents[2], env=installation.env, python=installation.python)
    try:
        up.wait_ready()
        children = up.children()
        assert f"{ROOT}/" not in " ".join(part for child in children for part in child.cmdline())
        assert up.interrupt()[0] == 0, up.output
        assert have_ended(children, 1)
    finally:
        up.end()
