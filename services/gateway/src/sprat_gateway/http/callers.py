"""Who asks: an API key stands for one tenant and one source; a browser's cookie stands for a key."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeVar, cast

from fastapi import Depends
from starlette.requests import Request

from sprat_gateway.http.limits import KeyLimits, held_of
from sprat_gateway.http.problems import Problem
from sprat_gateway.http.sessions import Sessions
from sprat_operations.api_keys import REREAD_S, ApiKey, KeyRing, Role

T = TypeVar("T")

_NO_KEY: Final = "Authorization: Bearer KEY is missing, or the key is not valid; `sprat keys add` makes one"
_ROLE: Final = "this key lacks the role {0}: `sprat keys add --role {0} …` makes one that has it"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a request comes from."""

    key_id: str
    """Names the key in logs; it is not secret."""
    tenant: str
    source: str
    """The `ce_source` of what it sends."""
    roles: frozenset[str]
    """Of `send`, `read-texts`, `label`."""
    session_until: float | None = None
    """When the browser's session ends, in seconds since the epoch; None: it has sent the key itself."""

    def may_see(self, tenant: str, source: str) -> bool:
        """Return whether a text of this tenant and source is its own."""
        return (tenant, source) == (self.tenant, self.source)


class RequestAdmission:
    """Lets requests in: by a key or a cookie, within the limits of the key.

    Args:
        keys: the valid keys.
        limits: of each key.
        sessions: of browsers.
    """

    def __init__(self, keys: KeyRing, limits: KeyLimits, sessions: Sessions) -> None:
        self.keys = keys
        self.limits = limits
        self.sessions = sessions

    def by_key(self, request: Request, key: str) -> Caller:
        """Return who sends a key.

        Raises:
            Problem: 401, the key is not valid; 429, it is used too much.
        """
        found = self.keys.find(key)
        if found is None:
            raise Problem(401, "no_key", _NO_KEY, headers={"WWW-Authenticate": "Bearer"})
        return self._enter(request, found)

    async def of(self, request: Request) -> Caller:
        """Return who a request comes from: by its key, else by its cookie.

        Raises:
            Problem: 401, it has neither, or one that is not valid; 403, a write by cookie comes from elsewhere; 429,
                the key is used too much.
        """
        held = held_of(cast("dict[str, object]", request.scope))
        if isinstance(held.caller, Caller):
            return held.caller
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme:
            return self.by_key(request, key.strip() if scheme.lower() == "bearer" else "")
        session = self.sessions.read(request)
        found = None if session is None else self.keys.get(session[0])
        if session is None or found is None:
            raise Problem(401, "no_key", _NO_KEY, headers={"WWW-Authenticate": "Bearer"})
        caller = self._enter(request, found, session[1])
        await self.sessions.check_write(request)
        return caller

    def is_valid(self, caller: Caller) -> bool:
        """Return whether the key of a caller who was let in is still valid, and the session, if it is one."""
        in_time = caller.session_until is None or self.sessions.clock() < caller.session_until
        return in_time and self.keys.get(caller.key_id) is not None

    def stream(self, request: Request, caller: Caller, events: AsyncIterator[T]) -> AsyncIterator[T]:
        """Return events for as long as the caller's key is valid; they count as one of its streams.

        Raises:
            Problem: 429, the key has as many streams as it may have.
        """
        self.limits.enter_stream(held_of(cast("dict[str, object]", request.scope)))
        return self._while_valid(caller, events)

    async def _while_valid(self, caller: Caller, events: AsyncIterator[T]) -> AsyncIterator[T]:
        coming = asyncio.create_task(_next(events))
        try:
            while True:
                await asyncio.wait({coming}, timeout=REREAD_S)
                if not self.is_valid(caller):
                    return
                if coming.done():
                    try:
                        event = coming.result()
                    except StopAsyncIteration:
                        return
                    yield event
                    coming = asyncio.create_task(_next(events))
        finally:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)
            if isinstance(events, AsyncGenerator):
                await events.aclose()

    def _enter(self, request: Request, key: ApiKey, session_until: float | None = None) -> Caller:
        held = held_of(cast("dict[str, object]", request.scope))
        self.limits.enter(held, key.id)
        caller = Caller(key.id, key.tenant, key.source, frozenset(key.roles), session_until)
        held.caller = caller
        return caller


async def caller(request: Request) -> Caller:
    """Return who a request comes from; a dependency of routes.

    Raises:
        Problem: as `RequestAdmission.of`.
    """
    return await admission_of(request).of(request)


def needs(role: Role) -> Callable[[Caller], Awaitable[Caller]]:
    """Return a dependency of routes: who a request comes from, who must have a role.

    It raises a `Problem` as `caller` does, and 403 without the role.
    """

    async def with_role(found: Annotated[Caller, Depends(caller)]) -> Caller:
        check_role(found, role)
        return found

    return with_role


def check_role(found: Caller, role: Role) -> None:
    """Check that a caller has a role.

    Raises:
        Problem: 403, it has not.
    """
    if role not in found.roles:
        raise Problem(403, "role", _ROLE.format(role))


def admission_of(request: Request) -> RequestAdmission:
    """Return what lets requests in."""
    admission: Any = request.app.state.admission
    return cast("RequestAdmission", admission)


async def _next(events: AsyncIterator[T]) -> T:
    return await anext(events)
