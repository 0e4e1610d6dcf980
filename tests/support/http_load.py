"""An HTTP client that costs little: load for the front door."""

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Reply:
    """A response."""

    status: int
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class HttpClient:
    """Keeps connections open and uses them again; each holds one request at a time."""

    port: int
    key: str
    host: str = "127.0.0.1"
    _idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = field(default_factory=list)
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.hang_up()

    def hang_up(self) -> None:
        """Close all connections, whatever they wait for."""
        for writer in self._open:
            writer.transport.abort()
        self._open.clear()
        self._idle.clear()

    async def post(self, body: Mapping[str, Any], id: str, wait_s: float) -> Reply:
        """Send a text and return the response.

        Raises:
            OSError: the connection cannot be made, or breaks.
        """
        content = json.dumps(body).encode()
        head = f"POST /v1/texts HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {self.key}\r\n"
        head += f"Idempotency-Key: {id}\r\nPrefer: wait={wait_s:g}\r\nContent-Type: application/json\r\n"
        return await self._ask(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)

    async def get(self, path: str) -> Reply:
        """Ask for a path; raise as `post` does."""
        return await self._ask(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {self.key}\r\n\r\n".encode()
        )

    async def _ask(self, request: bytes) -> Reply:
        if self._idle:
            with suppress(ConnectionError):  # the door closes what was idle for some seconds
                return await self._ask_over(*self._idle.pop(), request)
        return await self._ask_over(*await self._connect(), request)

    async def _ask_over(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> Reply:
        try:
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.partition("content-length:")[2].partition("\r\n")[0])
            reply = Reply(int(head.split(" ", 2)[1]), await reader.readexactly(length))
        except asyncio.IncompleteReadError as error:
            self._drop(writer)
            raise ConnectionResetError("the connection was closed within a response") from error
        except BaseException:
            self._drop(writer)
            raise
        if "connection: close" in head:
            self._drop(writer)
        else:
            self._idle.append((reader, writer))
        return reply

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(self.host, self.port)
        self._open.add(writer)
        return reader, writer

    def _drop(self, writer: asyncio.StreamWriter) -> None:
        self._open.discard(writer)
        writer.transport.abort()


async def post_until_taken(client: HttpClient, body: Mapping[str, Any], id: str, wait_s: float = 2) -> int:
    """Send a text until the door acknowledges it, as a client does that may not lose it; return how often."""
    attempts = 0
    while True:
        attempts += 1
        try:
            reply = await client.post(body, id, wait_s)
        except OSError:
            await asyncio.sleep(0.05)
            continue
        if reply.status in {200, 202}:
            return attempts
        if reply.status not in {429, 503}:
            raise AssertionError(f"{reply.status} {reply.body!r}")
        await asyncio.sleep(0.2)
