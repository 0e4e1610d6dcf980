"""The ASGI application: every route of the door."""

from collections.abc import Collection

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from sprat_gateway.door import Door
from sprat_gateway.http.callers import Admission
from sprat_gateway.http.gate import Gate
from sprat_gateway.http.problems import Problem, http_error, invalid_response, problem_response
from sprat_gateway.shapes import texts


def build_app(door: Door, admission: Admission, hosts: Collection[str]) -> FastAPI:
    """Return the application.

    Args:
        door: publishes texts and waits for Results.
        admission: lets requests in, by key or cookie.
        hosts: names by which it may be asked.
    """
    app = FastAPI(title="Sprat", docs_url=None, redoc_url=None)
    app.state.door = door
    app.state.admission = admission
    app.add_exception_handler(Problem, problem_response)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(RequestValidationError, invalid_response)
    app.add_middleware(Gate, hosts=hosts, limits=admission.limits, respond=problem_response)
    app.include_router(texts.router)
    return app
