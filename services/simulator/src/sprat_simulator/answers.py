"""The simulated model's answers: the gold answer, or a wrong one at the given rate. Without gold it declines.

It sees messages and no more: whatever else it answered would be nonsense in the form of an answer. For load tests,
where nobody reads the answers, it can invent them.
"""

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sprat_simulator.gold import Gold, answers_to
from sprat_simulator.settings import Behaviour

_MARK = "[simulated]"
_TARGET = re.compile(r"the BCP 47 tag (?P<target>[A-Za-z0-9-]+)")
"""Where the instructions name the language to translate into."""
_MAX_OPTIONS = 255
NO_GOLD = "no_gold: this simulator has no answer to this text in its file of answers written by people"


class BadRequestError(ValueError):
    """The request does not have the API's form."""


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """The parts of a chat completion request that the simulator uses."""

    model: str
    prompt: str
    """All messages, for counting tokens."""
    text: str
    task: str
    """Name of the schema; empty without one."""
    schema: Mapping[str, Any] | None
    target: str | None = None
    """The language to translate into; None where the instructions name none."""
    options: tuple[str, ...] = ()
    """Of a choice; the last one is for none of the others. Empty where the model writes."""
    logprobs: bool = False
    """Whether it asks for the probabilities of the answer's tokens."""


@dataclass(frozen=True, slots=True)
class SimulatedAnswer:
    """The model's output, and whether it is wrong on purpose; or that it declines, and why."""

    content: str
    wrong: bool = False
    declined: bool = False


def read_request(body: Any) -> CompletionRequest:
    """Return the request in a body.

    Raises:
        BadRequestError: the body does not have the API's form.
    """
    if not isinstance(body, dict) or not isinstance(body.get("model"), str):
        raise BadRequestError("`model` is missing")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(one, dict) for one in messages):
        raise BadRequestError("`messages` is not a list of messages")
    contents = [_content(message.get("content")) for message in messages]
    user_texts = [text for message, text in zip(messages, contents, strict=True) if message.get("role") == "user"]
    task, schema = _schema(body.get("response_format"))
    prompt, text = "\n".join(contents), _text(user_texts[-1] if user_texts else "")
    named = _TARGET.search("\n".join(one for one in contents if one not in user_texts))
    logprobs = body.get("logprobs") is True
    return CompletionRequest(body["model"], prompt, text, task, schema, named and named["target"], logprobs=logprobs)


def read_decisions(body: Any) -> CompletionRequest:
    """Return the request in a body of `POST /decisions` with one question of type `choice`.

    Raises:
        BadRequestError: the body does not have the API's form.
    """
    questions = body.get("questions") if isinstance(body, dict) else None
    if not isinstance(questions, list) or len(questions) != 1 or not isinstance(questions[0], dict):
        raise BadRequestError("`questions` is not a list of one question")
    question = questions[0]
    choices = question.get("choices")
    if not isinstance(choices, list) or not all(isinstance(one, dict) for one in choices):
        raise BadRequestError("`choices` is not a list of choices")
    values = [one.get("value") for one in choices]
    return _choice(body, "input", question, str(question.get("name", "")), values)


def read_systemone(body: Any) -> CompletionRequest:
    """Return the request in a body of `POST /systemone` with one question of type `choice`.

    Raises:
        BadRequestError: the body does not have the API's form.
    """
    questions = body.get("questions") if isinstance(body, dict) else None
    if not isinstance(questions, dict) or len(questions) != 1:
        raise BadRequestError("`questions` is not an object with one question")
    ((name, question),) = questions.items()
    if not isinstance(question, dict) or not isinstance(question.get("criteria"), dict):
        raise BadRequestError("`criteria` is not an object of options")
    return _choice(body, "state", question, name, list(question["criteria"]))


def _choice(body: Any, field: str, question: Any, task: str, options: list[Any]) -> CompletionRequest:
    if question.get("type") != "choice" or not isinstance(question.get("instructions"), str):
        raise BadRequestError("the question is not a `choice` with `instructions`")
    if not 2 <= len(set(map(str, options))) == len(options) <= _MAX_OPTIONS:
        raise BadRequestError(f"there are not 2 to {_MAX_OPTIONS} options, each another")
    if not isinstance(body.get("model"), str) or not isinstance(body.get(field), str):
        raise BadRequestError(f"`model` or `{field}` is missing")
    schema = {"type": "object", "properties": {"label": {"enum": [*options[:-1], None]}}}
    prompt = "\n".join([question["instructions"], *map(str, options), body[field]])
    return CompletionRequest(body["model"], prompt, _text(body[field]), task, schema, options=tuple(options))


