"""Screen 9: a text goes in by a form, and its path opens while it is under way."""

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any, Final
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from sprat_contracts import BUILT_IN
from sprat_gateway.door import Door
from sprat_gateway.http.callers import Caller, caller, check_role
from sprat_gateway.http.problems import Problem
from sprat_gateway.page.pages import PageRoute, page_of, viewer_of
from sprat_gateway.page.queries import one_text
from sprat_gateway.page.render import ROOT
from sprat_gateway.page.store import now_ms

_ARRIVES_S: Final = 3.0
"""How long the page waits until a text that was just sent is read back from its topic."""
_LOOKS_S: Final = 0.1
_FORM: Final = "application/x-www-form-urlencoded"
_TRANSLATION: Final = "translation"

router = APIRouter(prefix=ROOT, route_class=PageRoute, include_in_schema=False)
Known = Annotated[Caller, Depends(caller)]


@dataclass(frozen=True, slots=True)
class TriedText:
    """What stands in the form."""

    text: str = ""
    tasks: tuple[str, ...] = ("intent",)
    language: str = "auto"
    target: str = "de"
    frontier: str = "redact"

    @property
    def body(self) -> bytes:
        """The body of the text's event. What is not valid in it, the contract says, as for any other client."""
        options = {task: {"target": self.target} if task == _TRANSLATION else {} for task in self.tasks}
        body: dict[str, Any] = {"text": self.text, "tasks": options, "frontier": self.frontier}
        return json.dumps(body | ({"language": self.language} if self.language else {})).encode()


@router.get("/try")
async def form(request: Request, known: Known) -> Response:
    """Show the form."""
    return _form(request, known, TriedText())


@router.post("/try")
async def send(request: Request, known: Known) -> Response:
    """Publish the text of the form, and lead to its path."""
    check_role(known, "send")
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise Problem(415, "media_type", f"a form is sent as {_FORM}")
    given = _given(await request.body())
    door: Door = request.app.state.door
    try:
        outcome = await door.submit(known, given.body, wait_s=0)
    except Problem as problem:
        return _form(request, known, given, problem)
    await _arrived(request, known, outcome.uuid)
    return RedirectResponse(f"{ROOT}/texts/{outcome.uuid}", 303)


def _form(request: Request, known: Caller, given: TriedText, problem: Problem | None = None) -> Response:
    page = page_of(request)
    tasks = [*BUILT_IN, *sorted(set(page.tasks) - set(BUILT_IN))]
    values: dict[str, Any] = {"given": given, "tasks": tasks, "may_send": "send" in known.roles, "problem": problem}
    return page.screen(request, known, "try", values, 200 if problem is None else problem.status)


def _given(body: bytes) -> TriedText:
    """Return the fields of a form; of those that are no text, what the contract then refuses.

    Raises:
        Problem: 400, there are too many.
    """
    try:
        fields = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=100)
    except ValueError:
        raise Problem(400, "too_many_fields", "the form has more fields than the page's own") from None
    named = dict(fields)
    return TriedText(
        named.get("text", "").replace("\r\n", "\n"),
        tuple(value for name, value in fields if name == "task"),
        named.get("language", "").strip(),
        named.get("target", "").strip(),
        named.get("frontier", "deny"),
    )


async def _arrived(request: Request, known: Caller, uuid: str) -> None:
    """Wait until the store has read a text from its topic; not for ever, as it may read behind."""
    page = page_of(request)
    with suppress(TimeoutError):
        async with asyncio.timeout(_ARRIVES_S):
            while True:
                seen = await page.read(one_text, viewer_of(known), uuid, now_ms())
                if seen is not None and seen.hops:
                    return
                await asyncio.sleep(_LOOKS_S)
