"""Free ports on the loopback interface."""

import fcntl
import os
import secrets
import socket
import tempfile
import time
from pathlib import Path

HOST = "127.0.0.1"
_LOWEST = 15_000
_HIGHEST = 64_000
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_IANA_EPHEMERAL = (49_152, 65_535)
_TRIES = 200
_POLL_S = 0.02


def free_ports(count: int) -> tuple[int, ...]:
    """Give `count` different ports that nobody listens on now. Another process may still take one before its use.

    They lie outside the range from which the system takes the source ports of outgoing connections, where it leaves
    room. A client that keeps trying to reach a stopped server inside that range can be given the server's own port,
    connect to itself, and keep the server from coming back.
    """
    held: list[socket.socket] = []
    try:
        while len(held) < count:
            held.append(_bind_any())
        return tuple(sock.getsockname()[1] for sock in held)
    finally:
        for sock in held:
            sock.close()


def free_port() -> int:
    """Give one port that nobody listens on now; see `free_ports`."""
    return free_ports(1)[0]


def is_free(port: int) -> bool:
    """Tell whether a server could listen on this loopback port now."""
    sock = _bind(port)
    if sock is None:
        return False
    sock.close()
    return True


def wait_free(port: int, timeout_s: float) -> bool:
    """Wait until a server could listen on this loopback port; tell whether it can."""
    deadline = time.monotonic() + timeout_s
    while not is_free(port):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True


def _bind_any() -> socket.socket:
    low, high = _ephemeral_range()
    outside = [port for port in range(_LOWEST, _HIGHEST) if not low <= port <= high]
    for _ in range(_TRIES if outside else 0):
        sock = _bind(secrets.choice(outside))
        if sock is not None:
            return sock
    sock = _bind(0)
    if sock is None:
        raise OSError("no loopback port is free")
    return sock


def _bind(port: int) -> socket.socket | None:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # As servers do: connections of an earlier server that linger in TIME_WAIT do not hold the port.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((HOST, port))
        sock.listen(1)
    except OSError:
        sock.close()
        return None
    return sock


def _ephemeral_range() -> tuple[int, int]:
    try:
        low, high = _EPHEMERAL.read_text().split()
        return int(low), int(high)
    except (OSError, ValueError):
        return _IANA_EPHEMERAL


# Usual ports that an installation means to take: claimed before its servers listen there, which takes them seconds.


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
