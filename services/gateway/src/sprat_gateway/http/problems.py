"""Errors as RFC 9457 describes them: `application/problem+json`. They hold nothing of a text and no key."""

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse


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


async def problem_response(_: Request, error: Exception) -> JSONResponse:
    """Return the response to a `Problem`."""
    if not isinstance(error, Problem):
        raise error
    return JSONResponse(error.body, error.status, headers=error.headers, media_type="application/problem+json")
