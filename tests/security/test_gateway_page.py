"""The page over HTTP: what texts say is hidden unless who may asks for it, each look is logged, markup is text."""

import asyncio
import logging
import time
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import pytest

from sprat_contracts import BUILT_IN, TASKS, Declined, Egress, IntentOutput, NerOutput, ids
from sprat_gateway.page.answers import PageAnswers
from sprat_gateway.page.pages import Page
from sprat_gateway.page.render import euro
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
    assert "span: input should be" in answer.read_text


async def test_a_part_of_an_address_is_not_quoted(tmp_path):
    way, uuid = text()
    async with page_of(tmp_path, way.text()) as get:
        answer = await get(f"/page/texts/{uuid}?show={EVIL}")
    assert answer.status_code == 422
    assert "show: input should be" in answer.read_text
    assert "alert(1)" not in answer.read_text


async def test_the_address_of_the_door_alone_leads_to_the_page(tmp_path):
    async with page_of(tmp_path) as get:
        answer = await get("/")
    assert (answer.status_code, answer.headers["location"]) == (303, "/page/")


async def test_words_of_an_error_show_a_command_as_one(tmp_path):
    async with page_of(tmp_path) as get:
        answer = await get("/page/sign-in?token=used")
    assert answer.status_code == 401
    assert "<code>sprat up</code>" in answer.read_text
    assert "`" not in answer.read_text


@pytest.mark.parametrize(
    ("status", "shown"),
    [("answered", "answered"), ("degraded", "degraded"), ("unanswered", "unanswered")],
)
async def test_the_head_of_a_text_says_the_worst_that_became_of_a_task(tmp_path, status, shown):
    way, uuid = text(tasks=("intent", "ner"))
    other = {"status": status} | ({} if status == "answered" else {"declined": Declined(code="policy")})
    output = None if status == "unanswered" else NerOutput(entities=())
    results = way.result(), way.result(300, "ner", 6, output=output, **other)
    async with page_of(tmp_path, way.text(), *results) as get:
        head = (await get(f"/page/texts/{uuid}")).read_text.partition("</h1>")[2]
    assert head.strip().startswith(f'<span class="tag {shown}">{shown}</span>')


async def test_the_card_of_a_text_says_the_same_cost_as_its_path_and_what_else_left(tmp_path):
    way, uuid = text()
    left = Egress(left=True, provider="mistral", region="eu", call_id="call-1")
    done = way.call("outcome", 190, offset=5, cost_eur=0.000342)
    async with page_of(tmp_path, *escalated(way), done, way.result(egress=left, cost_eur=0.000342)) as get:
        shown = (await get(f"/page/texts/{uuid}")).read_text
    assert shown.count("€0.000342") == 3  # the card, the call and the path
    assert "€0.0003<" not in shown
    assert "instructions, the labels to choose from" in shown


async def test_a_text_that_is_not_read_yet_is_not_said_to_be_thrown_away(tmp_path):
    way, uuid = text()
    async with page_of(tmp_path, way.prediction()) as get:
        shown = (await get(f"/page/texts/{uuid}")).read_text
    assert "not read yet" in shown
    assert "not kept" not in shown


@pytest.mark.parametrize(
    ("amount", "shown"), [(0, "€0.00"), (1.5, "€1.50"), (0.05, "€0.0500"), (0.000342, "€0.000342")]
)
def test_amounts(amount, shown):
    assert euro(amount) == shown


async def test_htmx_gets_the_part_that_changes(tmp_path):
    async with page_of(tmp_path) as get:
        whole, part = await get("/page/"), await get("/page/", **{"hx-request": "true"})
    assert "<html" in whole.read_text
    assert "<html" not in part.read_text
    assert part.headers["vary"] == "HX-Request"
