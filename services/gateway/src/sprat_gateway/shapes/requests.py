"""Reading the bodies of others' shapes: what does not fit is refused by its field, and never quoted."""

from collections.abc import Mapping
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from sprat_gateway.http.problems import Problem

_TRIED: Final = ("str", "bool")
"""Types of a value that pydantic tries; they stand in the location of the error."""
_TAGGED: Final = {"union_tag_invalid", "union_tag_not_found"}


class RequestPart(BaseModel):
    """A part of a request. What Sprat does not know is left out."""

    model_config = ConfigDict(frozen=True, strict=True, hide_input_in_errors=True, extra="ignore")


Body = TypeVar("Body", bound=RequestPart)


def refused(field: str, problem: str) -> Problem:
    """Return the error of a field."""
    return Problem(400, "invalid_request", f"{field}: {problem}", field=field)


def read(model: type[Body], body: bytes) -> Body:
    """Return a body as its shape has it.

    Raises:
        Problem: 400, it is no JSON, or a field is wrong: its name and what is expected.
    """
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise _problem_in(error) from None


def read_fields(model: type[Body], fields: Mapping[str, Any]) -> Body:
    """Return the fields of a body as its shape has them.

    Raises:
        Problem: 400, one is wrong: its name and what is expected.
    """
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise _problem_in(error) from None


def _problem_in(error: ValidationError) -> Problem:
    (first, *_) = error.errors(include_url=False, include_context=False, include_input=False)
    if first["type"] == "json_invalid":
        return Problem(400, "invalid_json", "the body is no JSON")
    return refused(*_problem_of(dict(first)))


def _problem_of(error: Mapping[str, Any]) -> tuple[str, str]:
    """Return field and problem. Messages about a `type` quote what was given."""
    field = field_of(error["loc"])
    if error["type"] in _TAGGED:
        return f"{field}.type", "there is no such type of question"
    return field, error["msg"].removeprefix("Value error, ")


def field_of(location: tuple[Any, ...]) -> str:
    """Return a location in words: `questions[0].choices[1].value`."""
    if location[:1] == ("questions",):
        location = location[:2] + location[3:]  # the third is the question's type, by which pydantic chose its model
        location = location[:-1] if location[-1] in _TRIED else location
    elif location[:1] == ("q",):
        location = location[:1]  # the second is a type that was tried
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
    return "".join(steps).removeprefix(".") or "body"
