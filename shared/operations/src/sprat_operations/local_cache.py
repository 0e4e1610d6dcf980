"""What Sprat keeps in the user's cache: what it has fetched and built, so that later starts need neither."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path

from sprat.base.errors import UserError

_RUNNING = "run"
"""Belongs to installations that run, and is removed by them."""
_MADE = {
    r"kafka-[0-9.]+-[0-9a-f]{12}": "Apache Kafka, for `sprat up`",
    "kubernetes": "programs built for `make test-kubernetes`",
    "npm": "libraries of Node.js for `make test-clients`",
    "all-minilm-l6-v2|multilingual-e5-small|rampart": "weights that a recipe of a shipped model starts from",
}
"""Names of what Sprat makes there → what it is."""


@dataclass(frozen=True, slots=True)
class CachedFolder:
    """A folder or file of the cache."""

    path: Path
    size: int
    """Bytes."""
    what: str


def folder() -> Path:
    """Return the cache folder. It may not exist."""
    return user_cache_path("sprat")


def contents() -> list[CachedFolder]:
    """Return what Sprat has made in it and may be removed, by name.

    Raises:
        UserError: the folder is a link: what it leads to may be anything.
    """
    return [CachedFolder(path, sum(_sizes(path)), what) for path in _paths() if (what := _made(path)) is not None]


def others() -> list[Path]:
    """Return what else is in it, by name: somebody else's.

    Raises:
        UserError: as above.
    """
    return [path for path in _paths() if _made(path) is None]


def _made(path: Path) -> str | None:
    """Return what a file or folder of Sprat is; None: it is none."""
    return next((what for name, what in _MADE.items() if re.fullmatch(name, path.name)), None)


def _paths() -> list[Path]:
    if folder().is_symlink():
        raise UserError(
            f"{folder()} is a link, to {folder().readlink()}: nothing is removed through it; remove it by hand"
        )
    return [path for path in (sorted(folder().iterdir()) if folder().is_dir() else []) if path.name != _RUNNING]


def remove(cached: CachedFolder) -> None:
    """Remove it. A link is removed, not what it leads to.

    Raises:
        OSError: it cannot be removed.
    """
    if cached.path.is_dir() and not cached.path.is_symlink():
        # What `go` has downloaded is read-only, and so are its folders.
        for each in [
            cached.path,
            *(path for path in cached.path.rglob("*") if path.is_dir() and not path.is_symlink()),
        ]:
            each.chmod(0o700)
        shutil.rmtree(cached.path)
    else:
        cached.path.unlink()


def _sizes(path: Path) -> Iterator[int]:
    """Return the bytes of a file, or of each file in a folder; those of a link are its own."""
    for each in [path] if path.is_symlink() or not path.is_dir() else path.rglob("*"):
        if each.is_symlink() or each.is_file():
            yield each.lstat().st_size
