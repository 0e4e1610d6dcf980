"""Sprat's own shape: `/v1/texts` takes the event's body, and answers with Results or where they will be."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request
from fastapi.sse import EventSourceResponse, format_sse_event
from pydantic_core import to_json
from starlette.responses import Response, StreamingResponse

from sprat.telemetry import signals
from sprat_contracts import TextSubmitted, Traceparent
from sprat_gateway.door import MAX_WAIT_S, Door
from sprat_gateway.http.callers import Caller, admission_of, needs
from sprat_gateway.http.gate import MAX_RECORD, NDJSON, check_depth, content_type
from sprat_gateway.http.hang_ups import unless_gone
from sprat_gateway.http.problems import Json, Problem
from sprat_gateway.replies.waiters import TextOutcome
from sprat_gateway.shapes.openapi import ANSWERS, described

DEFAULT_WAIT_S: Final = 2.0
MAX_LINES: Final = 1_000
"""Texts of one request."""
_WAIT: Final = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,4})\"?(?=$|[,;\s])")
_LINE: Final = "/v1/texts line"
"""In metrics, the route of one line of NDJSON: the response itself has begun with 200."""
_ALIVE_S: Final = 15.0
"""A stream without an event for so long has a comment: proxies close connections that are silent."""

Sender = Annotated[Caller, Depends(needs("send"))]
router = APIRouter()


def wait_of(prefer: str | None) -> float:
    """Return the seconds that `Prefer: wait=N` (RFC 7240) asks for, at most 30; 2 where it names none."""
    found = _WAIT.search(prefer or "")
    return DEFAULT_WAIT_S if found is None else min(float(found[1]), MAX_WAIT_S)


def id_of(request: Request) -> str | None:
    """Return the id that `Idempotency-Key` names, bare or as the quoted string of the IETF's draft."""
    key = request.headers.get("idempotency-key")
    return key if key is None else key.removeprefix('"').removesuffix('"')


def body_of(outcome: TextOutcome) -> dict[str, Any]:
    """Return what is known of a text as JSON."""
    return {
        "uuid": outcome.uuid,
        "id": outcome.id,
        "source": outcome.source,
        "complete": outcome.complete,
        "results": {task: result.model_dump(mode="json") for task, result in outcome.results.items()},
        "rejected": [{"task": each.task, "code": each.code, "detail": each.detail} for each in outcome.rejected],
    }


def answer_of(outcome: TextOutcome) -> tuple[int, dict[str, Any]]:
    """Return 200 or 202 and the body.

    Raises:
        Problem: 422, the text was rejected.
    """
    if (refused := outcome.refused) is not None:
        raise Problem(422, refused.code, refused.detail, field=None, id=outcome.id)
    return 200 if outcome.complete else 202, body_of(outcome)


def response_of(outcome: TextOutcome) -> Response:
    """Return 200 with all Results, 202 with where they will be, or the error of a text that was rejected."""
    status, body = answer_of(outcome)
    headers = {"Location": f"/v1/texts/{outcome.uuid}", "Retry-After": "1"} if status == 202 else None
    return Json(body, status, headers)


@router.post("/v1/texts", openapi_extra=described(TextSubmitted, NDJSON), responses=ANSWERS)
async def submit(request: Request, caller: Sender) -> Response:
    """Publish a text, or one for each line of NDJSON, and wait for the Results."""
    body = await request.body()
    if content_type(request.headers) == NDJSON:
        return _lines_response(request, caller, body)
    trace = Traceparent.parse(request.headers.get("traceparent"))
    outcome = await unless_gone(request, _submit(request, caller, body, id_of(request), trace))
    return response_of(outcome)


@router.get("/v1/texts/{uuid}", responses=ANSWERS)
async def find(request: Request, uuid: str, caller: Sender) -> Response:
    """Return what is known of a text."""
    door: Door = request.app.state.door
    outcome = await door.find(caller, uuid)
    if outcome is None:
        raise _not_found()
    return response_of(outcome)


@router.get("/v1/texts/{uuid}/events")
async def events(request: Request, uuid: str, caller: Sender) -> Response:
    """Send what is known of a text, and each change until it is complete, as server-sent events."""
    door: Door = request.app.state.door
    outcomes = door.events(caller, uuid)
    first = await anext(outcomes, None)
    if first is None:
        raise _not_found()
    changes = admission_of(request).stream(request, caller, outcomes)
    return EventSourceResponse(_stream(first, changes))


async def _stream(first: TextOutcome, outcomes: AsyncIterator[TextOutcome]) -> AsyncIterator[bytes]:
    outcome: TextOutcome | None = first
    following: asyncio.Future[TextOutcome | None] | None = None
    try:
        while outcome is not None:
            yield format_sse_event(data_str=to_json(body_of(outcome)).decode(), event="outcome")
            following = asyncio.ensure_future(anext(outcomes, None))
            while not (await asyncio.wait({following}, timeout=_ALIVE_S))[0]:
                yield b": waiting\n\n"
            outcome = following.result()
    finally:
        if following is not None:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


def _not_found() -> Problem:
    return Problem(404, "not_found", "there is no such text, or no longer, or it is not this key's")


async def _submit(
    request: Request, caller: Caller, body: bytes, id: str | None, trace: Traceparent | None = None
) -> TextOutcome:
    door: Door = request.app.state.door
    wait_s = wait_of(request.headers.get("prefer"))
    return await door.submit(caller, body, id=id, wait_s=wait_s, traceparent=trace)


def _lines_response(request: Request, caller: Caller, body: bytes) -> Response:
    """Return a line for each line, in their order: its number, its status, and what a text alone would get."""
    lines = [(number, line) for number, line in enumerate(body.split(b"\n"), 1) if line.strip()]
    if len(lines) > MAX_LINES:
        raise Problem(413, "too_many_lines", f"the body has {len(lines)} texts; send at most {MAX_LINES} at once")
    limits = admission_of(request).limits
    if len(lines) > limits.a_minute:  # no waiting would help
        detail = f"the body has {len(lines)} texts; this key may send {limits.a_minute} requests a minute, each counts"
        raise Problem(413, "too_many_lines", detail)
    limits.spend(caller.key_id, max(0, len(lines) - 1))
    key = id_of(request)

    async def answered(number: int, line: bytes) -> bytes:
        try:
            _check_line(line)
            id = None if key is None else f"{key}/{number}"
            status, answer = answer_of(await _submit(request, caller, line, id))
        except Problem as problem:
            status, answer = problem.status, problem.body
        signals.GATEWAY_REQUESTS.add(1, route=_LINE, http_result=str(status))
        return to_json({"line": number, "status": status, **_without_status(answer)}) + b"\n"

    async def written() -> AsyncIterator[bytes]:
        # All at once: they wait together, and the first answer does not hold back the publishing of the last text.
        tasks = [asyncio.create_task(answered(number, line)) for number, line in lines]
        try:
            for task in tasks:
                yield await task
        finally:
            for task in tasks:
                task.cancel()

    return StreamingResponse(written(), media_type="application/x-ndjson")


def _check_line(line: bytes) -> None:
    if len(line) > MAX_RECORD:
        raise Problem(413, "too_large", f"the line is larger than {MAX_RECORD // 1024} KiB")
    check_depth(line)


def _without_status(answer: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name != "status"}
