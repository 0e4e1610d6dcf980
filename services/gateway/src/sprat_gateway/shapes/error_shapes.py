"""Errors as the clients of each shape read them; those of Sprat's own routes are RFC 9457."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse

from sprat_gateway.http.problems import Json, Problem, problem_response

_TYPES: Final = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
"""The type of an error of OpenAI by status."""
_FIRST_OF_THE_SERVER: Final = 500


def _of_openai(problem: Problem) -> dict[str, Any]:
    other = "server_error" if problem.status >= _FIRST_OF_THE_SERVER else "invalid_request_error"
    return {
        "error": {
            "message": problem.detail,
            "type": _TYPES.get(problem.status, other),
            "param": problem.more.get("field"),
            "code": problem.code,
        }
    }


def _of_libretranslate(problem: Problem) -> dict[str, Any]:
    return {"error": problem.detail}


_SHAPES: Final[Mapping[str, Callable[[Problem], dict[str, Any]]]] = {
    "/v1/decisions": _of_openai,
    "/v1/systemone": _of_openai,
    "/translate": _of_libretranslate,
    "/detect": _of_libretranslate,
    "/languages": _of_libretranslate,
}
_STATUS: Final = {422: 400}
"""In the shapes of others, a text that is not valid is a bad request."""


async def error_response(request: Request, error: Exception) -> JSONResponse:
    """Return the response to a `Problem`, in the shape of its path."""
    shape = _SHAPES.get(request.scope["path"])
    if shape is None or not isinstance(error, Problem):
        return await problem_response(request, error)
    return Json(shape(error), _STATUS.get(error.status, error.status), headers=error.headers)
