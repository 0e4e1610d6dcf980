"""A server that answers every request with the same response, and keeps what it got."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class OneResponse:
    """Its address, and the requests: path, headers and the JSON of the body."""

    url: str = ""
    requests: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)


@asynccontextmanager
async def answering(
    body: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> AsyncIterator[OneResponse]:
    """Serve a response on loopback, bytes as they are and all else as JSON; `_` in names of headers stands for `-`."""
    server, value = OneResponse(), body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {"content-type": "application/json", "connection": "close", "content-length": str(len(value))}
    fields |= {name.replace("_", "-"): each for name, each in (headers or {}).items()}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        got = {name.lower(): each for name, each in (line.split(": ", 1) for line in lines)}
        content = await reader.readexactly(int(got["content-length"]))
        server.requests.append((first.split(" ")[1], got, json.loads(content)))
        written = "".join(f"{name}: {each}\r\n" for name, each in fields.items())
        writer.write(f"HTTP/1.1 {status} X\r\n{written}\r\n".encode() + value)
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
        yield server
