"""The JSON Schema of every message, draft 2020-12."""

from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from contracts.generators.examples import examples
from sprat_contracts import Message, Topics

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def messages() -> dict[str, type[Message]]:
    """Return every message that a topic holds, by its CloudEvents type, in the order of the topics."""
    return {topic.message.event_type: topic.message for topic in Topics().table() if topic.message is not None}


def schema_id(event_type: str) -> str:
    """Return the `$id` of a message's schema: a name, not an address."""
    return f"urn:sprat:schema:{event_type}"


def schema_of(message: type[Message]) -> dict[str, Any]:
    """Return the schema of what a reader of this message accepts."""
    schema = message.model_json_schema(mode="validation", schema_generator=SchemaWithoutTitles)
    head = {"$schema": DIALECT, "$id": schema_id(message.event_type), "title": schema.pop("title")}
    description = schema.pop("description")
    definitions = schema.pop("$defs", {})
    shown = [examples()[message.event_type].model_dump(mode="json")]
    tail = {"$defs": definitions} if definitions else {}
    return head | {"description": description} | schema | {"examples": shown} | tail


class SchemaWithoutTitles(GenerateJsonSchema):
    """Omits the titles that pydantic makes of field names: they add nothing."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Return False: never."""
        return False
