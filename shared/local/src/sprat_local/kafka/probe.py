"""Ask a broker in the Kafka protocol whether it serves: an open port alone does not say so.

Written by hand, because the probe runs before any client can connect and must cost less: two fixed requests, in
versions that every Kafka from 0.10 to 4.x answers (https://kafka.apache.org/protocol).
"""

import socket
import struct

from sprat_local.processes.ports import HOST

_TIMEOUT_S = 1.0
_CLIENT = b"sprat-probe"
_METADATA = 3
_FIND_COORDINATOR = 10


def is_serving(port: int, node_id: int = 1) -> bool:
    """Return whether the broker at this loopback port answers and lists itself among the live brokers."""
    no_topics = struct.pack(">i", 0)
    answer = _request(port, _METADATA, 1, no_topics)
    return answer is not None and node_id in _listed(answer)


def _listed(answer: bytes) -> list[int]:
    """Return the brokers in an answer; a broker is missing until the controller has registered it.

    Metadata v1: correlation id, then an array of brokers, each with id, host, port and rack.
    """
    at, ids = 8, []
    for _ in range(int(struct.unpack_from(">i", answer, 4)[0])):
        node_id, host_size = struct.unpack_from(">ih", answer, at)
        at += 6 + host_size + 4  # and the port
        (rack_size,) = struct.unpack_from(">h", answer, at)
        at += 2 + max(0, rack_size)  # -1: none
        ids.append(int(node_id))
    return ids


def wake_groups(port: int) -> None:
    """Make the broker create its offsets topic now (about 0.4 s), so that the first consumer need not wait for it.

    Best effort: a consumer's first call does the same.
    """
    group = b"sprat-probe"
    _request(port, _FIND_COORDINATOR, 0, struct.pack(">h", len(group)) + group)


def _request(port: int, key: int, version: int, body: bytes) -> bytes | None:
    head = struct.pack(">hhih", key, version, 1, len(_CLIENT)) + _CLIENT
    message = head + body
    try:
        with socket.create_connection((HOST, port), _TIMEOUT_S) as sock:
            sock.sendall(struct.pack(">i", len(message)) + message)
            with sock.makefile("rb") as stream:
                size = stream.read(4)
                return stream.read(struct.unpack(">i", size)[0]) if len(size) == 4 else None
    except OSError:
        return None
