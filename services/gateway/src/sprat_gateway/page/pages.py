"""How a screen is answered: its template for a browser, a part of it for htmx, and an error as a page."""

import logging
import sqlite3
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Concatenate, Final, ParamSpec, TypeVar
from urllib.parse import quote

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from jinja2 import Environment
from starlette.responses import HTMLResponse, Response

from sprat_contracts import TaskTable
from sprat_gateway.http.callers import Caller, admission_of
from sprat_gateway.http.problems import Problem
from sprat_gateway.page.answer_desk import Labelling
from sprat_gateway.page.queries.viewer import Viewer
from sprat_gateway.page.render import ROOT, StaticFile, environment, static_files
from sprat_gateway.page.store import PageStore, QueryTooSlow
from sprat_policy import OnAlarm, Policy

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

REFRESH_S: Final = 5
"""How often a screen of figures asks for new ones."""
_NEVER_KEPT: Final = {"Cache-Control": "no-store"}
_HEADINGS: Final = {
    401: "Sign in",
    403: "Not for this key",
    404: "Not found",
    422: "Address not valid",
    429: "Too many requests",
}


@dataclass(frozen=True)
class Page:
    """What the screens share; it stands in `app.state.page`."""

    store: PageStore
    tasks: TaskTable
    trace_url: str | None = None
    labelling: Labelling | None = None
    """Where people's answers go; None: nowhere."""
    policy: Policy | None = None
    """None: this gateway has none, but the router may."""
    static: dict[str, StaticFile] = field(default_factory=static_files)

    def __post_init__(self) -> None:
        object.__setattr__(self, "templates", environment(self.static))

    templates: Environment = field(init=False)

    async def read(
        self, query: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Return what a query finds.

        Raises:
            Problem: 503, the store does not answer in time.
        """
        try:
            return await self.store.read_for_screen(query, *args, **kwargs)
        except QueryTooSlow:
            raise Problem(503, "store_busy", "the page's store does not answer in time: load the page again") from None

    def html(self, template: str, **values: Any) -> str:
        """Return a template with its values."""
        return self.templates.get_template(template).render(refresh_s=REFRESH_S, **values)

    def screen(
        self, request: Request, caller: Caller, name: str, values: Mapping[str, Any], status: int = 200
    ) -> Response:
        """Return a screen; to htmx, the part of it that changes."""
        template = f"_{name}" if request.headers.get("hx-request") == "true" else name
        here = request.url.path.removeprefix(ROOT)
        csrf = admission_of(request).sessions.csrf(request)
        html = self.html(f"{template}.html", caller=caller, here=here or "/", csrf=csrf, **values)
        return HTMLResponse(html, status, headers={**_NEVER_KEPT, "Vary": "HX-Request"})

    def problem(self, problem: Problem, caller: Caller | None = None) -> Response:
        """Return an error for a person; without a key, with the way to sign in."""
        html = self.html(
            "problem.html",
            caller=caller,
            csrf="",
            here="",
            problem=problem,
            heading=_HEADINGS.get(problem.status, "Not done"),
            sign_in=problem.status == 401,
        )
        return HTMLResponse(html, problem.status, headers={**_NEVER_KEPT, **(problem.headers or {})})

    def on_alarm(self, task: str, model: str) -> OnAlarm | None:
        """Return what the policy does with answers under an alarm; None: not known, as of a task that went."""
        if self.policy is None or task not in self.tasks:
            return None
        return self.policy.task(task).rule(model, "").on_alarm

    def trace(self, trace_id: str | None) -> str | None:
        """Return the address of a trace; None where none is set up."""
        if trace_id is None or self.trace_url is None:
            return None
        return self.trace_url.replace("{trace_id}", quote(trace_id, safe=""))


class PageRoute(APIRoute):
    """A route whose errors a person reads."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler, which answers a `Problem` as a screen."""
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            try:
                return await handle(request)
            except RequestValidationError as error:
                problem = Problem(422, "invalid_parameters", _unfit(error))
            except Problem as raised:
                problem = raised
            caller = None if problem.status == 401 else await _known_caller(request)
            return page_of(request).problem(problem, caller)

        return handled


def _unfit(error: RequestValidationError) -> str:
    """Return which parts of the address do not fit, and why; nothing of what they are."""
    parts = [f"{each['loc'][-1]}: {each['msg'][:1].lower()}{each['msg'][1:]}" for each in error.errors()]
    return f"This address has a part that does not fit. {'; '.join(parts)}."


async def _known_caller(request: Request) -> Caller | None:
    try:
        return await admission_of(request).of(request)
    except Problem:
        return None


def page_of(request: Request) -> Page:
    """Return what the screens share."""
    page: Page = request.app.state.page
    return page


def viewer_of(caller: Caller, *, texts: bool = False) -> Viewer:
    """Return whose texts a caller sees; their content only where it is asked for and the key may read it."""
    return Viewer(caller.tenant, caller.source, texts and may_read(caller))


def may_read(caller: Caller) -> bool:
    """Return whether a key may read what texts say."""
    return "read-texts" in caller.roles


def note_look(known: Caller, uuid: str) -> None:
    """Log who reads what a text says: key, text and, as every line has it, the time."""
    log.info("a text is shown", extra={"key_id": known.key_id, "text_uuid": uuid})
