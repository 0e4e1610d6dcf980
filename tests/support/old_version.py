"""The services as an earlier commit has them: their source in a folder, run by this environment's Python.

By default that is the commit before the last change of any service's code, so that what changes now runs beside what
ran before. `SPRAT_UPGRADE_FROM` names another one, as the tag of a release.
"""

import os
import subprocess
import tarfile
from pathlib import Path

from support.readme import ROOT

CODE = ("contracts/src", ":(glob)shared/*/src/**", ":(glob)services/*/src/**")


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
