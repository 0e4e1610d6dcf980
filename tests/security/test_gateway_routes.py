"""Keys × tenants × routes: every route of the door stands here, and nobody reads another's text."""

import asyncio
import json
import time
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

import httpx
import pytest

from sprat.base.settings import KafkaSettings
from sprat.kafka.publisher import Publisher
from sprat.processing.leases import Leases
from sprat_contracts import BUILT_IN, TASKS, ids
from sprat_gateway.page.answer_desk import AnswerDesk, Labelling
from sprat_gateway.page.answers import PageAnswers
from sprat_gateway.page.pages import Page
from sprat_operations.api_keys import ROLES, add_key
from sprat_operations.page_login import make_login
from support.front_door import admission, door_app, served
from support.page_reviews import draw
from support.page_store import filled_store
from support.traced_records import SAID, TracedText

ANYBODY, ANY_KEY, SEND, LABEL = "anybody", "any key", "send", "label"
TEXT = {"text": "x", "tasks": {"intent": {}}}
FORM = {"content-type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True)
class Route:
    """Who may call a route, and how a test calls it."""

    who: str
    body: object = None
    query: str = ""
    streams: bool = False


ROUTES = {
    "GET /openapi.json": Route(ANYBODY),
    "POST /v1/texts": Route(SEND, TEXT),
    "GET /v1/texts/{uuid}": Route(SEND),
    "GET /v1/texts/{uuid}/events": Route(SEND, streams=True),
    "POST /v1/decisions": Route(SEND, {"model": "sprat", "input": "x", "questions": []}),
    "POST /v1/systemone": Route(SEND, {"model": "sprat", "state": "x", "questions": {}}),
    "POST /translate": Route(SEND, {"q": "x", "source": "en", "target": "de"}),
    "POST /detect": Route(SEND, {"q": "x"}),
    "GET /languages": Route(SEND),
    "GET /": Route(ANYBODY),
    "GET /page/static/{name}": Route(ANYBODY),
    "GET /page/sign-in": Route(ANYBODY),
    "POST /page/sign-in": Route(ANYBODY),
    "POST /page/sign-out": Route(ANY_KEY),
    "GET /page/": Route(ANY_KEY, query="?span=day"),
    "GET /page/live": Route(ANY_KEY),
    "GET /page/live/rows": Route(ANY_KEY, query="?after=0", streams=True),
    "GET /page/texts": Route(ANY_KEY, query="?id=ID"),
    "GET /page/texts/{uuid}": Route(ANY_KEY, query="?show=1"),
    "GET /page/texts/{uuid}/changes": Route(ANY_KEY, query="?show=1", streams=True),
    "GET /page/models": Route(ANY_KEY),
    "GET /page/what-if": Route(ANY_KEY),
    "GET /page/privacy": Route(ANY_KEY),
    "GET /page/health": Route(ANY_KEY),
    "GET /page/label": Route(ANY_KEY),
    "POST /page/label": Route(LABEL, "verdict=right&text=UUID&task=intent"),
    "GET /page/try": Route(ANY_KEY),
    "POST /page/try": Route(SEND, "text=x&task=intent"),
}
"""Method and path of each → who may call it. What is not here fails."""
GUARDED = {name: route for name, route in ROUTES.items() if route.who != ANYBODY}
OWN = TracedText("order-4711", "/crm", tenant="acme")
UUID = str(ids.derive(ids.TEXT, OWN.source, OWN.id))
MARKS = (OWN.id, SAID, UUID)
"""What nobody else may see of the text."""
OWNERS = {
    "own": ("acme", "/crm", ROLES),
    "another source": ("acme", "/app", ROLES),
    "another tenant": ("globex", "/crm", ROLES),
    "no role to send": ("acme", "/crm", ("label",)),
    "only to label": ("acme", "/crm", ("label", "read-texts")),
}


@dataclass(frozen=True)
class Door:
    """A door that knows one text of acme's, and keys."""

    app: object
    client: httpx.AsyncClient
    keys: dict
    keys_file: object
    entries: dict

    async def call(self, name, headers=(), **more):
        """Return status and body of a route; of a stream, what comes in its first half second."""
        route, (method, path) = ROUTES[name], name.split(" ")
        path = path.format(uuid=UUID, name="page.css") + route.query.replace("ID", OWN.id)
        if isinstance(route.body, str):
            more["content"], headers = route.body.replace("UUID", UUID), {**FORM, **dict(headers)}
        elif route.body is not None:
            more["json"] = route.body
        request = self.client.build_request(method, path, headers=dict(headers), **more)
        answer = await self.client.send(request, stream=True)
        read = b""
        try:
            async with asyncio.timeout(0.5 if route.streams else 20):
                async for piece in answer.aiter_raw():
                    read += piece
        except TimeoutError:
            assert route.streams, f"{name} does not end"
        await answer.aclose()
        return answer.status_code, read.decode()

    def bearer(self, who):
        return {"authorization": f"Bearer {self.keys[who]}"}


@asynccontextmanager
async def door(folder):
    way = TracedText(OWN.id, OWN.source, tenant=OWN.tenant)
    way.began = time.time_ns() // 1_000_000 - 5_000
    keys_file = folder / "keys.json"
    made = {who: add_key(keys_file, *owner) for who, owner in OWNERS.items()}
    async with AsyncExitStack() as stack:
        filled = await stack.enter_async_context(filled_store(folder / "store", *way.whole(), draw(way)))
        desk = AnswerDesk(Publisher(KafkaSettings(), "test"), "feedback")
        page = Page(filled.store, BUILT_IN, labelling=Labelling(desk, Leases(None, "")))
        app = door_app(admission(keys_file), answers=PageAnswers(filled.store, TASKS), page=page)
        port = await stack.enter_async_context(served(app))
        client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20)
        await stack.enter_async_context(client)
        keys, entries = ({who: each[n] for who, each in made.items()} for n in (0, 1))
        yield Door(app, client, keys, keys_file, entries)


