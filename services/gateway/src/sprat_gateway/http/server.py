"""The HTTP server: how many connections, how long a head may take, TLS. uvicorn with h11 does the rest."""

import asyncio
import resource
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from sprat.base.errors import UserError

HEAD_S: Final = 10.0
"""How long a client may take for the head of a request, and for the handshake of TLS."""
WRITE_S: Final = 30.0
"""How long a client may leave what it is sent unread."""

_MAX_HEAD: Final = 32 * 1024
_SPARE_FILES: Final = 256
"""For Kafka, Redis, the store and logs, beside connections."""
_BUSY: Final = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_SLOW: Final = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class HttpServer(uvicorn.Server):
    """Serves on one socket; leaves signals to the door, which stops it.

    Args:
        app: the routes, with all that is around them.
        listener: the bound socket.
        connections: at a time.
        proxies: addresses and networks whose X-Forwarded-For and X-Forwarded-Proto count.
        tls: serves HTTPS; None: HTTP.
        head_s: how long the head of a request may take, and the handshake of TLS.
    """

    def __init__(
        self,
        app: ASGIApp,
        listener: socket.socket,
        connections: int,
        *,
        proxies: Sequence[str] = (),
        tls: ssl.SSLContext | None = None,
        head_s: float = HEAD_S,
    ) -> None:
        allow_files(connections)
        self._stopping = asyncio.Event()
        super().__init__(
            uvicorn.Config(
                app,
                http="h11",
                ws="none",
                loop="none",
                lifespan="off",
                log_config=None,
                log_level="error",  # else everybody could fill the log, with a line for each request that is none
                access_log=False,
                server_header=False,
                proxy_headers=bool(proxies),
                forwarded_allow_ips=list(proxies),
                h11_max_incomplete_event_size=_MAX_HEAD,
                timeout_graceful_shutdown=2,
            )
        )
        self._listener = listener
        self._tls = tls
        self._connections = connections
        self._head_s = head_s

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield

    @property
    def should_exit(self) -> bool:
        """Whether it stops; setting it stops it at once."""
        return self._stopping.is_set()

    @should_exit.setter
    def should_exit(self, stops: bool) -> None:
        if stops:
            self._stopping.set()

    async def main_loop(self) -> None:
        """Wait for the stop, and renew the header `Date`. uvicorn's own loop wakes ten times a second."""
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._stopping.wait()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen; uvicorn's own way would give the handshake of TLS a minute."""
        await super().startup(sockets=[])
        bound_s = None if self._tls is None else self._head_s
        server = await asyncio.get_running_loop().create_server(
            lambda: BoundedConnection(self.config, self.server_state, self._connections, self._head_s),
            sock=self._listener,
            ssl=self._tls,
            backlog=self.config.backlog,
            ssl_handshake_timeout=bound_s,
            ssl_shutdown_timeout=bound_s,
        )
        self.servers.append(server)


class BoundedConnection(H11Protocol):
    """Ends a connection that is one too many, that is too slow to ask, or too slow to read."""

    def __init__(self, config: uvicorn.Config, state: ServerState, most: int, head_s: float) -> None:
        super().__init__(config, state, {})
        self._most = most
        self._head_s = head_s
        self._asking: asyncio.TimerHandle | None = None
        self._reading: asyncio.TimerHandle | None = None

    # uvicorn narrows the type in the same way.
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Answer at once where there are too many; else give the client time for a head."""
        # Head and body of a response are two writes. asyncio sets this on sockets of protocol 6 alone, not 0, which a
        # listener of `create_server` has: then the body waits 40 ms for the client's delayed acknowledgement.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().connection_made(transport)
        if len(self.connections) > self._most:
            self._end(_BUSY)
        else:
            self._asking = self.loop.call_later(self._head_s, self._end, _SLOW)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timers."""
        self._asked()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Limit the time for a head from its first byte on."""
        if self.transport.is_closing():
            return
        if self.conn.their_state is h11.IDLE and self._asking is None:
            self._asking = self.loop.call_later(self._head_s, self._end, _SLOW)
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._asked()

    def pause_writing(self) -> None:
        """Limit the time in which the client reads what waits for it."""
        super().pause_writing()
        self._reading = self._reading or self.loop.call_later(WRITE_S, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on: the client has read."""
        super().resume_writing()
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def _asked(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            self._asking = None

    def _end(self, response: bytes) -> None:
        self.transport.write(response)
        self.transport.close()


def tls_context(cert: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """Return what serves HTTPS by the files; None where neither is named.

    Raises:
        UserError: one is missing or cannot be used.
    """
    if cert is None and key is None:
        return None
    if cert is None or key is None:
        raise UserError("SPRAT_GATEWAY__TLS_CERT and SPRAT_GATEWAY__TLS_KEY go together: set both, or neither")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(cert, key, password="")  # without one, OpenSSL would ask the terminal
    except OSError as error:
        reason = error.reason if isinstance(error, ssl.SSLError) else error.strerror
        raise UserError(f"SPRAT_GATEWAY__TLS_CERT {cert}, SPRAT_GATEWAY__TLS_KEY {key}: {reason}") from None
    return context


def allow_files(connections: int) -> None:
    """Raise this process's limit of open files to what so many connections need, as far as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _SPARE_FILES
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
