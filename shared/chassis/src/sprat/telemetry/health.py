"""`/livez` from the loop's progress, `/readyz` from assignment and model, and `/metrics`, over HTTP."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from sprat.base.errors import UserError
from sprat.telemetry.prometheus import Page

STALLED_S = 120.0
"""A consume loop that has not polled for so long counts as dead; a rebalance may take half of this."""


@dataclass(slots=True)
class LoopProgress:
    """The progress of a service's consume loop."""

    started: bool = False
    """Model loaded and probed, ownership announced, group joined."""
    assigned: Callable[[], bool] = lambda: False
    polled_at: float | None = None
    """When the consume loop last polled or began, monotonic seconds; None before it begins."""

    taken: bool = True
    """Whether the records of the last poll have reached the service's loop."""

    def turn(self) -> None:
        """Record that the consume loop begins or polls."""
        self.polled_at = time.monotonic()

    @property
    def alive(self) -> bool:
        """Whether the loop polls, or has not begun: a start has limits of its own, and a restart would not help."""
        return self.polled_at is None or time.monotonic() - self.polled_at < STALLED_S

    @property
    def ready(self) -> bool:
        """Whether a text would be answered now."""
        return self.started and self.assigned()


def _bound(host: str, port: int) -> socket.socket:
    """Bind the port.

    Raises:
        UserError: it is in use, or the address is not this machine's. uvicorn would end the process without a message.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise UserError(
            f"SPRAT_HEALTH_PORT: {port} on {host} cannot be taken ({error.strerror}); name another, or 0 for any"
        ) from None
    return listener


class HealthServer(uvicorn.Server):
    """Serves the two probes on the service's own event loop: a blocked loop does not answer."""

    def __init__(
        self,
        host: str,
        port: int,
        progress: LoopProgress,
        details: Callable[[], Mapping[str, object]],
        page: Page | None = None,
    ) -> None:
        async def livez(_: Request) -> JSONResponse:
            return JSONResponse({"alive": progress.alive}, 200 if progress.alive else 503)

        async def readyz(_: Request) -> JSONResponse:
            state = {"ready": progress.ready, "started": progress.started, "assigned": progress.assigned()}
            return JSONResponse(state | dict(details()), 200 if progress.ready else 503)

        def metrics(request: Request) -> Response:  # no coroutine: Starlette runs it on a thread, beside the loop
            if page is None:
                return PlainTextResponse("There are no metrics: OTEL_SDK_DISABLED is true.\n", 404)
            body, content_type = page(request.headers.get("accept", ""))
            return Response(body, headers={"content-type": content_type})

        app = Starlette(routes=[Route("/livez", livez), Route("/readyz", readyz), Route("/metrics", metrics)])
        # No `Date` header: uvicorn's loop renews it every second, ours does not, so it would be that of the start.
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="off", date_header=False, timeout_graceful_shutdown=1
        )
        super().__init__(config)
        self._stopping = asyncio.Event()
        self._socket = _bound(host, port)
        self.port = self._socket.getsockname()[1]
        """The bound port, also where the setting is 0."""

    async def serve_bound(self) -> None:
        """Serve until `stop`."""
        try:
            await self.serve(sockets=[self._socket])
        finally:
            self._socket.close()

    def stop(self) -> None:
        """End `serve_bound`, and all connections with it."""
        self.should_exit = self.force_exit = True
        self._stopping.set()

    async def main_loop(self) -> None:
        """Wait for `stop`. uvicorn's own loop looks ten times a second: over 40 % of an idle service's wake-ups."""
        await self.on_tick(0)
        await self._stopping.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the service."""
        yield
