"""Ports on the loopback interface: free ones, claims on fixed ones, and whether a server answers."""

import http.client
import os
import secrets
import socket
import tempfile
import time
from pathlib import Path

from filelock import FileLock, Timeout

HOST = "127.0.0.1"
_LOWEST = 15_000
_HIGHEST = 64_000
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_IANA_EPHEMERAL = (49_152, 65_535)
_TRIES = 200
_POLL_S = 0.02
_ANSWERS_S = 0.5
_returned: set[int] = set()
"""Ports that were returned in this process: a server may listen on one only seconds later."""


def free_ports(count: int) -> tuple[int, ...]:
    """Return `count` ports on which nothing listens now, and that no earlier call in this process has returned.

    Another process may still take one before its use.

    They are outside the range of source ports of outgoing connections, if that leaves any. A client that keeps trying
    to reach a stopped server inside that range could get the server's own port as its source port, connect to itself,
    and block the server's restart.
    """
    sockets: list[socket.socket] = []
    try:
        while len(sockets) < count:
            sockets.append(_bind_any())
        ports = tuple(sock.getsockname()[1] for sock in sockets)
        _returned.update(ports)
        return ports
    finally:
        for sock in sockets:
            sock.close()


def free_port() -> int:
    """Return one port on which nothing listens now; see `free_ports`."""
    return free_ports(1)[0]


def is_free(port: int) -> bool:
    """Return whether a server could listen on this loopback port now."""
    sock = _bind(port)
    if sock is None:
        return False
    sock.close()
    return True


def wait_free(port: int, timeout_s: float) -> bool:
    """Wait until a server could listen on this loopback port; return whether it can."""
    deadline = time.monotonic() + timeout_s
    while not is_free(port):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True


def _bind_any() -> socket.socket:
    low, high = _ephemeral_range()
    outside = [port for port in range(_LOWEST, _HIGHEST) if not low <= port <= high and port not in _returned]
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
    # As servers do: connections of an earlier server in TIME_WAIT do not block the port.
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


class PortClaims:
    """Claims on ports among the processes of one user.

    A server listens only seconds after its start began: without claims, two installations that start at the same time
    would choose the same port.
    """

    def __init__(self) -> None:
        self._locks: list[FileLock] = []

    def claim(self, port: int) -> bool:
        """Claim a loopback port until `release`; False if it is in use or claimed."""
        path = Path(tempfile.gettempdir()) / f"sprat-port-{port}-{os.getuid()}.lock"
        lock = FileLock(path, mode=0o600, thread_local=False)
        try:
            lock.acquire(timeout=0)
        except (Timeout, OSError):  # OSError: the file is another user's, or a link; any other port will do
            return False
        if not is_free(port):
            lock.release()
            return False
        self._locks.append(lock)
        return True

    def release(self) -> None:
        """Release all claims."""
        while self._locks:
            self._locks.pop().release()


def http_status(port: int, path: str) -> int | None:
    """Return the HTTP status with which a server answers; None if it does not answer within half a second."""
    connection = http.client.HTTPConnection(HOST, port, timeout=_ANSWERS_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
