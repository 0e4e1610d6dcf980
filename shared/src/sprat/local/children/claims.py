"""Usual ports that an installation means to take: claimed before its servers listen there, which takes them seconds."""

import fcntl
import os
import tempfile
from pathlib import Path

from sprat.local.children.ports import is_free


class PortClaims:
    """Claims among the processes of one user; two installations that start together must not want one port."""

    def __init__(self) -> None:
        self._locks: list[int] = []

    def claim(self, port: int) -> bool:
        """Claim a loopback port until `release`; False where somebody listens there, or has claimed it."""
        path = Path(tempfile.gettempdir()) / f"sprat-port-{port}-{os.getuid()}.lock"
        try:
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except OSError:
            return False  # not ours to write: any other port does
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return False
        if not is_free(port):
            os.close(lock)
            return False
        self._locks.append(lock)  # the system lets go of it when the process dies
        return True

    def release(self) -> None:
        """Let go of all."""
        while self._locks:
            os.close(self._locks.pop())
