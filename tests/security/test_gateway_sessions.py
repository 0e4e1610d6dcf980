"""Browsers: one-time tokens, cookies, writes that other sites make, and what ends with a key."""

import asyncio
import os
import re
import stat
import time
from contextlib import asynccontextmanager
from typing import Annotated

import httpx
import pytest
from fastapi import Depends, Request
from starlette.responses import StreamingResponse

from sprat.base.errors import UserError
from sprat_contracts import BUILT_IN
from sprat_gateway.http import callers
from sprat_gateway.http.callers import Caller, admission_of, caller, needs
from sprat_gateway.http.sessions import SESSION_S, Sessions, session_key
from sprat_gateway.page.pages import Page
from sprat_gateway.page.store import PageStore
from sprat_operations.api_keys import add_key, revoke_key
from sprat_operations.page_login import VALID_S, make_login
from support.front_door import admission, door_app, served

Known = Annotated[Caller, Depends(caller)]


@pytest.fixture
def keys_file(tmp_path):
    return tmp_path / "keys.json"


@pytest.fixture
def entry(keys_file):
    return add_key(keys_file, "acme", "/web", ["send", "read-texts"])[1]


async def ticks(closed):
    try:
        while True:
            yield b"tick\n"
            await asyncio.sleep(0.05)
    finally:
        closed.append(True)


@asynccontextmanager
async def door(keys_file, closed=None, **limits):
    """Serve a door with a route to read, one to write, one for a role and a stream; give a browser without a cookie."""
    page = Page(PageStore(keys_file.parent, whole=True), BUILT_IN)
    app = door_app(admission(keys_file, **limits), page=page)

    @app.get("/who")
    @app.post("/who")
    async def who(request: Request, known: Known):
        return {"key": known.key_id, "csrf": admission_of(request).sessions.csrf(request)}

    @app.get("/label")
    async def label(known: Annotated[Caller, Depends(needs("label"))]):
        return {"key": known.key_id}

    @app.get("/ticks")
    async def stream(request: Request, known: Known):
        return StreamingResponse(admission_of(request).stream(request, known, ticks([] if closed is None else closed)))

    async with (
        served(app) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as browser,
    ):
        browser.app = app
        yield browser


async def signed_in(browser, keys_file, entry):
    answer = await browser.get("/page/sign-in", params={"token": make_login(keys_file, entry.id)})
    assert answer.status_code == 200
    return answer


async def test_the_printed_address_signs_in_once(keys_file, entry):
    token = make_login(keys_file, entry.id)
    assert token not in "".join(each.name + each.read_text() for each in keys_file.parent.iterdir())
    async with door(keys_file) as browser:
        for wrong in ("", token[:-1], token + "x", "x" * 1000, "../keys.json"):
            assert (await browser.get("/page/sign-in", params={"token": wrong})).status_code == 401
        answer = await browser.get("/page/sign-in", params={"token": token})
        assert answer.headers["refresh"] == "0; url=/page/"
        cookie = answer.headers["set-cookie"]
        assert re.match(rf"sprat_{browser.base_url.port}=", cookie)
        assert "HttpOnly" in cookie
        assert "samesite=strict" in cookie.lower()
        assert "Secure" not in cookie  # it is HTTP, on this machine
        assert (await browser.get("/who")).json()["key"] == entry.id
        browser.cookies.clear()
        assert (await browser.get("/page/sign-in", params={"token": token})).status_code == 401
        assert (await browser.get("/who")).status_code == 401


async def test_a_token_is_refused_when_it_is_old_or_replaced_or_of_a_revoked_key(keys_file, entry):
    async with door(keys_file) as browser:
        old = make_login(keys_file, entry.id)
        (path,) = keys_file.parent.glob("page-login-*")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        os.utime(path, (time.time() - VALID_S - 1,) * 2)
        assert (await browser.get("/page/sign-in", params={"token": old})).status_code == 401
        replaced, newer = make_login(keys_file, entry.id), make_login(keys_file, entry.id)
        assert (await browser.get("/page/sign-in", params={"token": replaced})).status_code == 401
        (path,) = keys_file.parent.glob("page-login-*")
        path.chmod(0o666)
        assert (await browser.get("/page/sign-in", params={"token": newer})).status_code == 401
        newest = make_login(keys_file, entry.id)
        revoke_key(keys_file, entry.id)
        assert (await browser.get("/page/sign-in", params={"token": newest})).status_code == 401


async def test_a_key_in_the_form_signs_in(keys_file):
    key, entry = add_key(keys_file, "acme", "/web")
    async with door(keys_file) as browser:
        own = {"sec-fetch-site": "same-origin"}
        assert (await browser.post("/page/sign-in", data={"key": key})).status_code == 403
        assert (await browser.post("/page/sign-in", data={"key": "x"}, headers=own)).status_code == 401
        answer = await browser.post("/page/sign-in", data={"key": key}, headers=own)
        assert (answer.status_code, answer.headers["location"]) == (303, "/page/")
        said = (await browser.get("/who")).json()
        assert said["key"] == entry.id
        assert (await browser.post("/page/sign-out", headers=own)).status_code == 403
        kept = dict(browser.cookies)
        await browser.post("/page/sign-out", data={"csrf": said["csrf"]}, headers=own)
        assert (await browser.get("/who")).status_code == 401
        browser.cookies.update(kept)  # somebody has copied it
        assert (await browser.get("/who")).status_code == 401


FROM_THE_PAGE = [
    {"sec-fetch-site": "same-origin"},
    {"origin": "OWN"},
    {"sec-fetch-site": "same-origin", "origin": "null"},
]
FROM_ELSEWHERE = [
    {},
    {"origin": "null"},
    {"origin": "https://evil.example"},
    {"origin": "http://127.0.0.1:1"},
    {"sec-fetch-site": "same-site", "origin": "OWN"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "none"},
]


