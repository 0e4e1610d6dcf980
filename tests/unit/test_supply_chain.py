"""Third parties are locked with hashes, and what Sprat consists of is written down."""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires
from itertools import chain
from pathlib import Path

import pytest
import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from support.installed_size import ROOT, members

FOLDER = ROOT / "requirements"
LOCKS = sorted(FOLDER.glob("*.lock"))
ENTRY = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;]+)")
FIX = "run make lock"


def entries(lock: Path) -> dict[str, tuple[str, str]]:
    """Return name → version and whole entry of a lock."""
    lines = lock.read_text().replace("\\\n", "").splitlines()
    found = [(ENTRY.match(line), line) for line in lines if not line.startswith("#")]
    assert all(match for match, _ in found)
    return {canonicalize_name(match[1]): (match[2], line) for match, line in found if match}


def pinned() -> dict[str, str]:
    pins = (line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines())
    return {canonicalize_name(name): version for name, version in pins}


def needed(requirements: list[str]) -> Iterator[str]:
    """Return the names of all that is required here, directly or not; members of Sprat are no third parties."""
    waiting, seen = [*map(Requirement, requirements)], set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if (name, frozenset(requirement.extras)) in seen:
            continue
        seen.add((name, frozenset(requirement.extras)))
        if name not in members():
            yield name
        try:
            declared = requires(name) or []
        except PackageNotFoundError:
            continue
        extras = ("", *requirement.extras)
        waiting += [
            each
            for each in map(Requirement, declared)
            if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in extras)
        ]


def test_the_locks_hold_exactly_the_versions_of_the_constraints() -> None:
    constrained = [lock for lock in LOCKS if lock.stem != "clients"]  # which has an environment of its own
    locked = {name: version for lock in constrained for name, (version, _) in entries(lock).items()}
    assert locked == pinned(), FIX


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_every_entry_has_a_hash_and_none_names_a_place(lock: Path) -> None:
    for _, entry in entries(lock).values():
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry), entry
    assert "://" not in lock.read_text()
    assert not re.search(r"^-", lock.read_text(), re.MULTILINE), "no option: the index is the user's"


def test_the_lock_of_a_run_holds_all_that_the_members_need() -> None:
    own = [line for member in members().values() for line in member.requirements()]
    assert set(needed([*own, "sprat[otel]"])) - entries(FOLDER / "run.lock").keys() == set(), FIX


def test_the_lock_of_development_holds_all_that_its_group_needs() -> None:
    group = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]["dev"]
    assert set(needed(group)) - entries(FOLDER / "dev.lock").keys() == set(), FIX
    assert entries(FOLDER / "run.lock").keys() <= entries(FOLDER / "dev.lock").keys()


def test_what_builds_the_members_is_locked() -> None:
    (backend,) = {line for member in members().values() for line in _backend(member.folder)}
    version, _ = entries(FOLDER / "build.lock")["setuptools"]
    assert version in Requirement(backend).specifier


def _backend(folder: Path) -> list[str]:
    requirement: list[str] = tomllib.loads((folder / "pyproject.toml").read_text())["build-system"]["requires"]
    return requirement


def test_whatever_installs_third_parties_asks_for_hashes() -> None:
    makefile = (ROOT / "Makefile").read_text().replace("\\\n", "")
    setup = makefile[makefile.index("$(STAMP): ") : makefile.index("# A step of its own")]
    assert "--require-hashes" in makefile[makefile.index("LOCKED :=") :].splitlines()[0]
    assert [line.strip() for line in setup.splitlines() if re.search("PIP|LOCKED|SHOWN", line)] == [
        "@$(SHOWN) --require-hashes --no-build-isolation --requirement requirements/build.lock",
        "@$(SHOWN) --require-hashes --no-build-isolation --requirement requirements/dev.lock",
        "@$(SHOWN) --no-deps --no-build-isolation $(MEMBERS:%=-e %)",
    ]
    assert makefile[makefile.index("SHOWN :=") :].splitlines()[0] == "SHOWN := $(BIN)/python requirements/install.py"
    dockerfile = (ROOT / "compose" / "Dockerfile").read_text().replace("\\\n", "")
    installing = re.findall(r"pip install [^&\n]*", dockerfile)
    assert len(installing) == 3
    assert all("--require-hashes" in each or "--no-index" in each for each in installing)


@pytest.fixture(scope="module")
def sbom(tmp_path_factory: pytest.TempPathFactory) -> str:
    target = tmp_path_factory.mktemp("sbom") / "sprat.cdx.json"
    subprocess.run([sys.executable, FOLDER / "sbom.py", target], check=True, timeout=60)
    return target.read_text()


def test_the_bill_of_materials_follows_its_schema(sbom: str) -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(sbom) is None


def test_the_bill_of_materials_is_complete(sbom: str) -> None:
    components = json.loads(sbom)["components"]
    names = {each["name"] for each in components}
    assert names >= entries(FOLDER / "run.lock").keys() | members().keys()
    models = {each["name"]: each for each in components if each["type"] == "machine-learning-model"}
    cards = sorted(ROOT.glob("s*/*/src/*/artefacts/*/card.json"))
    assert len(models) == len(cards) > 5
    for card in cards:
        model = models[f"{card.parents[2].name.replace('_', '-')}/{card.parent.name}"]
        assert model["version"] == json.loads(card.read_text())["version"]
        assert model["licenses"]
        assert {part["name"] for part in model["components"]} == {path.name for path in card.parent.iterdir()}
        hashes = chain.from_iterable(part["hashes"] for part in model["components"])
        assert all(re.fullmatch(r"[0-9a-f]{64}", each["content"]) for each in hashes)
    assert any(each.get("purl", "").startswith("pkg:maven/org.apache.kafka/") for each in components)
    assert {"pkg:npm/htmx.org@4.0.1", "pkg:npm/uplot@1.6.32"} <= {each.get("purl") for each in components}


def test_the_workflow_audits_what_is_locked() -> None:
    """What is known of a version is known to a service alone: here, only that the command reads the lock."""
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    steps = [step.get("run", "") for step in workflow["jobs"]["supply-chain"]["steps"]]
    assert {"make sbom", "make audit"} <= set(steps)
    makefile = (ROOT / "Makefile").read_text()
    (command,) = re.findall(r"-m pip_audit (.+)", makefile)
    assert "--strict" in command
    dry = [sys.executable, "-m", "pip_audit", "--dry-run", "--progress-spinner", "off", *command.split()]
    done = subprocess.run(dry, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert f"would have audited {_applying('dev')} packages" in done.stderr


def _applying(name: str) -> int:
    """Return how many entries of a lock are for this system."""
    lines = [line.partition("--hash")[0] for _, line in entries(FOLDER / f"{name}.lock").values()]
    markers = [Requirement(line).marker for line in lines]
    return sum(marker is None or marker.evaluate() for marker in markers)
