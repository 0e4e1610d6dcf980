"""A child's data folder, owned by one process at a time: temporary and removed, or a person's own and kept."""

import fcntl
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from sprat_local.errors import LocalError

_LOCK = "sprat.lock"


@dataclass(frozen=True, slots=True)
class DataFolder:
    """A folder that this process holds until `release`."""

    path: Path
    temporary: bool
    lock: int
    """Descriptor that holds the lock; the system lets go of it when the process dies."""

    @classmethod
    def take(cls, kept: Path | None, prefix: str) -> Self:
        """Take a person's folder, made where it is missing; or a new temporary one, whose name begins with `prefix`.

        Temporary folders that killed processes left behind are removed on the way.

        Raises:
            LocalError: the folder cannot be used, or another process holds it.
        """
        if kept is None:
            _sweep(prefix)
            try:
                folder = Path(tempfile.mkdtemp(prefix=prefix))
            except OSError as error:
                raise LocalError(f"no temporary folder can be made: {error.strerror}: {error.filename}") from error
        else:
            folder = kept.absolute()
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise LocalError(f"the data folder {folder} cannot be made: {error.strerror}") from error
        try:
            lock = _lock(folder)
        except OSError as error:
            raise LocalError(f"the data folder {folder} cannot be used: {error.strerror}") from error
        if lock is None:
            raise LocalError(
                f"the data folder {folder} is in use by another process: stop that, or name another folder"
            )
        return cls(folder, kept is None, lock)

    def release(self) -> None:
        """Let go of it; a temporary one is gone afterwards."""
        if self.temporary:
            shutil.rmtree(self.path, ignore_errors=True)
        os.close(self.lock)


def _lock(folder: Path) -> int | None:
    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _sweep(prefix: str) -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        # Without a lock file it is being made by another process at this moment.
        if not (folder / _LOCK).is_file() or not os.access(folder / _LOCK, os.R_OK | os.W_OK):
            continue
        lock = _lock(folder)
        if lock is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)
