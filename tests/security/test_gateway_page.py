"""The page over HTTP: what texts say is hidden unless who may asks for it, each look is logged, markup is text."""

import asyncio
import logging
import time
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import pytest

from sprat_contracts import BUILT_IN, TASKS, Egress, IntentOutput, ids
from sprat_gateway.page.answers import PageAnswers
from sprat_gateway.page.pages import Page
from sprat_operations.api_keys import add_key
from support.front_door import admission, door_app, served
from support.page_store import filled_store
from support.traced_records import SAID, TracedText

EVIL = "<script>alert(1)</script>"
SENT = "the words of [PERSON_1]"


@asynccontextmanager
async def page_of(folder, *records):
    """Serve a page over a store with these records; give what gets an address with a key of some roles."""
    keys = {
        name: add_key(folder / "keys.json", "acme", "/crm", roles)[0]
        for name, roles in {"reader": ("read-texts",), "sender": ("send",)}.items()
    }
    async with AsyncExitStack() as stack:
        filled = await stack.enter_async_context(filled_store(folder / "store", *records))
        page = Page(filled.store, BUILT_IN, "http://127.0.0.1:9/{trace_id}")
        app = door_app(admission(folder / "keys.json"), answers=PageAnswers(filled.store, TASKS), page=page)
        port = await stack.enter_async_context(served(app))
        client = await stack.enter_async_context(httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20))

        async def get(path, key="reader", **headers):
            """Return the response; of a stream, what comes in its first second."""
            request = client.build_request("GET", path, headers={"authorization": f"Bearer {keys[key]}", **headers})
            answer = await client.send(request, stream=True)
            answer.read_text = ""
            try:
                async with asyncio.timeout(1 if "changes" in path or "rows" in path else 20):
                    async for piece in answer.aiter_text():
                        answer.read_text += piece
            except TimeoutError:
                pass
            await answer.aclose()
            return answer

        yield get


def text(id="order-7", **more):
    made = TracedText(id, "/crm", tenant="acme", **more)
    made.began = time.time_ns() // 1_000_000 - 5_000
    return made, str(ids.derive(ids.TEXT, "/crm", id))


def escalated(way):
    left = Egress(left=True, provider="mistral", region="eu", call_id="call-1")
    return way.text(), way.request(), way.call("attempt", 30), way.answer(sent=SENT, egress=left)


def looks(caplog):
    return [line for line in caplog.records if line.message == "a text is shown"]


@pytest.mark.parametrize("part", ["", "/changes"])
async def test_a_text_is_shown_where_it_is_asked_for_and_each_look_is_logged(tmp_path, caplog, part):
    caplog.set_level(logging.INFO)
    way, uuid = text()
    async with page_of(tmp_path, *escalated(way)) as get:
        hidden = await get(f"/page/texts/{uuid}{part}")
        assert hidden.status_code == 200
        assert "mistral" in hidden.read_text
        assert SAID not in hidden.read_text
        assert SENT not in hidden.read_text
        assert not looks(caplog)
        shown = await get(f"/page/texts/{uuid}{part}?show=1")
        assert SAID in shown.read_text
        assert SENT in shown.read_text
        (look,) = looks(caplog)
        assert look.text_uuid == uuid
        assert look.key_id
        assert SAID not in caplog.text


@pytest.mark.parametrize("part", ["", "/changes"])
async def test_a_key_without_the_role_sees_no_text(tmp_path, caplog, part):
    caplog.set_level(logging.INFO)
    way, uuid = text()
    async with page_of(tmp_path, *escalated(way)) as get:
        answer = await get(f"/page/texts/{uuid}{part}?show=1", "sender")
    assert answer.status_code == 200
    assert SAID not in answer.read_text
    assert SENT not in answer.read_text
    assert not looks(caplog)


@pytest.mark.parametrize("path", ["/page/", "/page/live", "/page/live/rows?after=0", "/page/texts/UUID?show=1"])
async def test_markup_in_a_record_is_text(tmp_path, path):
    way, uuid = text(EVIL)
    output = IntentOutput(label=EVIL)
    async with page_of(tmp_path, way.text(), way.result(output=output, reason=EVIL)) as get:
        answer = await get(path.replace("UUID", uuid))
    assert answer.status_code == 200
    assert EVIL not in answer.read_text
    assert ("&lt;script&gt;" in answer.read_text) is (path != "/page/")


async def test_a_screen_is_kept_by_no_cache_and_a_file_by_each(tmp_path):
    async with page_of(tmp_path) as get:
        for path in ("/page/", "/page/live/rows"):
            assert (await get(path)).headers["cache-control"] == "no-store"
        file = await get("/page/static/page.css")
        assert "immutable" in file.headers["cache-control"]
        assert (await get("/page/static/..%2Fpages.py")).status_code == 404


async def test_an_address_with_a_part_that_does_not_fit_says_so_as_a_page(tmp_path):
    async with page_of(tmp_path) as get:
        answer = await get("/page/?span=year")
    assert answer.status_code == 422
    assert answer.headers["content-type"].startswith("text/html")


async def test_htmx_gets_the_part_that_changes(tmp_path):
    async with page_of(tmp_path) as get:
        whole, part = await get("/page/"), await get("/page/", **{"hx-request": "true"})
    assert "<html" in whole.read_text
    assert "<html" not in part.read_text
    assert part.headers["vary"] == "HX-Request"
