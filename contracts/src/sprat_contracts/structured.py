"""CloudEvents in structured mode, JSON format: one object with the attributes and, as `data`, the message."""

import base64
import codecs
from collections.abc import Mapping
from typing import Any, Final

from pydantic_core import from_json, to_json

FORMAT: Final = "application/cloudevents"
"""How the content type of structured and batched mode begins."""
JSON: Final = "application/json"

CONTEXT: Final = frozenset({"specversion", "id", "source", "type", "time"})
"""The attributes of which an `Envelope` has fields of their own; the others are extensions."""
MAX_ATTRIBUTE: Final = 1024
"""How many characters an id, a source or a type may have."""
_DATA: Final = frozenset({"data", "data_base64"})
_MARK: Final = b'"specversion"'


def content_type_of(headers: Mapping[str, str]) -> str:
    """Return the media type that the header names, in lower case and without parameters; JSON where there is none."""
    return headers.get("content-type", JSON).partition(";")[0].strip().lower()


def event_in(headers: Mapping[str, str], value: bytes | None) -> Mapping[str, Any] | None:
    """Return the object of an event in structured mode, unchecked; None for a record that is none, or no JSON object.

    It is one where the content type says so. Without any `ce_` header, an object with `specversion` and `data` that has
    no `text` is one, too: `to_structured` of the Python SDK before version 2 writes no content type.
    """
    says = content_type_of(headers).startswith(FORMAT)
    if not value or not (says or (_MARK in value and not any(name.startswith("ce_") for name in headers))):
        return None
    try:
        event = from_json(value.removeprefix(codecs.BOM_UTF8), allow_inf_nan=False)
    except ValueError:
        return None
    if not isinstance(event, dict):
        return None
    return event if says or ("specversion" in event and "text" not in event and _DATA & event.keys()) else None


def identity_in(event: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return source and id of an event; None where one is missing, empty or no string."""
    source, id = event.get("source"), event.get("id")
    return (source, id) if isinstance(source, str) and isinstance(id, str) and source and id else None


def extensions_in(event: Mapping[str, Any]) -> dict[str, str]:
    """Return the attributes of an event as strings, as binary mode writes them. Those of the context are strings."""
    simple = {
        name: value
        for name, value in event.items()
        if name not in _DATA and isinstance(value, str if name in CONTEXT else str | int)
    }
    return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in simple.items()}


def data_in(event: Mapping[str, Any]) -> bytes | None:
    """Return the JSON of an event's data; None where it has none, or base64 that cannot be read.

    Data may be JSON itself, a string that holds JSON (the Python SDK writes one for data that is a string), or base64.
    """
    data, encoded = event.get("data"), event.get("data_base64")
    if isinstance(data, str):
        return data.encode()
    if data is not None:
        return to_json(data)
    if not isinstance(encoded, str):
        return None
    try:
        return base64.b64decode(encoded, validate=True)
    except ValueError:
        return None
