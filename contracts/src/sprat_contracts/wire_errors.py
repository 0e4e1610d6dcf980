"""What is wrong with a record that is not what its topic holds, in words without its value and its own names."""

import json
from collections.abc import Collection, Mapping
from functools import cache

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from sprat_contracts.base import Message
from sprat_contracts.codes import ReasonCode
from sprat_contracts.dead_letters import REPLAY_FOR
from sprat_contracts.signing import SIGNATURE_HEADER
from sprat_contracts.structured import CONTEXT
from sprat_contracts.text_warnings import misspelt

_OPTIONAL = frozenset({"subject", "dataschema", "datacontenttype", "tenant", "status"})
_KNOWN_HEADERS = frozenset({f"ce_{name}" for name in CONTEXT | _OPTIONAL}) | {
    "content-type",
    "traceparent",
    "tracestate",
    REPLAY_FOR,
    SIGNATURE_HEADER,
}
_MAX_PROBLEMS = 5
_COMPRESSED = "the value is compressed; send JSON, and let the producer compress (compression.type)"
_OTHER_FORMATS: Mapping[bytes, str] = {
    b"\0": "the value begins with byte 0, as those of a schema registry do; use a plain JSON or string serializer",
    b"Obj\x01": "the value is an Avro file; send JSON",
    b"\x1f\x8b": _COMPRESSED,
    b"\x28\xb5\x2f\xfd": _COMPRESSED,
    b"<": "the value begins with <, as XML does; send JSON",
}
"""The first bytes of values that are no JSON, and what to send."""
_JSON_STARTS = frozenset(bytes([each]) for each in b'{["-0123456789tfn')
_NEEDED_OPTIONS = {"translation": '{"target": "de"}'}
"""Of tasks that cannot be asked for without options, an example."""
JSON_TYPES: Mapping[type, str] = {
    type(None): "null",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "an object",
}
"""What an attribute of an event is instead of a string, in words."""


class WireError(ValueError):
    """A record that is not what its topic holds. `code` is for machines, `detail` for people; both without the text.

    `field` is the first field of the message that is wrong, as `tasks.translation.target`; None where it is none of its
    fields.
    """

    def __init__(self, code: str, detail: str, field: str | None = None) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.field = field


def invalid_json(value: bytes, why: str) -> WireError:
    """Return the error of a value that is no JSON; `why` says where, and nothing of the value."""
    return WireError(ReasonCode.INVALID_JSON, _other_format(value) or why)


def _other_format(value: bytes) -> str | None:
    """Return which other format a value probably has, and what to send; None where it is like none."""
    encoding = json.detect_encoding(value)
    if not encoding.startswith("utf-8") and value[:64].decode(encoding, "ignore").lstrip("\ufeff \t\r\n")[:1] == "{":
        return f"the value is {encoding[:6].upper()}; send UTF-8"
    given = value.lstrip(b" \t\r\n")
    if advice := next((advice for prefix, advice in _OTHER_FORMATS.items() if given.startswith(prefix)), None):
        return advice
    if given and given[:1] not in _JSON_STARTS:
        return 'the value is no JSON; send an object, as {"text": "…", "tasks": {"intent": {}}}'
    try:
        value.decode()
    except UnicodeDecodeError as error:
        return f"the value is not UTF-8 at byte {error.start}, perhaps Windows-1252 or Latin-1; send JSON in UTF-8"
    return None


def wire_error(error: ValidationError, message_type: type[Message], value: bytes) -> WireError:
    """Return which fields are wrong and why, without any input: keys that are not field names are shown as `*`."""
    problems = error.errors(include_context=False, include_url=False)
    if problems[0]["type"] == "json_invalid":
        return invalid_json(value, problems[0]["msg"])
    known = _field_names(message_type)
    fields = [
        ".".join(str(step) if isinstance(step, int) or step in known else "*" for step in problem["loc"])
        for problem in problems[:_MAX_PROBLEMS]
    ]
    problem_texts = [
        f"{field or 'the value'}: {_in_words(problem, known)}" for field, problem in zip(fields, problems, strict=False)
    ]
    if len(problems) > _MAX_PROBLEMS:
        problem_texts.append(f"and {len(problems) - _MAX_PROBLEMS} more")
    if message_type.plain_json_allowed:
        no_known_task = [problem["type"] for problem in problems] == [ReasonCode.NO_KNOWN_TASK]
        code = ReasonCode.NO_KNOWN_TASK if no_known_task else ReasonCode.INVALID_TEXT
    else:
        code = ReasonCode.INVALID_MESSAGE
    return WireError(code, "; ".join(problem_texts), fields[0] or None)


def _in_words(problem: ErrorDetails, known: Collection[str]) -> str:
    """Return what is wrong with a field, without any input but the name of a field that is like a missing one."""
    field = problem["loc"][-1] if problem["loc"] else ""
    if problem["type"] == "missing" and isinstance(problem["input"], dict):
        given = misspelt(str(field), problem["input"], known)
        if given is None and len(problem["loc"]) == 1 and isinstance(problem["input"].get("payload"), dict):
            return (
                f"{problem['msg']} (payload is the envelope of Kafka Connect: send what it holds, schemas.enable=false)"
            )
        return problem["msg"] + (f" ({given}, did you mean {field}?)" if given is not None else "")
    if problem["type"] == "string_pattern_mismatch" and field in {"language", "target"}:
        return "it is no language tag, such as en or pt-BR"
    if problem["type"] in {"model_type", "model_attributes_type"} and problem["loc"][:1] == ("tasks",):
        return f"{JSON_TYPES.get(type(problem['input']), 'a string')}; " + (
            'it must be an object, as {"intent": {}}'
            if field == "tasks"
            else f"it must be an object: {_NEEDED_OPTIONS.get(str(field), '{}')}"
        )
    if problem["type"] in {"model_type", "model_attributes_type"} and not problem["loc"]:
        twice = "; was it encoded twice?" if isinstance(problem["input"], str) else ""
        return f"{JSON_TYPES.get(type(problem['input']), 'a string')}; it must be an object{twice}"
    return problem["msg"]


@cache
def _field_names(message_type: type[Message]) -> frozenset[str]:
    """Return all field names of a message and its parts: an error may show these."""
    names: set[str] = set()
    definitions = message_type.model_json_schema(mode="validation")
    for schema in (definitions, *definitions.get("$defs", {}).values()):
        names.update(schema.get("properties", {}))
    return frozenset(names)


def shown_header(name: str) -> str:
    """Return a header's name, or `*` where the sender has made it up: it may hold anything."""
    return name if name in _KNOWN_HEADERS else "*"
