"""The parts of a soak that stand between others: the proxy before the brokers, and what the provider writes down."""

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import httpx

from sprat_simulator.__main__ import build
from sprat_simulator.settings import SimulatorSettings
from tests.soak.provider import Recorded, cut_file
from tests.soak.proxy import HOST, End, Route

TEXT = "move 5 euros"
ASKED = {"model": "m", "messages": [{"role": "user", "content": json.dumps({"text": TEXT, "language": "en"})}]}


@asynccontextmanager
async def listening(protocol) -> AsyncIterator[int]:
    """Serve on a port, and give it."""
    server = await asyncio.get_running_loop().create_server(protocol, HOST, 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(HOST, port)
    yield reader, writer
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


class Echo(asyncio.Protocol):
    """Says what it hears."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


async def said(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes) -> float:
    """Say something, wait until it comes back, and return how long that took."""
    began = time.monotonic()
    writer.write(data)
    assert await reader.readexactly(len(data)) == data
    return time.monotonic() - began


async def ended(reader: asyncio.StreamReader) -> bool:
    """Return whether the other end is gone."""
    try:
        return not await reader.read(1)
    except ConnectionError:
        return True


async def test_a_slow_route_delays_each_way_and_keeps_the_order_when_it_is_fast_again():
    async with listening(Echo) as echo:
        route = Route(echo)
        async with listening(lambda: End(route)) as port, connected(port) as (reader, writer):
            await said(reader, writer, b"fast")
            route.delay_s = 0.15
            assert await said(reader, writer, b"slow") >= 0.3
            writer.write(b"first")
            await asyncio.sleep(0.05)  # it is on its way, and late
            route.delay_s = 0.0
            writer.write(b"second")
            assert await reader.readexactly(11) == b"firstsecond"


async def test_a_cut_route_ends_connections_and_refuses_others_until_it_is_whole_again():
    async with listening(Echo) as echo:
        route = Route(echo)
        async with listening(lambda: End(route)) as port:
            async with connected(port) as (reader, writer):
                await said(reader, writer, b"before")
                route.change(echo, cut=True)
                assert await ended(reader)
            async with connected(port) as (reader, writer):
                assert await ended(reader)
            route.change(echo)
            async with connected(port) as (reader, writer):
                await said(reader, writer, b"after")


async def test_a_connection_to_a_broker_that_is_away_ends():
    async with listening(Echo) as free:
        pass
    async with listening(lambda: End(Route(free))) as port, connected(port) as (reader, _):
        assert await ended(reader)


async def test_what_the_provider_receives_is_written_down_by_its_hash_before_it_is_answered(tmp_path):
    log = tmp_path / "provider.jsonl"
    app = Recorded(build(SimulatorSettings(invent=True), {}), log)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://provider") as client:
        answer = await client.post("/v1/chat/completions", json=ASKED)
        await client.get("/healthz")
    assert answer.json()["choices"]
    (line,) = log.read_text().splitlines()
    assert hashlib.sha256(TEXT.encode()).hexdigest() in json.loads(line)["texts"]
    assert TEXT not in line


async def test_a_provider_that_is_cut_ends_its_answers_in_their_middle(tmp_path):
    log = tmp_path / "provider.jsonl"
    app = Recorded(build(SimulatorSettings(invent=True), {}), log)
    cut_file(log).touch()
    sent = []

    async def receive():
        return {"type": "http.request", "body": json.dumps(ASKED).encode(), "more_body": False}

    async def send(message):
        sent.append(message)

    await app({"type": "http", "path": "/v1/chat/completions"}, receive, send)
    assert [each["type"] for each in sent] == ["http.response.start", "http.response.body"]
    assert int(dict(sent[0]["headers"])[b"content-length"]) > len(sent[1]["body"])
    assert len(log.read_text().splitlines()) == 1
