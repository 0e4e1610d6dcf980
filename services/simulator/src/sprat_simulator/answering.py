"""What the simulated model answers: the gold answer, a wrong one at the stated rate, else whatever fits the schema."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sprat_simulator.gold import Gold
from sprat_simulator.masked_gold import answers_to
from sprat_simulator.settings import Behaviour

_MARK = "[simulated]"


class BadRequestError(ValueError):
    """The request is none that the API takes."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A chat completion request, as far as it matters here."""

    model: str
    prompt: str
    """All messages, for counting tokens."""
    text: str
    task: str
    """Name of the schema; empty without one."""
    schema: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Written:
    """What the simulated model writes, and whether it is wrong on purpose."""

    content: str
    wrong: bool = False


def read_request(body: Any) -> Asked:
    """Read a request.

    Raises:
        BadRequestError: it is not of the API's form.
    """
    if not isinstance(body, dict) or not isinstance(body.get("model"), str):
        raise BadRequestError("`model` is missing")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(one, dict) for one in messages):
        raise BadRequestError("`messages` is not a list of messages")
    contents = [_content(message.get("content")) for message in messages]
    of_user = [text for message, text in zip(messages, contents, strict=True) if message.get("role") == "user"]
    task, schema = _schema(body.get("response_format"))
    return Asked(body["model"], "\n".join(contents), _text(of_user[-1] if of_user else ""), task, schema)


def answer(asked: Asked, gold: Gold, behaviour: Behaviour) -> Written:
    """Answer; the same question under the same seed always gets the same answer."""
    if asked.schema is None:
        return Written(f"{_MARK} {asked.text}")
    answers = answers_to(gold, asked.text)
    if asked.task not in answers:
        return Written(_dump(_fill(asked.schema, asked.text, behaviour.seed)))
    right = answers[asked.task]
    if chance(behaviour.seed, "wrong", asked.task, asked.text) >= behaviour.wrong_rate:
        return Written(_dump(right))
    return Written(_dump(_wrong(asked, right, behaviour.seed)), wrong=True)


def chance(seed: int, *parts: str) -> float:
    """Give a number in [0, 1) that seed and parts decide."""
    digest = hashlib.sha256(json.dumps([seed, *parts]).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _wrong(asked: Asked, right: Any, seed: int) -> Any:
    """Give an answer that fits the schema and is not the right one."""
    if asked.task == "intent":
        labels = [label for label in _enum(asked.schema, "label") if label != right["label"]]
        return {"label": _pick(labels, seed, asked.text)}
    if asked.task == "ner":
        labels = _enum(asked.schema, "entities", "label")
        if not right["entities"]:
            return {"entities": [{"text": asked.text.split()[0], "label": label} for label in labels[:1]]}
        following = dict(zip(labels, [*labels[1:], *labels[:1]], strict=True))
        return {"entities": [one | {"label": following.get(one["label"], one["label"])} for one in right["entities"]]}
    return {"text": f"{_MARK} {asked.text}"}


def _enum(schema: Mapping[str, Any] | None, *path: str) -> list[Any]:
    """Give what may stand in a property, through lists of objects; nothing where the schema does not say."""
    part: Any = schema or {}
    for name in path:
        part = part.get("items", part).get("properties", {}).get(name, {})
    return list(part.get("enum", []))


def _fill(schema: Mapping[str, Any], text: str, seed: int) -> Any:
    """Give the simplest value of a schema; of an enum any, as seed and text decide."""
    if "enum" in schema:
        return _pick(schema["enum"], seed, text)
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    if kind == "object":
        return {name: _fill(part, text, seed) for name, part in schema.get("properties", {}).items()}
    plain = {"string": f"{_MARK} {text}", "array": [], "integer": 0, "number": 0, "boolean": False}
    return plain.get(str(kind))


def _pick(values: Sequence[Any], seed: int, text: str) -> Any:
    return values[int(chance(seed, "pick", text) * len(values))] if values else None


def _schema(response_format: Any) -> tuple[str, Mapping[str, Any] | None]:
    if not isinstance(response_format, dict) or response_format.get("type") != "json_schema":
        return "", None
    described = response_format.get("json_schema")
    if not isinstance(described, dict) or not isinstance(described.get("schema"), dict):
        raise BadRequestError("`response_format.json_schema.schema` is missing")
    return str(described.get("name", "")), described["schema"]


def _content(content: Any) -> str:
    """Give a message's text: a string, or a list of parts."""
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _text(content: str) -> str:
    """Give the text in question: the field `text` where the message is a JSON object, else the message."""
    try:
        data = json.loads(content)
    except ValueError:
        return content
    return data["text"] if isinstance(data, dict) and isinstance(data.get("text"), str) else content


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