def chosen(request: CompletionRequest, content: str, confidence: float) -> tuple[str, dict[str, float]]:
    """Return the option that an answer names, and the probability of each option.

    The last option stands for none of the others. An answer that is none chooses what was not offered.
    """
    try:
        label = json.loads(content)["label"]
    except (ValueError, KeyError):
        return _MARK, dict.fromkeys(request.options, 1 / len(request.options))
    best = request.options[-1] if label is None else label
    rest = (1 - confidence) / (len(request.options) - 1)
    return best, {option: confidence if option == best else rest for option in request.options}


def answer(request: CompletionRequest, gold: Gold, behaviour: Behaviour) -> SimulatedAnswer:
    """Return the answer; the same question under the same seed always gets the same one."""
    if request.schema is None:
        return SimulatedAnswer(f"{_MARK} {request.text}")
    right = answers_to(gold, request.text, request.target).get(request.task)
    if isinstance(right, str):
        right = {"label" if "label" in request.schema.get("properties", {}) else "content": right}
    if right is None or not _fits(request, right):
        if behaviour.invent:
            return SimulatedAnswer(_dump(_fill(request.schema, request.text, behaviour.seed)))
        return SimulatedAnswer(NO_GOLD, declined=True)
    if chance(behaviour.seed, "wrong", request.task, request.text) >= behaviour.wrong_rate:
        return SimulatedAnswer(_dump(right))
    return SimulatedAnswer(_dump(_wrong(request, right, behaviour.seed)), wrong=True)


def logprobs_of(content: str, confidence: float) -> dict[str, Any]:
    """Return the tokens of an answer with their probabilities: 1, and the given one for its label, or its labels."""
    frame, label, value = content.partition('"labels": ' if '"labels": ' in content else '"label": ')
    tokens = [(frame + label, 1.0), (value.removesuffix("}"), confidence), ("}", 1.0)] if label else [(content, 1.0)]
    return {
        "content": [
            {"token": token, "logprob": math.log(max(probability, 1e-9)), "bytes": list(token.encode())}
            for token, probability in tokens
        ]
    }


def chance(seed: int, *parts: str) -> float:
    """Return a number in [0, 1) that depends on seed and parts alone."""
    digest = hashlib.sha256(json.dumps([seed, *parts]).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _fits(request: CompletionRequest, right: Any) -> bool:
    """Return whether the labels of a gold answer are among those to choose from: another model may have its own."""
    if "label" in right:
        return not (labels := _enum(request.schema, "label")) or right["label"] in labels
    if request.task == "ner":
        labels = _enum(request.schema, "entities", "label")
        return not labels or all(entity["label"] in labels for entity in right["entities"])
    return True


def _wrong(request: CompletionRequest, right: Any, seed: int) -> Any:
    """Return an answer that fits the schema and is not the right one."""
    if isinstance(right, Mapping) and "labels" in right:
        labels = _enum(request.schema, "labels")
        changed = _pick(labels, seed, request.text)
        return {"labels": [label for label in labels if (label in right["labels"]) != (label == changed)]}
    if isinstance(right, Mapping) and "label" in right:
        labels = [label for label in _enum(request.schema, "label") if label != right["label"]]
        return {"label": _pick(labels, seed, request.text)}
    if request.task == "ner":
        labels = _enum(request.schema, "entities", "label")
        if not right["entities"]:
            return {"entities": [{"text": request.text.split()[0], "label": label} for label in labels[:1]]}
        following = dict(zip(labels, [*labels[1:], *labels[:1]], strict=True))
        return {"entities": [one | {"label": following.get(one["label"], one["label"])} for one in right["entities"]]}
    return {"text": f"{_MARK} {request.text}"}


def _enum(schema: Mapping[str, Any] | None, *path: str) -> list[Any]:
    """Return the allowed values of a property, also inside lists of objects; none where the schema has no enum."""
    part: Any = schema or {}
    for name in path:
        part = part.get("items", part).get("properties", {}).get(name, {})
    return list(part.get("items", part).get("enum", []))


def _fill(schema: Mapping[str, Any], text: str, seed: int) -> Any:
    """Return the simplest value of a schema; of an enum, the one that seed and text select."""
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
    """Return a message's text: a string, or a list of parts."""
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _text(content: str) -> str:
    """Return the field `text` where the message is a JSON object, else the message."""
    try:
        data = json.loads(content)
    except (ValueError, RecursionError):
        return content
    return data["text"] if isinstance(data, dict) and isinstance(data.get("text"), str) else content


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
