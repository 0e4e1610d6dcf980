"""The ASGI application: every route of the door."""

from collections.abc import Callable

from fastapi import FastAPI

from sprat_gateway.door import Door
from sprat_gateway.http.callers import Caller
from sprat_gateway.http.problems import Problem, problem_response
from sprat_gateway.shapes import texts


def build_app(door: Door, keys: Callable[[str], Caller | None]) -> FastAPI:
    """Return the application.

    Args:
        door: publishes texts and waits for Results.
        keys: returns who an API key stands for; None where it is not valid.
    """
    app = FastAPI(title="Sprat", docs_url=None, redoc_url=None)
    app.state.door = door
    app.state.keys = keys
    app.add_exception_handler(Problem, problem_response)
    app.include_router(texts.router)
    return app
