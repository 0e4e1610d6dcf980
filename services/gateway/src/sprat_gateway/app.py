"""The ASGI application: every route of the door."""

from collections.abc import Collection
from typing import Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException

from sprat_gateway.catalogue import Catalogue
from sprat_gateway.door import Door
from sprat_gateway.http.callers import RequestAdmission
from sprat_gateway.http.gate import RequestGate
from sprat_gateway.http.measure import Measured
from sprat_gateway.http.problems import Json, Problem, http_error, invalid_response
from sprat_gateway.page import labelling, screens, sending, sign_in
from sprat_gateway.page.pages import Page
from sprat_gateway.shapes import decisions, libretranslate, systemone, texts
from sprat_gateway.shapes.asking import Asking, DeadlineMs
from sprat_gateway.shapes.error_shapes import error_response
from sprat_gateway.shapes.openapi import describe_keys

NO_TELEMETRY: Final[TelemetryConfig] = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}
"""FastAPI's own would write addresses with their queries, and invalid bodies with their texts."""


def build_app(
    door: Door,
    admission: RequestAdmission,
    hosts: Collection[str],
    catalogue: Catalogue,
    deadline_ms: DeadlineMs,
    page: Page | None = None,
) -> FastAPI:
    """Return the application.

    Args:
        door: publishes texts and waits for Results.
        admission: lets requests in, by key or cookie.
        hosts: names by which it may be asked.
        catalogue: what can be asked for.
        deadline_ms: returns how long a hard case of a tenant may wait.
        page: what its screens share; None: there is no page.
    """
    app = FastAPI(title="Sprat", docs_url=None, redoc_url=None, telemetry=NO_TELEMETRY, default_response_class=Json)
    app.state.door = door
    app.state.asking = Asking(door, catalogue, deadline_ms)
    app.state.admission = admission
    app.add_exception_handler(Problem, error_response)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(RequestValidationError, invalid_response)
    app.add_middleware(RequestGate, hosts=hosts, limits=admission.limits, respond=error_response)
    app.add_middleware(Measured)  # the last one added is the outermost
    for shape in (texts, decisions, systemone, libretranslate):
        app.include_router(shape.router)
    describe_keys(app)
    if page is not None:
        app.state.page = page
        app.include_router(screens.home)
        for part in (screens, labelling, sending, sign_in):
            app.include_router(part.router, include_in_schema=False)
    return app
