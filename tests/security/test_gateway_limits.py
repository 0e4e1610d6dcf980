"""What the door's gate and server refuse: framing, names, sizes, depths, slowness, too many of anything."""

import asyncio
import json
import logging
import ssl
import statistics
import time
from contextlib import asynccontextmanager, suppress

import httpx
import pytest
from pydantic import ValidationError

from sprat.base.errors import UserError
from sprat.telemetry.logs import TextFormatter
from sprat_contracts import BUILT_IN
from sprat_gateway.http import gate, server
from sprat_gateway.http.gate import MAX_DEPTH, MAX_RECORD, MAX_UNKNOWN
from sprat_gateway.http.limits import KeyLimits, RequestHold
from sprat_gateway.http.problems import Problem
from sprat_gateway.http.server import tls_context
from sprat_gateway.page.pages import Page
from sprat_gateway.page.store import PageStore
from sprat_gateway.settings import GatewaySection
from sprat_operations.api_keys import add_key
from support.certificates import self_signed
from support.clock import Clock
from support.front_door import admission, door_app, served


@pytest.fixture
def keys_file(tmp_path):
    return tmp_path / "keys.json"


@pytest.fixture
def key(keys_file):
    return add_key(keys_file, "acme", "/web")[0]


@asynccontextmanager
async def door(keys_file, *, connections=1_000, limits=None, **options):
    """Serve a door; give a client without a key, and the port."""
    app = door_app(admission(keys_file, **(limits or {})))

    @app.get("/fails")
    async def fails():
        raise RuntimeError(SECRET)

    @app.get("/long")
    async def long():
        return {"long": "x" * 20_000_000}

    async with (
        served(app, connections, **options) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as client,
    ):
        yield client, port


def bearer(key):
    return {"authorization": f"Bearer {key}"}


async def read_all(reader):
    """Return what comes until the connection ends, also where it is reset: the client goes on sending."""
    read = b""
    with suppress(ConnectionError):
        while piece := await reader.read(1_000_000):
            read += piece
    return read


