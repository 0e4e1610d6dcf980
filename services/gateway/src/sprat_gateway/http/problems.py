"""Errors as RFC 9457 describes them: `application/problem+json`. They hold nothing of a text and no key."""

from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse


class Json(JSONResponse):
    """JSON with a newline at its end, so that a shell's prompt does not stick to it."""

    def render(self, content: Any) -> bytes:
        """Return the body."""
        return to_json(content) + b"\n"


class Problem(HTTPException):
    """An error that the client gets. As an `HTTPException`, it passes through what FastAPI does with other errors.

    Args:
        status: of HTTP.
        code: for programs: an open list of words, such as `queue_full`.
        detail: what happened, where, and what to do next.
        headers: more headers of the response.
        more: more members of the body, such as `field`.
    """

    def __init__(
        self, status: int, code: str, detail: str, *, headers: dict[str, str] | None = None, **more: object
    ) -> None:
        super().__init__(status, detail, headers or {})
        self.status = status
        self.code = code
        self.more = more

    @property
    def body(self) -> dict[str, Any]:
        """The members of the response's body."""
        return {"title": self.code, "status": self.status, "code": self.code, "detail": self.detail, **self.more}


async def http_error(request: Request, error: Exception) -> JSONResponse:
    """Return the response to an error of the framework, such as 404 of an unknown path."""
    if not isinstance(error, HTTPException):
        raise error
    code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
    headers = dict(error.headers or {})
    return await problem_response(request, Problem(error.status_code, code, error.detail, headers=headers))


async def invalid_response(request: Request, error: Exception) -> JSONResponse:
    """Return the response to parameters that are not valid: which, and why; nothing of what was sent."""
    if not isinstance(error, RequestValidationError):
        raise error
    detail = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()[:10])
    return await problem_response(request, Problem(422, "invalid_parameters", detail))


async def problem_response(_: Request, error: Exception) -> JSONResponse:
    """Return the response to a `Problem`."""
    if not isinstance(error, Problem):
        raise error
    return Json(error.body, error.status, headers=error.headers, media_type="application/problem+json")
