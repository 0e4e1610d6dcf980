"""What open pages get as it comes: server-sent events whose data is HTML."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from starlette.responses import StreamingResponse

from sprat_gateway.page.pages import Page
from sprat_gateway.page.queries import LiveFilter, Viewer, live, one_text
from sprat_gateway.page.store import now_ms

LIVE_S: Final = 1.0
"""Between two looks for new rows: with the rows of one look, it bounds what a browser draws."""
PATH_S: Final = 0.3
_QUIET: Final = 15.0
"""After so many seconds without an event, a comment keeps proxies from closing the connection."""


def event_stream(events: AsyncIterator[bytes]) -> StreamingResponse:
    """Return a response of events that nobody keeps or gathers on the way."""
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(events, media_type="text/event-stream", headers=headers)


async def live_events(page: Page, viewer: Viewer, wanted: LiveFilter, after: int | None) -> AsyncIterator[bytes]:
    """Return the rows that come after a place, once a second; None: from now on."""
    quiet = 0.0
    yield KEEPALIVE_COMMENT  # the headers leave with it: a browser knows that it is connected
    while True:
        seen = await page.read(live, viewer, wanted, after, now_ms())
        if seen.rows:
            quiet = 0.0
            yield format_sse_event(data_str=page.html("_live_rows.html", seen=seen, fresh=True), id=str(seen.last))
        elif (quiet := quiet + LIVE_S) >= _QUIET:
            quiet = 0.0
            yield KEEPALIVE_COMMENT
        after = seen.last
        await asyncio.sleep(LIVE_S)


async def text_events(
    page: Page, viewer: Viewer, uuid: str, seq: int | None, values: dict[str, Any]
) -> AsyncIterator[bytes]:
    """Return the path of a text at each change after `seq`, until it is complete or expires."""
    quiet = 0.0
    yield KEEPALIVE_COMMENT
    while (seen := await page.read(one_text, viewer, uuid, now_ms())) is not None:
        if seen.seq != seq:
            quiet, seq = 0.0, seen.seq
            trace_url = page.trace(seen.trace_id)
            html = page.html("_text.html", seen=seen, trace_url=trace_url, **values)
            yield format_sse_event(data_str=html, id=str(seq))
        elif (quiet := quiet + PATH_S) >= _QUIET:
            quiet = 0.0
            yield KEEPALIVE_COMMENT
        if seen.complete:
            break
        await asyncio.sleep(PATH_S)
    yield format_sse_event(event="complete", data_str="")