async def raw(port, request, *, pause_s=0.0):
    """Send bytes, one at a time where there is a pause; return all that is answered until the door closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = asyncio.create_task(read_all(reader))
    try:
        for piece in [request[n : n + 1] for n in range(len(request))] if pause_s else [request]:
            if answer.done():
                break
            writer.write(piece)
            await asyncio.sleep(pause_s)
        return await answer
    finally:
        answer.cancel()
        writer.close()


SECRET = "Rosalind Franklin"
HEAD = b"POST /v1/texts HTTP/1.1\r\nHost: localhost\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"


FRAMINGS = [
    b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n",
    b"Transfer-Encoding: xchunked\r\n\r\n",
    b"Transfer-Encoding: chunked, identity\r\n\r\n",
    b"Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\n",
    b"Content-Length: 0\r\nContent-Length: 5\r\n\r\n",
    b"Content-Length: +5\r\n\r\n",
    b"Content-Length: 0x5\r\n\r\n",
    b"Content-Length : 5\r\n\r\n",
    b"X: a\x00b\r\nContent-Length: 0\r\n\r\n",
    b"Host: other\r\nContent-Length: 0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
]


async def test_a_request_that_two_programs_could_read_differently_ends_its_connection(keys_file):
    async with door(keys_file) as (_, port):
        answers = {each: await asyncio.wait_for(raw(port, HEAD + each + SMUGGLED), 5) for each in FRAMINGS}
    for framing, answer in answers.items():
        assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 501", b"HTTP/1.1 401")), framing
        assert answer.count(b"HTTP/1.1 ") == 1, framing


NAMES = {
    "localhost": 404,
    "LOCALHOST:80": 404,
    "localhost.:1": 404,
    "127.0.0.1:8088": 404,
    "[::1]:8088": 404,
    "evil.example": 421,
    "evil.example:8088": 421,
    "127.0.0.1.evil.example": 421,
    "localhost@evil.example": 421,
    "localhost,evil.example": 421,
    "[::1].evil.example": 421,
    "127.0.0.2": 421,
    "": 421,
}


async def test_the_door_is_asked_by_its_own_names_alone(keys_file):
    async with door(keys_file) as (client, _):
        answers = {name: await client.get("/nothing", headers={"host": name}) for name in NAMES}
    assert {name: answer.status_code for name, answer in answers.items()} == NAMES
    assert {answer.headers["content-type"] for answer in answers.values()} == {"application/problem+json"}


def nested(depth):
    return b'{"later":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"{}", {"content-encoding": "gzip"}, 415, "compressed"),
        (b"{}", {"content-encoding": "identity, br"}, 415, "compressed"),
        (b" " * MAX_RECORD, {}, 422, "invalid_json"),
        (b"x" * (MAX_RECORD + 1), {}, 413, "too_large"),
        (nested(MAX_DEPTH), {}, 422, "invalid_text"),
        (nested(MAX_DEPTH + 1), {}, 400, "too_deep"),
        (
            nested(MAX_DEPTH + 1),
            {"content-type": "application/x-www-form-urlencoded"},
            400,
            "too_deep",
        ),  # as of curl -d
        (b"[" * MAX_RECORD, {}, 400, "too_deep"),
        (json.dumps({"text": "[" * 100 + '\\"' + "[" * 100, "tasks": 5}).encode(), {}, 422, "invalid_text"),
    ],
)
async def test_bodies_are_bounded(keys_file, key, body, headers, status, code):
    async def pieces():
        for n in range(0, len(body), 50_000):
            yield body[n : n + 50_000]

    async with door(keys_file) as (client, _):
        for content in (body, pieces()):  # with a length, and in chunks
            answer = await client.post("/v1/texts", content=content, headers={**bearer(key), **headers})
            assert (answer.status_code, answer.json()["code"]) == (status, code)
        answer = await client.post("/v1/texts", content=b"{}", headers=bearer(key))
        assert answer.status_code == 422  # the door goes on


HIDDEN = '["\u0122",'  # in UTF-16, a byte of this letter is that of a quotation mark
FORM = "application/x-www-form-urlencoded"
STRANGE = [
    pytest.param(
        "/translate", rb'{"api_key": "\ud800", "q": "x"}', "application/json", 401, id="half a character as key"
    ),
    pytest.param("/translate", b"[" * 60_000, "multipart/form-data; boundary=x", 400, id="deep, said to be a form"),
    pytest.param("/translate", (HIDDEN + "[" * 20_000).encode("utf-16"), "application/json", 400, id="deep in UTF-16"),
    pytest.param("/page/sign-in", b"&".join(b"a%d=1" % n for n in range(50)), FORM, 401, id="more fields than read"),
]


@pytest.mark.parametrize(("path", "body", "kind", "status"), STRANGE)
async def test_no_body_without_a_key_makes_the_door_fail(keys_file, tmp_path, caplog, path, body, kind, status):
    headers = {"content-type": kind, "sec-fetch-site": "same-origin"}
    async with PageStore(tmp_path / "store", whole=True) as store:
        app = door_app(admission(keys_file), page=Page(store, BUILT_IN))
        async with served(app) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            answer = await client.post(path, content=body, headers=headers)
    assert (answer.status_code, caplog.text) == (status, "")


async def test_a_large_body_without_a_key_is_answered_and_not_cut_off(keys_file):
    async with door(keys_file) as (client, _):
        answer = await client.post("/v1/texts", content=b"x" * MAX_RECORD)
        assert answer.status_code == 401
        answer = await client.post("/v1/texts", content=b"x" * 50, headers={"expect": "100-continue"})
        assert (answer.status_code, answer.headers["connection"]) == (401, "close")


async def test_an_address_with_a_key_is_refused_wherever_it_leads(keys_file, key):
    async with door(keys_file) as (client, _):
        encoded = "".join(f"%{byte:02x}" for byte in key.encode())
        for path in (f"/v1/texts?api_key={key}", f"/{key}/texts", f"/v1/texts?api_key={encoded}", f"/{encoded}/texts"):
            assert (await client.get(path)).json()["code"] == "key_in_address"


async def test_bodies_in_all_are_bounded_and_given_back(keys_file, key, monkeypatch):
    monkeypatch.setattr(gate, "MAX_HELD", 150_000)
    head = HEAD + f"Authorization: Bearer {key}\r\nContent-Length: 100000\r\n\r\n".encode()
    async with door(keys_file) as (client, port):
        for _ in range(3):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(head + b" " * 90_000)
            await asyncio.sleep(0.3)
            busy = await client.post("/v1/texts", content=b" " * 100_000, headers=bearer(key))
            assert (busy.status_code, busy.json()["code"]) == (503, "busy")
            writer.close()
            await asyncio.sleep(0.3)
            answer = await client.post("/v1/texts", content=b" " * 100_000, headers=bearer(key))
            assert answer.status_code == 422


@pytest.mark.parametrize("given", ["", "Authorization: Bearer wrong\r\n", "Cookie: sprat_80=x\r\n"])
async def test_bodies_without_a_valid_key_take_no_room_from_others(keys_file, key, monkeypatch, given):
    monkeypatch.setattr(gate, "MAX_HELD", 150_000)
    monkeypatch.setattr(gate, "MAX_HELD_UNKNOWN", 100_000)
    head = f"POST /translate HTTP/1.1\r\nHost: localhost\r\n{given}Content-Length: 60000\r\n\r\n".encode()
    async with door(keys_file) as (client, port):
        writers = [(await asyncio.open_connection("127.0.0.1", port))[1] for _ in range(5)]
        for writer in writers:
            writer.write(head + b" " * 59_000)
        await asyncio.sleep(0.3)
        answer = await client.post("/v1/texts", content=b" " * 100_000, headers=bearer(key))
        assert answer.status_code == 422
        for writer in writers:
            writer.close()
        await asyncio.sleep(0.3)
        answer = await client.post("/translate", json={"api_key": key, "q": ""})
        assert answer.status_code == 400  # their room is given back


async def test_a_body_whose_key_stands_in_it_is_small(keys_file, key):
    body = json.dumps({"api_key": key, "q": "x" * MAX_UNKNOWN}).encode()
    async with door(keys_file) as (client, _):
        answer = await client.post("/translate", content=body)
        assert answer.status_code == 413
        assert "Authorization" in answer.text
        answer = await client.post("/translate", content=body, headers=bearer(key))
        assert answer.status_code == 400  # of the text's length


async def test_more_lines_than_a_key_may_send_in_a_minute_are_not_told_to_wait(keys_file, key):
    headers = {**bearer(key), "content-type": "application/x-ndjson"}
    async with door(keys_file, limits={"a_minute": 3}) as (client, _):
        answer = await client.post("/v1/texts", content=b"[]\n" * 4, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_many_lines")
    assert "3 requests a minute" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/v1/texts", "/nothing", "/fails"])
async def test_every_response_says_what_browsers_may_do(keys_file, path):
    async with door(keys_file) as (client, _):
        origin = {"origin": "https://evil.example", "access-control-request-method": "POST"}
        for answer in (await client.get(path), await client.options(path, headers=origin)):
            headers = answer.headers
            assert "default-src 'self'" in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "no-referrer"
            assert headers["cache-control"] == "no-store"
            assert not [name for name in headers if name.startswith("access-control-")]
            assert "strict-transport-security" not in headers
            assert answer.json()["status"] == answer.status_code >= 400


async def test_neither_a_key_nor_a_text_is_logged(keys_file, key, caplog):
    caplog.set_level(logging.DEBUG)
    async with door(keys_file) as (client, port):
        for headers in (bearer(key), bearer(key[:-1]), {"authorization": f"Basic {key}"}, {"x-api-key": key}):
            await client.post("/v1/texts", content=json.dumps({"text": SECRET, "tasks": {}}), headers=headers)
        await client.get(f"/v1/texts?key={key}")
        assert (await client.get("/fails")).status_code == 500
        await raw(port, f"GET {key} {SECRET}\r\n\r\n".encode())
    own = [each for each in caplog.records if not each.name.startswith(("httpx", "httpcore"))]
    for each in own:
        each.exc_text = None  # what pytest has made of it
    logged = "\n".join(map(TextFormatter().format, own))
    assert "a request failed: GET /fails" in logged
    assert "RuntimeError" in logged
    assert key.split("_", 2)[2] not in logged
    assert SECRET not in logged


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(HEAD + b"X: " + b"a" * 10_000, id="a head without end"),
        pytest.param(HEAD + b"Content-Length: 10000\r\n\r\n" + b"a" * 1_000, id="a body, without a key"),
    ],
)
async def test_a_slow_client_is_told_and_let_go(keys_file, monkeypatch, request_):
    monkeypatch.setattr(gate, "BODY_S", 0.4)
    async with door(keys_file, head_s=0.4) as (_, port):
        began = time.monotonic()
        head, rest = request_[:200], request_[200:]
        answer = await raw(port, head + rest, pause_s=0.005)
        assert time.monotonic() - began < 5
    assert answer.startswith((b"HTTP/1.1 408", b"HTTP/1.1 401"))
    assert b"connection: close" in answer.lower()


async def test_a_client_that_asks_nothing_is_let_go(keys_file):
    async with door(keys_file, head_s=0.3) as (_, port):
        assert (await asyncio.wait_for(raw(port, b""), 10)).startswith(b"HTTP/1.1 408")


async def test_a_handshake_has_a_time(keys_file, tmp_path):
    tls = tls_context(*self_signed(tmp_path / "door", "door", "127.0.0.1"))
    async with door(keys_file, head_s=0.3, tls=tls) as (_, port):
        assert await asyncio.wait_for(raw(port, b""), 10) == b""


async def test_a_slow_body_with_a_key_is_told_and_let_go(keys_file, key, monkeypatch):
    monkeypatch.setattr(gate, "BODY_S", 0.4)
    head = HEAD + f"Authorization: Bearer {key}\r\nContent-Length: 1000\r\n\r\n".encode()
    async with door(keys_file) as (_, port):
        answer = await raw(port, head + b"a" * 500, pause_s=0.002)
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"slow_body" in answer


async def test_a_client_that_asks_again_slowly_on_the_same_connection_is_let_go(keys_file):
    async with door(keys_file, head_s=0.5) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await reader.readuntil(b"}\n")).startswith(b"HTTP/1.1 404")
        answer = asyncio.create_task(read_all(reader))
        for _ in range(50):
            if answer.done():
                break
            writer.write(b"G")
            await asyncio.sleep(0.05)
        assert (await answer).startswith(b"HTTP/1.1 408")
        writer.close()


async def test_a_client_that_reads_nothing_is_let_go(keys_file, monkeypatch):
    monkeypatch.setattr(server, "WRITE_S", 0.3)
    async with door(keys_file) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1_000)
        writer.write(b"GET /long HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await asyncio.sleep(1.0)
        assert len(await read_all(reader)) < 20_000_000
        writer.close()


async def test_two_hundred_clients_of_a_byte_a_second_do_not_keep_others_out(keys_file, key, monkeypatch):
    monkeypatch.setattr(gate, "BODY_S", 2.0)
    body = HEAD + f"Authorization: Bearer {key}\r\nContent-Length: 900\r\n\r\n".encode()
    async with door(keys_file, head_s=2.0) as (client, port):

        async def slow(begin):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(begin)
            answer = asyncio.create_task(read_all(reader))
            while not answer.done():
                writer.write(b"a")
                await asyncio.wait({answer}, timeout=1.0)
            writer.close()
            return await answer

        began = time.monotonic()
        crowd = [asyncio.create_task(slow(HEAD + b"X: " if n % 2 else body)) for n in range(200)]
        took = []
        while not all(each.done() for each in crowd):
            start = time.monotonic()
            assert (await client.post("/v1/texts", content=b"{}", headers=bearer(key))).status_code == 422
            took.append(time.monotonic() - start)
            await asyncio.sleep(0.02)
        assert all(answer.startswith(b"HTTP/1.1 408") for answer in await asyncio.gather(*crowd))
        assert time.monotonic() - began < 20
    assert len(took) > 5
    assert statistics.median(took) < 0.5


async def test_connections_in_all_are_bounded(keys_file):
    async with door(keys_file, connections=3) as (_, port):
        opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        assert (await raw(port, b"")).startswith(b"HTTP/1.1 503")
        opened[0][1].close()
        await asyncio.sleep(0.1)
        request = b"GET /nothing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        assert (await raw(port, request)).startswith(b"HTTP/1.1 404")
        for _, writer in opened:
            writer.close()


async def test_each_key_has_requests_a_minute_of_its_own(keys_file, key):
    other, _ = add_key(keys_file, "other", "/web")
    async with door(keys_file, limits={"a_minute": 3}) as (client, _):
        answers = [await client.post("/v1/texts", content=b"{}", headers=bearer(key)) for _ in range(4)]
        assert [each.status_code for each in answers] == [422, 422, 422, 429]
        assert (answers[-1].json()["code"], answers[-1].headers["retry-after"]) == ("too_many_requests", "20")
        assert (await client.post("/v1/texts", content=b"{}", headers=bearer(other))).status_code == 422


def test_requests_of_a_key_come_back_with_time_and_what_is_open_does_not():
    clock = Clock()
    limits = KeyLimits(60, 2, 1, clock)
    held = [RequestHold(), RequestHold(), RequestHold()]
    limits.enter(held[0], "a")
    limits.enter(held[1], "a")
    with pytest.raises(Problem, match="open requests"):
        limits.enter(held[2], "a")
    limits.enter_stream(held[0])
    with pytest.raises(Problem, match="open streams"):
        limits.enter_stream(held[1])
    limits.leave(held[0])
    limits.leave(held[0])
    limits.enter_stream(held[1])
    limits.spend("a", 58)
    with pytest.raises(Problem, match="try again in 3 s"):
        limits.spend("a", 3)
    clock.now_s += 3
    limits.spend("a", 3)
    limits.spend("b", 60)


@pytest.mark.parametrize(("proxies", "secure"), [((), False), (("10.0.0.0/8",), False), (("127.0.0.0/8",), True)])
async def test_forwarded_headers_count_from_named_proxies_alone(keys_file, proxies, secure):
    async with door(keys_file, proxies=proxies) as (client, _):
        answer = await client.get("/nothing", headers={"x-forwarded-proto": "https", "x-forwarded-for": "1.2.3.4"})
    assert ("strict-transport-security" in answer.headers) is secure


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("proxies", ["*"]),
        ("proxies", ["0.0.0.0/0"]),
        ("proxies", ["::/0"]),
        ("proxies", ["proxy"]),
        ("hosts", ["*"]),
        ("hosts", ["*.example.com"]),
        ("hosts", ["example.com:443"]),
        ("hosts", [""]),
    ],
)
def test_settings_that_would_let_anybody_in_are_refused(name, value):
    with pytest.raises(ValidationError, match=name):
        GatewaySection.model_validate({name: value})
    assert GatewaySection.model_validate({"hosts": ["Door.example"], "proxies": ["10.0.0.0/8", "::1"]})


async def test_https_by_files(keys_file, tmp_path):
    cert, cert_key = self_signed(tmp_path / "door", "door", "127.0.0.1")
    _, foreign_key = self_signed(tmp_path / "other", "other", "127.0.0.1")
    context = ssl.create_default_context(cafile=str(cert))
    async with door(keys_file, tls=tls_context(cert, cert_key)) as (_, port):
        async with httpx.AsyncClient(verify=context) as client:
            answer = await client.get(f"https://127.0.0.1:{port}/nothing")
        assert answer.status_code == 404
        assert "strict-transport-security" in answer.headers
    with pytest.raises(UserError, match="go together"):
        tls_context(cert, None)
    with pytest.raises(UserError, match="No such file"):
        tls_context(cert, tmp_path / "none")
    with pytest.raises(UserError, match="MISMATCH"):
        tls_context(cert, foreign_key)
