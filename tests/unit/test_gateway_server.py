"""The HTTP server's connections."""

import asyncio
import socket

from starlette.responses import PlainTextResponse

from sprat_gateway.http.server import HttpServer


async def test_no_part_of_a_response_waits_for_an_acknowledgement() -> None:
    """Else each response takes 40 ms longer: its body waits until the client's kernel acknowledges its head."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = HttpServer(PlainTextResponse("here"), listener, 10)
    serving = asyncio.create_task(server.serve())
    _, writer = await asyncio.open_connection(*listener.getsockname())
    while not server.server_state.connections:
        await asyncio.sleep(0.01)
    (connection,) = server.server_state.connections
    accepted = connection.transport.get_extra_info("socket")
    assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    writer.close()
    server.should_exit = True
    await serving
