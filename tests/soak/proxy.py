"""A proxy before brokers, whose connections can be slowed down and cut: `python -m tests.soak.proxy`.

Brokers advertise its ports to clients, so that everything clients say goes through it; brokers among themselves do not
use it. Lines of JSON on standard input set its routes; it ends with them.
"""

import asyncio
import json
import sys
from collections import deque
from dataclasses import dataclass, field

HOST = "127.0.0.1"


@dataclass
class Route:
    """A port, what is behind it, and its state."""

    to: int
    delay_s: float = 0.0
    cut: bool = False
    ends: set["End"] = field(default_factory=set)

    def change(self, to: int, *, delay_s: float = 0.0, cut: bool = False) -> None:
        """Set its state; one that is cut ends its connections."""
        self.to, self.delay_s, self.cut = to, delay_s, cut
        for end in [*self.ends] if cut else ():
            end.transport.abort()


class End(asyncio.Protocol):
    """One end of a connection; what it receives goes out at the other end."""

    def __init__(self, route: Route, other: "End | None" = None) -> None:
        self._route = route
        self._other = other
        self._waiting: deque[tuple[float, bytes]] = deque()
        """What is delayed: when it is due, and the bytes."""
        self.transport: asyncio.Transport | None = None
        self._opening: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self._route.ends.add(self)
        if self._route.cut or (self._other is not None and self._other.transport.is_closing()):
            transport.abort()
        elif self._other is None:
            transport.pause_reading()
            self._opening = asyncio.create_task(self._open())
        else:
            self._other._other = self

    def data_received(self, data: bytes) -> None:
        now = asyncio.get_running_loop().time()
        if not self._route.delay_s and not self._waiting:
            self._other.transport.write(data)
            return
        if not self._waiting:
            asyncio.get_running_loop().call_later(self._route.delay_s, self._deliver)
        self._waiting.append((now + self._route.delay_s, data))

    def pause_writing(self) -> None:
        if self._other is not None:
            self._other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self._other is not None:
            self._other.transport.resume_reading()

    def connection_lost(self, _: Exception | None) -> None:
        self._route.ends.discard(self)
        if self._opening is not None:
            self._opening.cancel()  # the client did not wait for a broker that does not answer
        if self._other is not None:
            self._other.transport.close()

    async def _open(self) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: End(self._route, self), HOST, self._route.to)
            self.transport.resume_reading()
        except OSError:  # the broker is away: so is its proxy
            self.transport.abort()

    def _deliver(self) -> None:
        """Send what is due, in the order in which it came."""
        loop = asyncio.get_running_loop()
        while self._waiting and self._waiting[0][0] <= loop.time():
            self._other.transport.write(self._waiting.popleft()[1])
        if self._waiting:
            loop.call_at(self._waiting[0][0], self._deliver)


async def serve() -> None:
    """Follow the lines of standard input until it ends."""
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    routes: dict[int, Route] = {}
    while line := await lines.readline():
        said = json.loads(line)
        port = said.pop("port")
        if port not in routes:
            routes[port] = Route(said["to"])
            await loop.create_server(lambda route=routes[port]: End(route), HOST, port)
        routes[port].change(**said)


if __name__ == "__main__":
    asyncio.run(serve())
