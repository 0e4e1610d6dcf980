"""The page: a route for each screen. Texts of another tenant or source do not exist for a key."""

from dataclasses import asdict
from typing import Annotated, Final, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import RedirectResponse, Response

from sprat_contracts import ids
from sprat_contracts.thresholds import LEVELS
from sprat_gateway.http.callers import Caller, admission_of, caller
from sprat_gateway.http.problems import Problem
from sprat_gateway.page import queries
from sprat_gateway.page.pages import PageRoute, may_read, note_look, page_of, viewer_of
from sprat_gateway.page.queries import LiveFilter, Span, WantedGoal
from sprat_gateway.page.queries.overview import SPANS
from sprat_gateway.page.render import ROOT
from sprat_gateway.page.store import now_ms
from sprat_gateway.page.streams import event_stream, live_events, text_events

_NO_TEXT: Final = "there is no text with this address, or it has expired"

router = APIRouter(prefix=ROOT, route_class=PageRoute, include_in_schema=False)
home = APIRouter(include_in_schema=False)
Known = Annotated[Caller, Depends(caller)]


def wanted_rows(task: str = "", status: str = "", decision: str = "", reason: str = "", model: str = "") -> LiveFilter:
    """Return the filter in an address; a field that a form leaves empty filters nothing."""
    return LiveFilter(task or None, status or None, decision or None, reason or None, model or None)


Show = Literal["", "1"]
Place = Annotated[int | None, Query(ge=-1, lt=2**63)]
Wanted = Annotated[LiveFilter, Depends(wanted_rows)]


@home.get("/")
async def lead_to_the_page() -> Response:
    """Lead whoever types the door's address alone to the page."""
    return RedirectResponse(f"{ROOT}/", 303)


@router.get("/static/{name}")
async def static(request: Request, name: str) -> Response:
    """Return a file of the page; it needs no key, as the screen to sign in has none."""
    found = page_of(request).static.get(name)
    if found is None:
        raise Problem(404, "not_found", "there is no such file")
    return Response(
        found.content, media_type=found.kind, headers={"Cache-Control": "public, max-age=31536000, immutable"}
    )


@router.get("/")
async def overview(request: Request, known: Known, span: Span = "hour") -> Response:
    """Screen 1: figures of a span of time."""
    page = page_of(request)
    seen = await page.read(queries.overview, viewer_of(known), span, now_ms())
    return page.screen(request, known, "overview", {"seen": seen, "spans": SPANS})


@router.get("/live")
async def live(request: Request, known: Known, wanted: Wanted) -> Response:
    """Screen 2: the newest Results; the rows that follow come by `live_rows`."""
    page = page_of(request)
    seen = await page.read(queries.live, viewer_of(known), wanted, None, now_ms())
    query = urlencode({name: value for name, value in asdict(wanted).items() if value})
    values = {"seen": seen, "fresh": False, "wanted": asdict(wanted), "query": query, "tasks": sorted(page.tasks)}
    return page.screen(request, known, "live", values)


@router.get("/live/rows")
async def live_rows(request: Request, known: Known, wanted: Wanted, after: Place = None) -> Response:
    """Stream the rows that come: at most 20 a second, and how many there were."""
    place = _last_event(request, after)
    events = live_events(page_of(request), viewer_of(known), wanted, place)
    return event_stream(admission_of(request).stream(request, known, events))


@router.get("/texts")
async def find(request: Request, known: Known, id: str) -> Response:
    """Lead to the text with an id, or with the address that `POST /v1/texts` gave."""
    page = page_of(request)
    for uuid in (str(ids.derive(ids.TEXT, known.source, id.strip())), id.strip()):
        found = await page.read(queries.one_text, viewer_of(known), uuid, now_ms())
        if found is not None:
            return RedirectResponse(f"{ROOT}/texts/{found.uuid}", 303)
    return page.screen(request, known, "found", {"id": id}, 404)


@router.get("/texts/{uuid}")
async def text(request: Request, known: Known, uuid: str, show: Show = "") -> Response:
    """Screen 3: one text's path; what it says only where that is asked for."""
    page, shown = page_of(request), show == "1" and may_read(known)
    seen = await page.read(queries.one_text, viewer_of(known, texts=shown), uuid, now_ms())
    if seen is None:
        raise Problem(404, "not_found", _NO_TEXT)
    if shown:
        note_look(known, seen.uuid)
    values = {"seen": seen, "shown": shown, "may_read": may_read(known), "trace_url": page.trace(seen.trace_id)}
    return page.screen(request, known, "text", values)


@router.get("/texts/{uuid}/changes")
async def text_changes(request: Request, known: Known, uuid: str, seq: Place = None, show: Show = "") -> Response:
    """Stream the path of a text that is under way, until it is complete."""
    page, shown = page_of(request), show == "1" and may_read(known)
    seen = await page.read(queries.one_text, viewer_of(known), uuid, now_ms())
    if seen is None:
        raise Problem(404, "not_found", _NO_TEXT)
    if shown:
        note_look(known, seen.uuid)
    values = {"shown": shown, "may_read": may_read(known)}
    events = text_events(page, viewer_of(known, texts=shown), uuid, _last_event(request, seq), values)
    return event_stream(admission_of(request).stream(request, known, events))


@router.get("/models")
async def models(request: Request, known: Known) -> Response:
    """Screen 6: what serves, and from which confidence on its answers are how often right."""
    page = page_of(request)
    return page.screen(request, known, "models", {"seen": await page.read(queries.models)})


@router.get("/what-if")
async def what_if(
    request: Request,
    known: Known,
    of: str | None = None,
    goal: Annotated[float | None, Query(ge=LEVELS[0], le=LEVELS[-1])] = None,
    evidence: Literal["estimated", "certified"] | None = None,
    lines: Show = "",
) -> Response:
    """Screen 4: what another goal would keep, escalate and cost, beside today's."""
    page, wanted = page_of(request), WantedGoal(of, goal, evidence)
    seen = await page.read(queries.what_if, viewer_of(known), wanted, now_ms())
    on_alarm = page.on_alarm(seen.task, seen.model) if seen else None
    values = {"seen": seen, "levels": LEVELS, "lines": lines == "1", "on_alarm": on_alarm}
    return page.screen(request, known, "what-if", values)


@router.get("/privacy")
async def privacy(request: Request, known: Known, span: Span = "day") -> Response:
    """Screen 7: what left the house."""
    page = page_of(request)
    seen = await page.read(queries.privacy, viewer_of(known), span, now_ms())
    return page.screen(request, known, "privacy", {"seen": seen, "spans": SPANS})


@router.get("/health")
async def health(request: Request, known: Known) -> Response:
    """Screen 8: lag, instances, dead letters."""
    page = page_of(request)
    seen = await page.read(queries.health, viewer_of(known), now_ms())
    return page.screen(request, known, "health", {"seen": seen})


def _last_event(request: Request, given: int | None) -> int | None:
    """Return the place after which a stream goes on: the last one that this browser got, else the page's own."""
    last = request.headers.get("last-event-id", "")
    return int(last) if last.isascii() and last.isdigit() and len(last) < 19 else given
