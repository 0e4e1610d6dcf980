"""The gate before every route: which requests go in, and what every response says to browsers.

It bounds bodies in size, depth and time. It looks at no key; what a request holds of its key's limits is given back
here.
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from typing import Any, Final, Protocol, cast
from urllib.parse import unquote_to_bytes

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sprat_gateway.http.limits import KeyLimits, RequestHold, held_of
from sprat_gateway.http.problems import Problem

log = logging.getLogger(__name__)

MAX_RECORD: Final = 512 * 1024
"""Bytes of a body, and of a line of NDJSON."""
MAX_NDJSON: Final = 16 * 1024 * 1024
MAX_DEPTH: Final = 64
MAX_HELD: Final = 128 * 1024 * 1024
"""Bytes of the bodies of all requests that are open."""
MAX_UNKNOWN: Final = 64 * 1024
"""Bytes of a body that is read before it is known whose it is: the key may stand in it."""
MAX_HELD_UNKNOWN: Final = 16 * 1024 * 1024
"""Bytes of such bodies of all requests that are open: who has no key takes no room from those who have one."""
BODY_S: Final = 10.0
"""How long a client may keep the door waiting for the body, in all."""
NDJSON: Final = "application/x-ndjson"

_MAX_DISCARDED: Final = 4 * 1024 * 1024
_FORM: Final = "application/x-www-form-urlencoded"
_KEY: Final = re.compile(rb"sprat_[0-9a-f]{12}_")
# Possessive: otherwise a string of 512 KiB takes 60 MB to match.
_STRING: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_BRACKETS: Final = re.compile(rb"[\[{]+|[\]}]+")
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "object-src 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_STRICT_TRANSPORT: Final = "max-age=31536000"

Respond = Callable[[Request, Exception], Awaitable[Response]]


class _Hold(Protocol):
    def __call__(self, size: int, *, is_known: bool) -> None: ...


class RequestGate:
    """ASGI middleware around all routes.

    Args:
        app: the routes.
        hosts: names by which the door may be asked. Another name is one that somebody else made to lead here.
        limits: of keys.
        respond: makes the response to a `Problem`.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str], limits: KeyLimits, respond: Respond) -> None:
        self._app = app
        self._hosts = frozenset(each.lower() for each in hosts)
        self._limits = limits
        self._held_bytes = 0
        self._held_unknown = 0
        self._respond = respond

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        held = held_of(cast("dict[str, object]", scope))
        body = _Body(receive, headers, held, self._hold)
        response = _Response(send, body, secure=scope["scheme"] == "https")
        try:
            try:
                self._check(scope, headers)
                await self._app(scope, body, response)
            except Problem as problem:
                await self._refuse(problem, scope, body, response)
            except ClientDisconnect:
                pass
            except Exception:  # of any route: its client gets a response, and the log the place without a text
                log.exception("a request failed: %s", _route(scope))
                defect = Problem(500, "defect", "the gateway failed; its log says where")
                await self._refuse(defect, scope, body, response)
        finally:
            self._held_bytes -= body.held
            self._held_unknown -= body.held_unknown
            self._limits.leave(held)

    def _hold(self, size: int, *, is_known: bool) -> None:
        """Count bytes of a body until the end of its request.

        Raises:
            Problem: 503, there is no room for more.
        """
        if is_known:
            self._held_bytes += size
        else:
            self._held_unknown += size
        if (self._held_bytes > MAX_HELD) if is_known else (self._held_unknown > MAX_HELD_UNKNOWN):
            raise Problem(503, "busy", "the gateway holds as much as it may: try again", headers={"Retry-After": "1"})

    def _check(self, scope: Scope, headers: Headers) -> None:
        """Check what can be said before the body is read.

        Raises:
            Problem: why the request does not go in.
        """
        if "content-length" in headers and "transfer-encoding" in headers:
            detail = "Content-Length with Transfer-Encoding: two programs could see two different requests; send one"
            raise Problem(400, "framing", detail, headers={"Connection": "close"})
        if host_of(headers.get("host", "")) not in self._hosts:
            detail = "Host: the gateway is not asked by this name; SPRAT_GATEWAY__HOSTS lists those that it has"
            raise Problem(421, "host", detail)
        if headers.get("content-encoding", "identity").strip().lower() != "identity":
            raise Problem(
                415, "compressed", "Content-Encoding: send the body as it is", headers={"Accept-Encoding": "identity"}
            )
        if any(_KEY.search(unquote_to_bytes(part)) for part in (scope["query_string"], scope.get("raw_path", b""))):
            detail = "an API key stands in the address, which logs and histories keep: send it as a header, revoke it"
            raise Problem(400, "key_in_address", detail)
        if int(headers.get("content-length", "0")) > most_bytes(headers):
            raise _too_large(headers)

    async def _refuse(self, problem: Problem, scope: Scope, body: "_Body", response: "_Response") -> None:
        if response.started:
            raise problem  # the connection is closed: the client sees that the response is not whole
        await (await self._respond(Request(scope), problem))(scope, body, response)


