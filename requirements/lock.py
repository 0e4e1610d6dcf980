"""Write the locks beside this file: every third party with its version of constraints.txt and the hashes of its files.

`make lock` runs it after a change of dependencies; it needs uv and an index. A lock holds for all processors and all
versions of Python that Sprat supports; what only other systems than Linux need is left out.
"""

import subprocess
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

FOLDER = Path(__file__).parent
ROOT = FOLDER.parent
CONSTRAINTS = ("--constraint", str(ROOT / "constraints.txt"))
HEADER = "# Written by `make lock`; versions come from constraints.txt.\n"
OWN_HEADER = "# Written by `make lock`, for an environment of its own.\n"
BUILD = ("packaging", "pip", "setuptools", "setuptools-scm")
"""What installs, and what builds the members and seqeval, which has no wheel."""
SYSTEMS = ("emscripten", "win32")
"""Systems on which Sprat does not run."""
EXTRAS = ("otel", "otel-grpc", "models")
"""Optional dependencies of members that no other way of installation brings."""


def main() -> None:
    """Write every lock.

    Raises:
        CalledProcessError: uv finds no versions that fit constraints.txt.
    """
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["dependency-groups"]
    run = [*_third_parties(["", "otel"])]
    locks = {
        "build": BUILD,
        "run": run,
        "dev": [*_third_parties(["", *EXTRAS]), *groups["dev"]],
        "docs": groups["docs"],
        "kubernetes": groups["kubernetes"],
        "page": groups["page"],
    }
    for name, requirements in locks.items():
        (FOLDER / f"{name}.lock").write_text(HEADER + _locked(requirements, CONSTRAINTS), "utf-8")
    (FOLDER / "clients.lock").write_text(OWN_HEADER + _locked(groups["clients"]), "utf-8")


def members() -> list[dict[str, Any]]:
    """Return the projects of the workspace."""
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["uv"]["workspace"]["members"]
    files = sorted(file for pattern in patterns for file in ROOT.glob(f"{pattern}/pyproject.toml"))
    return [tomllib.loads(file.read_text("utf-8"))["project"] for file in files]


def _third_parties(extras: Iterable[str]) -> Iterator[str]:
    projects = members()
    own = {canonicalize_name(project["name"]) for project in projects}
    for project in projects:
        optional = {"": project["dependencies"], **project.get("optional-dependencies", {})}
        for requirement in (each for extra in extras for each in optional.get(extra, ())):
            if canonicalize_name(Requirement(requirement).name) not in own:
                yield requirement


def _locked(requirements: Iterable[str], constraints: Iterable[str] = ()) -> str:
    command = ["uv", "pip", "compile", "--quiet", "--universal", "--generate-hashes", "--no-header", "--no-annotate"]
    command += ["--python-version", "3.11", *constraints, "-"]
    done = subprocess.run(
        command, input="\n".join(sorted(set(requirements))), stdout=subprocess.PIPE, text=True, check=True
    )
    entries = done.stdout.replace(" \\\n", " \\\0").splitlines(keepends=True)
    kept = [entry for entry in entries if not any(f"sys_platform == '{system}'" in entry for system in SYSTEMS)]
    return "".join(kept).replace("\0", "\n")


if __name__ == "__main__":
    main()
