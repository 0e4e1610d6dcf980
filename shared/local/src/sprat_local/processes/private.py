"""Files and folders that nobody but their owner can read: they hold texts, personal values and passwords."""

import os
import secrets
import stat
from collections.abc import Collection
from pathlib import Path
from typing import BinaryIO

from sprat_local.processes.notices import LocalError

UMASK = 0o077
"""Of every child process."""

_FOLDER, _FILE = 0o700, 0o600
_OTHERS = 0o077


def make_folder(folder: Path) -> None:
    """Create a folder with its parents; do nothing if it exists."""
    folder.mkdir(mode=_FOLDER, parents=True, exist_ok=True)


def is_private(folder: Path) -> bool:
    """Return whether nobody but its owner has rights on a folder.

    Raises:
        OSError: it is not there.
    """
    return not folder.stat().st_mode & _OTHERS


def open_to_append(path: Path) -> BinaryIO:
    """Open a file, at its end; create it if it is missing."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, _FILE), "ab")


def write(path: Path, content: bytes) -> None:
    """Write a file."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _FILE), "wb") as file:
        file.write(content)


def write_text(path: Path, text: str) -> None:
    """Write a file in UTF-8."""
    write(path, text.encode())


def load_or_create_password(path: Path) -> str:
    """Return the password in a file, a random one that is created on the first call."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE)
    except FileExistsError:
        return path.read_text("ascii")
    password = secrets.token_urlsafe(32)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(password)
    return password


def take_over(folder: Path, marks: Collection[str]) -> None:
    """Make a folder of this user private, with everything in it, if it is empty or holds a file of one of these names.

    Raises:
        LocalError: it is a symbolic link, another user's, or others can read it and what it holds is not Sprat's.
    """
    state = folder.lstat()
    if stat.S_ISLNK(state.st_mode):
        raise LocalError(f"{folder} is a symbolic link, which could be turned elsewhere: name the folder itself")
    if state.st_uid != os.geteuid():
        raise LocalError(f"{folder} is another user's, who could read the texts in it: name a folder of your own")
    if not state.st_mode & _OTHERS:
        return
    names = {path.name for path in folder.iterdir()}
    if names and names.isdisjoint(marks):
        raise LocalError(
            f"{folder} can be read by others and holds files that are not Sprat's: name another folder, or chmod 700 it"
        )
    folder.chmod(_FOLDER)  # first: from here on nobody else gets at what is in it
    for parent, _folders, files in os.walk(folder):
        Path(parent).chmod(_FOLDER)
        for file in (Path(parent, name) for name in files):
            if not file.is_symlink():
                file.chmod(stat.S_IMODE(file.stat().st_mode) & ~_OTHERS)