def routes_of(router, prefix=""):
    """Return method and path of every route, also of routers in routers and of mounted applications."""
    for each in router.routes:
        included = getattr(each, "original_router", None)
        if included is not None:
            yield from routes_of(included, prefix + each.include_context.prefix)
        elif hasattr(each, "methods"):
            yield from (f"{method} {prefix}{each.path}" for method in each.methods - {"HEAD"})
        else:
            yield f"MOUNT {prefix}{each.path}"


async def test_every_route_is_listed_here(tmp_path):
    async with door(tmp_path) as open_:
        assert set(routes_of(open_.app.router)) == set(ROUTES)


async def test_no_route_without_a_key(tmp_path):
    async with door(tmp_path) as open_:
        wrong = open_.keys["own"][:-1] + ("A" if open_.keys["own"][-1] != "A" else "B")
        for name in GUARDED:
            for headers in ({}, {"authorization": f"Bearer {wrong}"}, {"authorization": open_.keys["own"]}):
                status, body = await open_.call(name, headers)
                assert status == 401, (name, headers)
                assert not [mark for mark in MARKS if mark in body], name


async def test_a_route_that_sends_needs_the_role(tmp_path):
    async with door(tmp_path) as open_:
        for name, route in GUARDED.items():
            status, _ = await open_.call(name, open_.bearer("no role to send"))
            assert (status == 403) is (route.who in {SEND, LABEL}), (name, status)  # it has `label`, and reads no text
            status, _ = await open_.call(name, open_.bearer("only to label"))
            assert (status == 403) is (route.who == SEND), (name, status)


async def test_no_write_by_cookie_from_elsewhere(tmp_path):
    async with door(tmp_path) as open_:
        token = make_login(open_.keys_file, open_.entries["own"].id)
        assert (await open_.client.get("/page/sign-in", params={"token": token})).status_code == 200
        for name in GUARDED:
            status, _ = await open_.call(name, {"origin": "https://evil.example", "sec-fetch-site": "cross-site"})
            assert (status == 403) is name.startswith("POST"), (name, status)


async def test_nobody_sees_a_text_of_another_tenant_or_source(tmp_path):
    async with door(tmp_path) as open_:
        seen = {who: {} for who in OWNERS}
        for name in GUARDED:
            if name.startswith("GET"):
                for who in OWNERS:
                    seen[who][name] = await open_.call(name, open_.bearer(who))
    for name, (status, body) in seen["own"].items():
        assert status in {200, 303}, (name, status, body)
    own = {name for name, (_, body) in seen["own"].items() if any(mark in body for mark in MARKS)}
    # The test would show nothing if the owner did not see it where it is shown.
    assert {"GET /v1/texts/{uuid}", "GET /v1/texts/{uuid}/events", "GET /page/texts/{uuid}", "GET /page/live"} <= own
    assert SAID in seen["own"]["GET /page/label"][1]
    for who in ("another source", "another tenant"):
        for name, (status, body) in seen[who].items():
            asked_by_name = "{uuid}" in name or name == "GET /page/texts"
            assert status == (404 if asked_by_name else 200), (who, name, status)
            found = [mark for mark in MARKS if mark in body and not (name == "GET /page/texts" and mark == OWN.id)]
            assert not found, (who, name, found)
    shown = [name for name, (_, body) in seen["another tenant"].items() if OWN.tenant in body]
    assert not shown
    without_role = seen["no role to send"]["GET /page/texts/{uuid}"]
    assert without_role[0] == 200
    assert SAID not in without_role[1] + seen["no role to send"]["GET /page/label"][1]
    assert SAID in seen["own"]["GET /page/texts/{uuid}"][1]


async def test_a_review_is_answered_by_its_own_tenant_and_source_alone(tmp_path):
    async with door(tmp_path) as open_:
        for who, status in {"another source": 409, "another tenant": 409, "own": 303}.items():
            answered = await open_.call("POST /page/label", open_.bearer(who))
            assert answered[0] == status, (who, answered)


@pytest.mark.parametrize("body", [{**TEXT, "tenant": "globex"}])
async def test_a_key_speaks_for_its_tenant_alone(tmp_path, body):
    async with door(tmp_path) as open_:
        answer = await open_.client.post("/v1/texts", content=json.dumps(body), headers=open_.bearer("own"))
        assert (answer.status_code, answer.json()["code"]) == (403, "foreign_tenant")


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/page/live/rows?after=99999999999999999999", {}),
        (f"/page/texts/{UUID}/changes?seq=99999999999999999999", {}),
        ("/page/live/rows?after=0", {"last-event-id": "9999999999999999999"}),
    ],
)
async def test_a_place_that_is_no_number_of_the_store_does_not_make_it_fail(tmp_path, caplog, path, headers):
    async with door(tmp_path) as open_:
        with suppress(httpx.TimeoutException):
            await open_.client.get(path, headers={**headers, **open_.bearer("own")}, timeout=1)
    assert "failed" not in caplog.text
