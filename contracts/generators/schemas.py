"""The JSON Schema of every message, and of the file of thresholds; draft 2020-12."""

from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from contracts.generators.examples import examples, thresholds
from sprat_contracts import Message, Topics
from sprat_contracts.base import Part
from sprat_contracts.thresholds import FORMAT, Thresholds

DIALECT = "https://json-schema.org/draft/2020-12/schema"
THRESHOLDS = f"thresholds.v{FORMAT}"
"""Not of a message, so it does not begin with `dev.sprat`."""


def messages() -> dict[str, type[Message]]:
    """Return every message that a topic holds, by its CloudEvents type, in the order of the topics."""
    return {topic.message.event_type: topic.message for topic in Topics().table() if topic.message is not None}


def schema_id(name: str) -> str:
    """Return the `$id` of a schema, by the event type of its message: a name, not an address."""
    return f"urn:sprat:schema:{name}"


def schema_of(message: type[Message]) -> dict[str, Any]:
    """Return the schema of what a reader of this message accepts."""
    return _schema(message, message.event_type, examples()[message.event_type])


def schema_of_thresholds() -> dict[str, Any]:
    """Return the schema of `thresholds.json`."""
    return _schema(Thresholds, THRESHOLDS, thresholds())


def _schema(kind: type[Part], name: str, example: Part) -> dict[str, Any]:
    schema = kind.model_json_schema(mode="validation", schema_generator=SchemaWithoutTitles)
    head = {"$schema": DIALECT, "$id": schema_id(name), "title": schema.pop("title")}
    description = schema.pop("description")
    definitions = schema.pop("$defs", {})
    tail = {"$defs": definitions} if definitions else {}
    return head | {"description": description} | schema | {"examples": [example.model_dump(mode="json")]} | tail


class SchemaWithoutTitles(GenerateJsonSchema):
    """Omits the titles that pydantic makes of field names: they add nothing."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Return False: never."""
        return False
