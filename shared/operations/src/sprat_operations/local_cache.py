"""What Sprat keeps in the user's cache: what it has fetched and built, so that later starts need neither."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path

_RUNNING = "run"
"""Belongs to installations that run, and is removed by them."""
_MEANINGS = {
    "kafka": "Apache Kafka, for `sprat up`",
    "kubernetes": "programs built for `make test-kubernetes`",
    "npm": "libraries of Node.js for `make test-clients`",
}
_OTHER = "not known to this version"


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
    """Return what is in it and may be removed, by name."""
    return [
        CachedFolder(path, sum(_sizes(path)), _MEANINGS.get(path.name.partition("-")[0], _OTHER))
        for path in (sorted(folder().iterdir()) if folder().is_dir() else [])
        if path.name != _RUNNING
    ]


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
