"""A child's data folder, used by one process at a time: temporary and removed, or the user's own and kept."""

import os
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from filelock import FileLock, Timeout

from sprat_local.processes import private
from sprat_local.processes.notices import LocalError

_LOCK = "sprat.lock"
_ATTEMPTS = 5
_MARKS = (_LOCK, "secret")
"""Files by which a folder is known as Sprat's."""


@dataclass(frozen=True, slots=True)
class DataFolder:
    """A folder that this process holds until `release`."""

    path: Path
    temporary: bool
    lock: FileLock
    """The operating system releases it when the process dies."""

    @classmethod
    def acquire(cls, folder: Path | None, prefix: str) -> Self:
        """Lock the user's folder, created if missing; without one, a new temporary folder with this name prefix.

        Nobody but its owner can read it: a folder of an earlier version is made private, with everything in it.
        Temporary folders that killed processes have left behind are removed.

        Raises:
            LocalError: the folder cannot be used, another process holds it, it is another user's or a symbolic link, or
                others can read it and what it holds is not Sprat's.
        """
        if folder is None:
            return cls._new(prefix)
        path = _own_folder(folder)
        lock = _lock_of(path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise LocalError(
                f"the data folder {path} is in use by another process: stop that process, or name another folder"
            ) from None
        except OSError as error:
            raise LocalError(f"the data folder {path} cannot be used: {error.strerror}") from error
        return cls(path, temporary=False, lock=lock)

    @classmethod
    def _new(cls, prefix: str) -> Self:
        """Lock a new temporary folder; take another one if a process that removes abandoned ones was there first."""
        for _ in range(_ATTEMPTS):
            path = _temporary_folder(prefix)
            lock = _lock_of(path)
            with suppress(Timeout, OSError):
                lock.acquire(timeout=0)
                if private.is_private(path):  # else it was removed, and the lock made another one
                    return cls(path, temporary=True, lock=lock)
                lock.release()
        raise LocalError(f"no temporary folder can be locked; the last was {path}")

    def release(self) -> None:
        """Release the lock; remove the folder if it is temporary."""
        if self.temporary:
            shutil.rmtree(self.path, ignore_errors=True)
        self.lock.release()


def _temporary_folder(prefix: str) -> Path:
    _remove_abandoned(prefix)
    try:
        return Path(tempfile.mkdtemp(prefix=prefix))
    except OSError as error:
        raise LocalError(f"no temporary folder can be created: {error.strerror}: {error.filename}") from error


def _own_folder(folder: Path) -> Path:
    path = folder.absolute()
    try:
        private.make_folder(path)
        private.take_over(path, _MARKS)
    except OSError as error:
        raise LocalError(f"the data folder {path} cannot be created: {error.strerror}") from error
    return path


def _lock_of(folder: Path) -> FileLock:
    # Not thread-local: an installation may be stopped from another thread than the one that started it.
    return FileLock(folder / _LOCK, mode=0o600, thread_local=False)


def _remove_abandoned(prefix: str) -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        # A folder without a lock file is being created by another process right now.
        if not (folder / _LOCK).is_file() or not os.access(folder / _LOCK, os.R_OK | os.W_OK):
            continue
        lock = _lock_of(folder)
        try:
            lock.acquire(timeout=0)
        except (Timeout, OSError):
            continue
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()
