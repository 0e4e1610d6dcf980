"""Connections that aiokafka forgets: they end with the loop that opened them."""

import asyncio
from collections.abc import Callable
from typing import Any
from weakref import WeakSet

from aiokafka.conn import AIOKafkaConnection

_connect = AIOKafkaConnection.connect


def close_with_their_loops(patch: Callable[[Any, str, Any], None]) -> None:
    """Close each connection that is still open when its loop closes.

    A client forgets a connection that is still being made when it is closed, or when its start is cancelled (aiokafka's
    issue 715). Collected after its loop has closed, it warns as a socket, a transport and a stream, which name no
    owner, and that fails whichever test runs then. A consumer or a producer that is not closed has its own warning.
    """
    patch(AIOKafkaConnection, "connect", _noted)


async def _noted(connection: AIOKafkaConnection) -> Any:
    loop: Any = asyncio.get_running_loop()
    if not hasattr(loop, "sprat_connections"):
        loop.sprat_connections = WeakSet()
        loop.close = _closing(loop, loop.close)
    loop.sprat_connections.add(connection)
    return await _connect(connection)


def _closing(loop: Any, close: Callable[[], None]) -> Callable[[], None]:
    def closed() -> None:
        for connection in loop.sprat_connections:
            connection.close()
        if not loop.is_closed():
            loop.run_until_complete(asyncio.sleep(0))  # a socket closes in the round after its transport
        close()

    return closed
