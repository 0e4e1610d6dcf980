"""The services as an earlier commit has them: their source in a folder, run by this environment's Python.

By default that is the commit before the last change of any service's code, so that what changes now runs beside what
ran before. `SPRAT_UPGRADE_FROM` names another one, as the tag of a release.
"""

import os
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sprat_local.installation.options import POLICY
from sprat_operations.services import module_of
from support.readme import ROOT

CODE = ("contracts/src", ":(glob)shared/*/src/**", ":(glob)services/*/src/**")


@dataclass(frozen=True)
class EarlierVersion:
    """An earlier commit, with the variables that run its services."""

    variables: Mapping[str, str]

    def knows(self, module: str) -> bool:
        """Return whether it has a module, as `sprat_policy/tiers.py`."""
        return self._found(module) is not None

    @property
    def policy(self) -> Path:
        """The policy that it ships: it refuses fields that it does not know.

        As docs/deploy/upgrade.md has it, a policy is changed after all services know its fields.
        """
        found = self._found(str(Path("sprat_local", *POLICY.parts[-2:])))
        assert found is not None
        return found

    @property
    def accepting(self) -> dict[str, str]:
        """What docs/deploy/upgrade.md sets for new services beside it: it may be a version without signatures."""
        return {} if self.knows("sprat/kafka/signatures.py") else {"SPRAT_UNSIGNED_RECORDS": "accept"}

    def check(self, services: Iterable[str], folder: Path) -> None:
        """Check that its services run from a folder, and not from this version."""
        for service in services:
            packages = ("sprat_contracts", "sprat", module_of(service))
            where = f"import {', '.join(packages)}; print(*(m.__file__ for m in ({', '.join(packages)})))"
            said = subprocess.check_output(
                [sys.executable, "-P", "-c", where], env={**os.environ, **self.variables}, text=True
            )
            assert all(path.startswith(str(folder)) for path in said.split()), said

    def _found(self, module: str) -> Path | None:
        paths = (Path(folder, module) for folder in self.variables["PYTHONPATH"].split(os.pathsep))
        return next((path for path in paths if path.is_file()), None)


class NoHistoryError(Exception):
    """Nothing earlier can be had: no repository, or a clone without the commits."""


def earlier_commit() -> str:
    """Return the full id of the commit to compare with.

    Raises:
        NoHistoryError: there is none.
    """
    named = os.environ.get("SPRAT_UPGRADE_FROM")
    if named is None:
        uncommitted = _git("status", "--porcelain", "--", *CODE)
        named = "HEAD" if uncommitted else f"{_git('log', '-1', '--format=%H', '--', *CODE)}^"
    return _git("rev-parse", "--verify", "--quiet", f"{named}^{{commit}}")


def variables_of(commit: str, folder: Path) -> dict[str, str]:
    """Write the code of a commit, weights included, into a folder; return the variables with which it is run."""
    archive = folder / "code.tar"
    # Packages hold files of compose/ by symbolic links.
    subprocess.run(
        ["git", "archive", "--output", archive, commit, "contracts", "shared", "services", "compose"],
        cwd=ROOT,
        check=True,
    )
    with tarfile.open(archive) as code:
        code.extractall(folder, filter="tar")
    archive.unlink()
    sources = sorted([folder / "contracts/src", *folder.glob("shared/*/src"), *folder.glob("services/*/src")])
    return {"PYTHONPATH": os.pathsep.join(map(str, sources))}


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    except (subprocess.CalledProcessError, FileNotFoundError) as error:
        raise NoHistoryError(f"git {' '.join(arguments)} finds nothing: the history is missing") from error
    return done.stdout.strip()
