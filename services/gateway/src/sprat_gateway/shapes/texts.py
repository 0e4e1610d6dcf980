"""Sprat's own shape: `POST /v1/texts` takes the event's body, and answers with Results or where they will be."""

import re
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from sprat_gateway.door import MAX_WAIT_S, Door
from sprat_gateway.http.callers import Caller, needs
from sprat_gateway.http.problems import Problem
from sprat_gateway.replies.waiters import TextOutcome

DEFAULT_WAIT_S: Final = 2.0
_WAIT: Final = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,4})\"?(?=$|[,;\s])")

router = APIRouter()


def wait_of(prefer: str | None) -> float:
    """Return the seconds that `Prefer: wait=N` (RFC 7240) asks for, at most 30; 2 where it names none."""
    found = _WAIT.search(prefer or "")
    return DEFAULT_WAIT_S if found is None else min(float(found[1]), MAX_WAIT_S)


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


def response_of(outcome: TextOutcome) -> Response:
    """Return 200 with all Results, 202 with where they will be, or the error of a text that was rejected."""
    rejected = next((each for each in outcome.rejected if each.task is None), None)
    if rejected is not None:
        raise Problem(422, rejected.code, rejected.detail)
    if outcome.complete:
        return JSONResponse(body_of(outcome))
    return JSONResponse(body_of(outcome), 202, headers={"Location": f"/v1/texts/{outcome.uuid}", "Retry-After": "1"})


@router.post("/v1/texts")
async def submit(request: Request, caller: Annotated[Caller, Depends(needs("send"))]) -> Response:
    """Publish a text and wait for its Results."""
    door: Door = request.app.state.door
    outcome = await door.submit(
        caller,
        await request.body(),
        id=request.headers.get("idempotency-key"),
        wait_s=wait_of(request.headers.get("prefer")),
    )
    return response_of(outcome)