class _Body:
    """Passes the body on to the routes: whole, but for NDJSON; within its time, size and depth."""

    def __init__(self, receive: Receive, headers: Headers, request: RequestHold, hold: "_Hold") -> None:
        self._receive = receive
        self._request = request
        self._hold = hold
        self._headers = headers
        self._most = most_bytes(headers)
        self._left_s = BODY_S
        self._size = 0
        self._discarding = False
        self.held = 0
        """Bytes that were counted by `hold`."""
        self.held_unknown = 0
        """The same, before it was known whose they are."""
        self.ended = headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers

    async def __call__(self) -> Message:
        """Return the next message: the body or a piece of it, later that the client has left.

        Raises:
            Problem: 408, 413 or 400.
        """
        if self.ended or content_type(self._headers) == NDJSON:
            return await self._next()
        pieces: list[bytes] = []
        while not self.ended:
            message = await self._next()
            if message["type"] != "http.request":
                return message
            pieces.append(message.get("body", b""))
        whole = b"".join(pieces)
        if content_type(self._headers) != _FORM or whole.lstrip()[:1] in (b"{", b"["):
            check_depth(whole)
        return {"type": "http.request", "body": whole, "more_body": False}

    async def discard(self) -> None:
        """Take what still comes, if it is not much: a connection that is closed before loses the response, too."""
        if "expect" in self._headers:  # the client waits for a response before it sends the body
            return
        self._most, self._discarding = _MAX_DISCARDED, True
        with suppress(Problem):
            while not self.ended:
                await self._next()

    async def _next(self) -> Message:
        if self.ended:
            return await self._receive()
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(self._left_s):
                message = await self._receive()
        except TimeoutError:
            raise Problem(408, "slow_body", "the body did not come in time: send it at once") from None
        self._left_s -= loop.time() - began
        self.ended = message["type"] != "http.request" or not message.get("more_body", False)
        size = len(message.get("body", b""))
        self._size += size
        if not self._discarding:
            self._count(size)
        if self._size > self._most:
            raise _too_large(self._headers)
        return message

    def _count(self, size: int) -> None:
        is_known = self._request.caller is not None
        if is_known:
            self.held += size
        else:
            self.held_unknown += size
        self._hold(size, is_known=is_known)
        if not is_known and self._size > MAX_UNKNOWN:
            detail = f"a body without the header Authorization may have {MAX_UNKNOWN // 1024} KiB: send the key in it"
            raise Problem(413, "too_large", detail)


class _Response:
    """Adds to every response what browsers must know; closes a connection whose request was not read to its end."""

    def __init__(self, send: Send, body: _Body, *, secure: bool) -> None:
        self._send = send
        self._body = body
        self._secure = secure
        self.started = False

    async def __call__(self, message: Message) -> None:
        """Send a message."""
        if message["type"] == "http.response.start":
            self.started = True
            headers = MutableHeaders(scope=message)
            headers.update(_HEADERS)
            headers.setdefault("Cache-Control", "no-store")
            if self._secure:
                headers["Strict-Transport-Security"] = _STRICT_TRANSPORT
            if message["status"] >= 400:
                await self._body.discard()
            if not self._body.ended:  # what still comes would be read as the next request
                headers["Connection"] = "close"
        await self._send(message)


def content_type(headers: Headers) -> str:
    """Return the media type of a body, without its parameters."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def most_bytes(headers: Headers) -> int:
    """Return how long a body may be."""
    return MAX_NDJSON if content_type(headers) == NDJSON else MAX_RECORD


def check_depth(body: bytes) -> None:
    """Check how deep JSON nests, before it is parsed.

    Raises:
        Problem: 400, it nests too deep.
    """
    depth = 0
    for brackets in _BRACKETS.findall(_STRING.sub(b"", body)):
        depth += len(brackets) if brackets[0] in b"[{" else -len(brackets)
        if depth > MAX_DEPTH:
            raise Problem(400, "too_deep", f"the body nests deeper than {MAX_DEPTH} levels")


def host_of(host: str) -> str:
    """Return the name in a Host header, without its port."""
    name = host.strip().lower()
    if not name.endswith("]"):
        name = name.rpartition(":")[0] or name
    return name.removesuffix(".")


def _too_large(headers: Headers) -> Problem:
    detail = f"the body is larger than {most_bytes(headers) // 1024} KiB"
    return Problem(413, "too_large", f"{detail}: send several texts as {NDJSON}, or shorter ones")


def _route(scope: Scope) -> str:
    """Return which route a request took, without the values in its path."""
    route: Any = scope.get("route")
    return f"{scope['method']} {getattr(route, 'path', 'no route')}"
