"""How a browser signs in: by the address that `sprat up` prints, once, or by an API key in a form."""

import logging
from contextlib import suppress
from typing import Final
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from sprat.base.errors import UserError
from sprat_gateway.http.callers import RequestAdmission, admission_of
from sprat_gateway.http.problems import Problem
from sprat_gateway.http.sessions import check_origin
from sprat_gateway.page.pages import PageRoute
from sprat_operations.api_keys import ApiKey
from sprat_operations.page_login import redeem_login

log = logging.getLogger(__name__)

_HOME: Final = "/page/"
_SIGN_IN: Final = "/page/sign-in"
_SIGNED_IN: Final = f"""<!doctype html><title>Sprat</title><link rel="icon" href="/page/static/icon.svg">
<p>Signed in. <a href="{_HOME}">Open the page</a>."""
_USED_UP: Final = (
    "This address signs in once: it has been used, is too old, or a newer one has replaced it. "
    "Sign in with an API key, or start `sprat up` again: it prints a new address."
)

router = APIRouter(prefix="/page", route_class=PageRoute, include_in_schema=False)


@router.get("/sign-in")
async def by_token(request: Request, token: str = "") -> Response:
    """Open a session by a one-time token.

    The browser goes on by itself, from a page of this door: after a link in another program, a redirect would not
    carry the cookie, which is for this site alone.
    """
    admission = admission_of(request)
    key_id = _redeemed(admission, token)
    found = None if key_id is None else admission.keys.get(key_id)
    if found is None:
        raise Problem(401, "no_session", _USED_UP)
    return _signed_in(admission, request, found, HTMLResponse(_SIGNED_IN, headers={"Refresh": f"0; url={_HOME}"}))


@router.post("/sign-in")
async def by_key(request: Request) -> Response:
    """Open a session by a key that was typed into the form."""
    check_origin(request)
    admission = admission_of(request)
    fields: dict[str, list[str]] = {}
    with suppress(ValueError):  # too many: no form of this page
        fields = parse_qs((await request.body()).decode("utf-8", "replace"), max_num_fields=10)
    found = admission.keys.find(fields.get("key", [""])[0].strip())
    if found is None:
        raise Problem(401, "no_key", "this key is not valid; `sprat keys list` shows which ones are")
    return _signed_in(admission, request, found, RedirectResponse(_HOME, 303))


@router.post("/sign-out")
async def sign_out(request: Request) -> Response:
    """End the session in this browser; to end it everywhere, revoke its key."""
    admission = admission_of(request)
    await admission.of(request)  # with the page's own token: nobody else can sign a person out
    response = RedirectResponse(_SIGN_IN, 303)
    admission.sessions.close(request, response)
    return response


def _redeemed(admission: RequestAdmission, token: str) -> str | None:
    path = admission.keys.path
    try:
        return None if path is None else redeem_login(path, token)
    except UserError as error:
        log.error("a token of the page is refused: %s", error)  # noqa: TRY400 - the message says it all
        return None


def _signed_in(admission: RequestAdmission, request: Request, key: ApiKey, response: Response) -> Response:
    admission.sessions.open(request, response, key.id)
    log.info("a browser has signed in", extra={"key_id": key.id})
    return response
