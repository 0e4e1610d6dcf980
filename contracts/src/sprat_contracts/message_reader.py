"""Reads the JSON of a message, most of them in a third of the time that pydantic takes by itself.

A union of outputs is what takes long: pydantic tries all its members, and takes the one that has most of the fields.
Where a value has the fields of one member alone, no other fits, so the first that fits is the one. Any other value is
read by pydantic itself, as one with unknown fields is; what is wrong with a message is always what pydantic says.
"""

from functools import cache
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import SchemaValidator

from sprat_contracts.base import Message

M = TypeVar("M", bound=Message)


def read_message(message_type: type[M], value: bytes, noted: list[Any]) -> M:
    """Return the message in a JSON value; validators append to `noted` what they have found.

    Raises:
        ValidationError: it is no such message.
    """
    first_fit = _first_fit(message_type)
    if first_fit is not None:
        try:
            message: M = first_fit.validate_json(value, context=noted)
        except ValidationError:
            noted.clear()
        else:
            return message
    return message_type.model_validate_json(value, context=noted)


@cache
def _first_fit(message_type: type[Message]) -> SchemaValidator | None:
    """Return a reader that takes the first member that fits; None for a message in which that changes nothing."""
    schema: Any = message_type.__pydantic_core_schema__
    unions: list[Any] = []
    changed = _changed(schema, unions)
    # With the validators that are built already, the unions of nested messages, and of this one, would be as before.
    return SchemaValidator(changed, _use_prebuilt=False) if unions else None


def _changed(schema: Any, unions: list[Any]) -> Any:
    """Return a copy of a schema with changed unions, which are added to `unions`."""
    if isinstance(schema, dict):
        copy = {name: _changed(value, unions) for name, value in schema.items()}
        if copy.get("type") == "union" and _are_told_apart(copy["choices"]):
            unions.append(copy)
            return copy | {"mode": "left_to_right", "choices": [_without_others(each) for each in copy["choices"]]}
        return copy
    return type(schema)(_changed(each, unions) for each in schema) if isinstance(schema, list | tuple) else schema


def _are_told_apart(members: list[Any]) -> bool:
    """Return whether all members are models of which none has the mandatory fields of another."""
    if not all(isinstance(each, dict) and each["type"] == "model" for each in members):
        return False
    fields = [each["schema"].get("fields", {}) for each in members]
    mandatory = [{name for name, field in own.items() if field["schema"]["type"] != "default"} for own in fields]
    return all(
        not needed <= own.keys()
        for place, needed in enumerate(mandatory)
        for other, own in enumerate(fields)
        if place != other
    )


def _without_others(model: Any) -> Any:
    """Return the schema of a model that refuses fields that are not its own."""
    inner = {name: value for name, value in model["schema"].items() if name != "extras_schema"}
    return model | {"schema": inner | {"extra_behavior": "forbid"}}
