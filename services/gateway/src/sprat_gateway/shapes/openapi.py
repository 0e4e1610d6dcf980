"""What `/openapi.json` says of bodies that routes read themselves, of their responses, and of keys."""

from typing import Any, Final

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field

from sprat_contracts import Result

JSON: Final = "application/json"


class RejectedTask(BaseModel):
    """Why a task has no Result."""

    task: str | None
    code: str
    detail: str


class TextAnswer(BaseModel):
    """What is known of a text."""

    model_config = ConfigDict(json_schema_mode_override="serialization")

    uuid: str
    id: str
    source: str
    complete: bool = Field(description="Whether all Results are there.")
    results: dict[str, Result] = Field(description="By task.")
    rejected: list[RejectedTask]


ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "All Results", "model": TextAnswer},
    202: {"description": "Not all of them yet; `Location` is where to ask again", "model": TextAnswer},
}
"""The responses about one text."""


def described(model: type[BaseModel], *others: str) -> dict[str, Any]:
    """Return what OpenAPI says of a body that a route reads itself: JSON, or one of the other media types."""
    schema = model.model_json_schema()
    content = {kind: {"schema": _inlined(schema, schema)} for kind in (JSON, *others)}
    return {"requestBody": {"required": True, "content": content}}


def _inlined(part: Any, schema: dict[str, Any]) -> Any:
    """Return a part of a schema with its definitions in their places: OpenAPI looks for them elsewhere."""
    if isinstance(part, list):
        return [_inlined(each, schema) for each in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        return _inlined(schema["$defs"][part["$ref"].rpartition("/")[2]], schema)
    return {name: _inlined(each, schema) for name, each in part.items() if name not in {"$defs", "discriminator"}}


def describe_keys(app: FastAPI) -> None:
    """Describe in the document that every route needs a key.

    It is made when it is first asked for, in a tenth of a second.
    """
    make = app.openapi

    def with_keys() -> dict[str, Any]:
        document = make()  # FastAPI keeps it
        document.setdefault("components", {})["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"key": []}]
        return document

    app.openapi = with_keys  # type: ignore[method-assign]  # FastAPI documents it so
