"""What the metrics say of requests: their number by route and status, their time, and the streams that are open."""

import time
from typing import Any, Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sprat.telemetry import signals

NO_ROUTE: Final = "none"
"""Of requests that no route takes, and of those that are refused before: whoever asks must not name a series."""
NO_STATUS: Final = "none"
"""Of requests whose client has gone before the response began."""
_STREAM: Final = "text/event-stream"


class Measured:
    """ASGI middleware around everything else: a response that another middleware makes counts, too."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._streams = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, and count it at its end."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status, streams = time.monotonic(), NO_STATUS, False

        async def passed_on(message: Message) -> None:
            nonlocal status, streams
            if message["type"] == "http.response.start":
                status = str(message["status"])
                streams = Headers(raw=message["headers"]).get("content-type", "").startswith(_STREAM)
                if streams:
                    self._count_stream(1)
            await send(message)

        try:
            await self._app(scope, receive, passed_on)
        finally:
            route = _route(scope)
            signals.GATEWAY_REQUESTS.add(1, route=route, http_result=status)
            if streams:  # it ends when somebody closes it
                self._count_stream(-1)
            else:
                signals.HTTP_SERVER_SECONDS.record(time.monotonic() - began, method=scope["method"], route=route)

    def _count_stream(self, change: int) -> None:
        self._streams += change
        signals.GATEWAY_STREAMS.set(self._streams)


def _route(scope: Scope) -> str:
    """Return the path of the route that took a request, without the values in it."""
    route: Any = scope.get("route")
    return getattr(route, "path", NO_ROUTE)
