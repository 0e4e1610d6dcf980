"""Sessions of browsers: a signed cookie stands for a key, until the key is revoked or the cookie expires.

The cookie says which key and until when, under an HMAC of the door's own: nothing is stored, so a session outlives a
restart of the door; that one was signed out, this process alone remembers. Every write by cookie needs the page's own
origin and a token that only the page's own forms have.
"""

import base64
import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response

from sprat.base.errors import UserError
from sprat.base.file_guard import check_writers
from sprat_gateway.http.problems import Problem

SESSION_S: Final = 43_200
"""How long a session lasts."""
CSRF_HEADER: Final = "x-csrf-token"
CSRF_FIELD: Final = "csrf"

_FILE: Final = "session.key"
_KEY_BYTES: Final = 32
_MAX_COOKIE: Final = 300
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_FORM: Final = "application/x-www-form-urlencoded"


class Sessions:
    """Makes cookies and reads them.

    Args:
        key: of the signatures.
        clock: seconds since the epoch.
    """

    def __init__(self, key: bytes, clock: Callable[[], float] = time.time) -> None:
        self._key = key
        self._closed: dict[str, float] = {}
        self.clock = clock

    def open(self, request: Request, response: Response, key_id: str) -> None:
        """Set a cookie in the browser that stands for a key."""
        said = f"{key_id}.{int(self.clock()) + SESSION_S}.{secrets.token_urlsafe(16)}"
        response.set_cookie(
            _name(request),
            f"{said}.{self._sign('session', said)}",
            max_age=SESSION_S,
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="strict",
        )

    def close(self, request: Request, response: Response) -> None:
        """Take the cookie back, and refuse it from now on."""
        if (session := self.read(request)) is not None:
            now = self.clock()
            self._closed = {cookie: until for cookie, until in self._closed.items() if until > now}
            self._closed[request.cookies[_name(request)]] = session[1]
        response.delete_cookie(_name(request), httponly=True, samesite="strict")

    def read(self, request: Request) -> tuple[str, float] | None:
        """Return the id of the key that the request's cookie stands for, and when it expires; None without a cookie."""
        cookie = request.cookies.get(_name(request), "")
        said, _, signature = cookie.rpartition(".")
        if (
            not said
            or len(cookie) > _MAX_COOKIE
            or cookie in self._closed
            or not hmac.compare_digest(signature.encode(), self._sign("session", said).encode())
        ):
            return None
        key_id, expires, _ = said.split(".", 2)
        return (key_id, float(expires)) if self.clock() < float(expires) else None

    def csrf(self, request: Request) -> str:
        """Return the token that writes of this session carry; empty without a cookie."""
        cookie = request.cookies.get(_name(request), "")
        return self._sign("csrf", cookie) if cookie else ""

    async def check_write(self, request: Request) -> None:
        """Check that a write by cookie comes from the page itself.

        Raises:
            Problem: 403, it comes from elsewhere, or without the token.
        """
        if request.method in _SAFE:
            return
        check_origin(request)
        given = request.headers.get(CSRF_HEADER) or await _csrf_field(request)
        if not hmac.compare_digest(given.encode(), self.csrf(request).encode()):
            raise Problem(403, "csrf", "the page's token is missing or of another session: load the page again")

    def _sign(self, purpose: str, said: str) -> str:
        message = f"{purpose}\0{said}".encode("utf-8", "surrogateescape")
        return base64.urlsafe_b64encode(hmac.digest(self._key, message, hashlib.sha256)).rstrip(b"=").decode()


def check_origin(request: Request) -> None:
    """Check that a browser sends a request from a page of this door.

    Raises:
        Problem: 403, it comes from elsewhere, or does not say from where.
    """
    site = request.headers.get("sec-fetch-site")
    own = f"{request.url.scheme}://{request.headers.get('host', '')}"
    if (site == "same-origin") if site is not None else (request.headers.get("origin") == own):
        return
    raise Problem(403, "foreign_origin", "a write with a cookie must come from the page itself")


def session_key(folder: Path | None, seal_key: bytes | None) -> bytes:
    """Return the key of the cookies: the same for all instances, and after a restart, as far as that is possible.

    Args:
        folder: the door's own; the key stands in a file there. None: sessions end with the process.
        seal_key: the key that all instances share, from which it is derived; None where there is none.

    Raises:
        UserError: the file cannot be used.
    """
    if seal_key is not None:
        return hmac.digest(seal_key, b"sessions of the page", hashlib.sha256)
    if folder is None:
        return secrets.token_bytes(_KEY_BYTES)
    path = folder / _FILE
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = folder / f".{_FILE}.{os.getpid()}"
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(secrets.token_bytes(_KEY_BYTES))
        with suppress(FileExistsError):
            os.link(new, path)  # whole or not at all, and never over another instance's
        new.unlink()
        check_writers(path, "let anybody in")
        key = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be used: {error.strerror}") from None
    if len(key) != _KEY_BYTES:
        raise UserError(f"{path} is no key of sessions: remove it, and all sign in again")
    return key


def _name(request: Request) -> str:
    """Return the cookie's name: browsers send a cookie to every port of a host, so two doors need two names."""
    return f"sprat_{request.url.port or 443}"


async def _csrf_field(request: Request) -> str:
    """Return the token of a form that was sent without script; empty where there is none."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        return ""
    fields: dict[str, list[str]] = {}
    with suppress(ValueError):  # too many: no form of the page
        fields = parse_qs((await request.body()).decode("utf-8", "replace"), max_num_fields=100)
    return fields.get(CSRF_FIELD, [""])[0]
