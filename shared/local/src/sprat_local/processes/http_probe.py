"""Ask a server on the loopback interface whether it serves."""

import http.client

from sprat_local.processes.ports import HOST

_TIMEOUT_S = 0.5


def http_status(port: int, path: str) -> int | None:
    """Return the HTTP status with which it answers; None if it does not answer within half a second."""
    connection = http.client.HTTPConnection(HOST, port, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