async def test_a_write_by_cookie_comes_from_the_page_itself(keys_file, entry):
    async with door(keys_file) as browser:
        await signed_in(browser, keys_file, entry)
        former = (await browser.get("/who")).json()["csrf"]
        await signed_in(browser, keys_file, entry)
        csrf = (await browser.get("/who")).json()["csrf"]
        own = str(browser.base_url).rstrip("/")

        async def statuses(headers):
            sent = {name: own if value == "OWN" else value for name, value in headers.items()}
            return [
                (await browser.post("/who", **each)).status_code
                for each in (
                    {"headers": {**sent, "x-csrf-token": csrf}},
                    {"headers": sent, "data": {"csrf": csrf}},
                    {"headers": sent},
                    {"headers": {**sent, "x-csrf-token": former}},
                    {"headers": {**sent, "content-type": "text/plain"}, "content": f"csrf={csrf}"},
                )
            ]

        for headers in FROM_THE_PAGE:
            assert await statuses(headers) == [200, 200, 403, 403, 403], headers
        for headers in FROM_ELSEWHERE:
            assert await statuses(headers) == [403] * 5, headers


async def test_a_cookie_is_worth_nothing_changed_expired_elsewhere_or_without_its_key(keys_file, entry, monkeypatch):
    async with door(keys_file) as browser:
        await signed_in(browser, keys_file, entry)
        ((name, cookie),) = browser.cookies.items()
        other = add_key(keys_file, "other", "/web")[1]
        sessions = browser.app.state.admission.sessions

        async def status(cookie, name=name):
            browser.cookies.clear()
            return (await browser.get("/who", headers={"cookie": f"{name}={cookie}"})).status_code

        assert await status(cookie) == 200
        assert await status(cookie.replace(entry.id, other.id)) == 401
        assert await status(cookie.replace(".", ".9", 1)) == 401
        assert await status(cookie[:-1]) == 401
        assert await status("") == 401
        assert await status(cookie, "sprat_1") == 401
        now = time.time()
        monkeypatch.setattr(sessions, "clock", lambda: now + SESSION_S + 1)
        assert await status(cookie) == 401
        monkeypatch.setattr(sessions, "clock", time.time)
        assert await status(cookie) == 200
        browser.app.state.admission.sessions = Sessions(b"another key")
        assert await status(cookie) == 401
        browser.app.state.admission.sessions = Sessions(b"k" * 32)  # a restart, with the same key
        assert await status(cookie) == 200
        revoke_key(keys_file, entry.id)
        await asyncio.sleep(callers.REREAD_S)
        assert await status(cookie) == 401


async def test_a_role_is_asked_for_by_its_name(keys_file, entry):
    async with door(keys_file) as browser:
        await signed_in(browser, keys_file, entry)
        answer = await browser.get("/label")
        assert (answer.status_code, answer.json()["code"]) == (403, "role")
        assert "--role label" in answer.json()["detail"]


async def test_streams_are_bounded_and_end_with_their_key(keys_file):
    key, entry = add_key(keys_file, "acme", "/web")
    closed = []
    async with door(keys_file, closed, streams=2) as browser:
        bearer = {"authorization": f"Bearer {key}"}

        async def follow(started):
            lines = []
            async with browser.stream("GET", "/ticks", headers=bearer) as answer:
                async for line in answer.aiter_lines():
                    lines.append(line)
                    started.set()
            return answer.status_code, lines

        async def followed():
            started = asyncio.Event()
            following = asyncio.create_task(follow(started))
            await asyncio.wait_for(started.wait(), 10)
            return following

        async with browser.stream("GET", "/ticks", headers=bearer) as answer:
            lines = answer.aiter_lines()
            await anext(lines)
            following = await followed()
            async with browser.stream("GET", "/ticks", headers=bearer) as third:
                assert third.status_code == 429
                assert b"too_many_streams" in await third.aread()
        while not closed:  # the first one has hung up
            await asyncio.sleep(0.02)
        another = await followed()
        revoke_key(keys_file, entry.id)
        revoked_at = time.monotonic()
        for status, lines in await asyncio.wait_for(asyncio.gather(following, another), 10):
            assert status == 200
            assert len(lines) > 2
        assert time.monotonic() - revoked_at < 5
        assert len(closed) == 3
        assert (await browser.get("/ticks", headers=bearer)).status_code == 401


async def test_a_stream_by_cookie_ends_with_its_session(keys_file, entry, monkeypatch):
    monkeypatch.setattr(callers, "REREAD_S", 0.1)
    async with door(keys_file) as browser:
        await signed_in(browser, keys_file, entry)
        async with browser.stream("GET", "/ticks") as answer:
            lines = answer.aiter_lines()
            await anext(lines)
            now = time.time()
            monkeypatch.setattr(browser.app.state.admission.sessions, "clock", lambda: now + SESSION_S + 1)
            assert len([line async for line in lines]) < 20


def test_the_key_of_sessions_is_kept_shared_or_made_anew(tmp_path):
    folder = tmp_path / "data"
    made = session_key(folder, None)
    assert len(made) == 32
    assert session_key(folder, None) == made
    assert [(each.name, stat.S_IMODE(each.stat().st_mode)) for each in folder.iterdir()] == [("session.key", 0o600)]
    shared = session_key(folder, b"s" * 32)
    assert shared == session_key(None, b"s" * 32) != made
    assert session_key(None, None) != session_key(None, None)
    (folder / "session.key").write_bytes(b"short")
    with pytest.raises(UserError, match="is no key of sessions"):
        session_key(folder, None)
