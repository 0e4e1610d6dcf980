"""What requests ask and responses say: OpenAI's `POST /v1/decisions` and `POST /v1/chat/completions`, in part.

Of a decision, one question of type `choice`; of a chat, one system message and one user message. That is what tiers
send. A request is refused where it asks for more than is done: it would get another answer than it wants.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

MAX_OPTIONS = 255
"""Of one question, as the API says."""
_MAX_TEXT = 200_000
_Text = Annotated[str, Field(max_length=_MAX_TEXT)]
_ANSWER = "Answer with one of these options, exactly as it is written, and nothing else."


class RefusedRequestError(ValueError):
    """The request does not have the API's form, or asks for what is not done. The message quotes nothing of it."""


class _Read(BaseModel):
    """The fields that are read; clients send more."""

    model_config = ConfigDict(hide_input_in_errors=True, frozen=True)


Form = TypeVar("Form", bound=_Read)


class _Option(_Read):
    value: Annotated[str, Field(min_length=1, max_length=1_000)]
    description: Annotated[str | None, Field(max_length=10_000)] = None


class _ChoiceQuestion(_Read):
    type: Literal["choice"]
    name: Annotated[str, Field(max_length=256)] = ""
    instructions: _Text
    choices: Annotated[tuple[_Option, ...], Field(min_length=2, max_length=MAX_OPTIONS)]


class DecisionRequest(_Read):
    """A request for a decision."""

    input: _Text
    questions: Annotated[tuple[_ChoiceQuestion, ...], Field(min_length=1, max_length=1)]

    @property
    def options(self) -> list[str]:
        """The options, in their order."""
        return [each.value for each in self.questions[0].choices]

    @property
    def system(self) -> str:
        """The question as a system message."""
        question = self.questions[0]
        lines = [f"- {each.value}" + (f": {each.description}" if each.description else "") for each in question.choices]
        return "\n".join([question.instructions, "Options:", *lines, _ANSWER])

    def response(self, model: str, probabilities: Sequence[float], tokens: int) -> dict[str, Any]:
        """Return the body, in the form of `openai.types.Decision`.

        Args:
            model: its name.
            probabilities: of the options, in their order.
            tokens: of the question.
        """
        shares = dict(zip(self.options, probabilities, strict=True))
        choice = max(shares, key=shares.__getitem__)
        answer = {
            "type": "choice",
            "name": self.questions[0].name,
            "choice": choice,
            "confidence": shares[choice],
            "probabilities": [{"value": value, "probability": share} for value, share in shares.items()],
        }
        return {
            "model": model,
            "answers": [answer],
            "usage": {
                "input_tokens": tokens,
                "input_tokens_details": {"cache_write_tokens": 0, "cached_tokens": 0},
                "output_tokens": 0,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": tokens,
            },
        }


class _Part(_Read):
    type: Literal["text"]
    text: _Text


class _ChatMessage(_Read):
    role: Literal["system", "developer", "user"]
    content: _Text | tuple[_Part, ...]

    @property
    def text(self) -> str:
        return self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)


class ChatRequest(_Read):
    """A request for an answer in words."""

    messages: Annotated[tuple[_ChatMessage, ...], Field(min_length=1, max_length=2)]
    response_format: Mapping[str, Any] | None = None
    max_tokens: Annotated[int | None, Field(ge=1)] = None
    max_completion_tokens: Annotated[int | None, Field(ge=1)] = None
    stop: Annotated[str, Field(max_length=256)] | Annotated[tuple[str, ...], Field(max_length=4)] | None = None
    n: Literal[1] = 1
    stream: Literal[False] = False

    @property
    def system(self) -> str:
        """The system message; empty without one."""
        return "" if len(self.messages) == 1 else self.messages[0].text

    @property
    def user(self) -> str:
        """The user's message."""
        return self.messages[-1].text

    @property
    def stops(self) -> tuple[str, ...]:
        """The texts that end an answer before themselves."""
        given = (self.stop,) if isinstance(self.stop, str) else self.stop or ()
        return tuple(filter(None, given))

    @property
    def field(self) -> str | None:
        """The only field of the schema, where that is an object with one text: then JSON is written around it here."""
        described = (self.response_format or {}).get("json_schema")
        schema = described.get("schema") if isinstance(described, dict) else None
        fields = schema.get("properties") if isinstance(schema, dict) else None
        if not isinstance(fields, dict) or len(fields) != 1:
            return None
        ((name, kind),) = fields.items()
        return str(name) if kind == {"type": "string"} else None

    def most_tokens(self, limit: int) -> int:
        """Return the most tokens of an answer: what is asked for, up to the limit."""
        return min(limit, *(each for each in (self.max_tokens, self.max_completion_tokens) if each is not None), limit)


def read_decision(body: bytes) -> DecisionRequest:
    """Return the request in a body.

    Raises:
        RefusedRequestError: it has another form, or two options are equal.
    """
    decision = _read(DecisionRequest, body)
    if len(set(decision.options)) != len(decision.options):
        raise RefusedRequestError("questions: two options have the same value")
    return decision


def read_completion(body: bytes) -> ChatRequest:
    """Return the request in a body.

    Raises:
        RefusedRequestError: it has another form, or asks for what is not done.
    """
    completion = _read(ChatRequest, body)
    roles = [message.role for message in completion.messages]
    if roles[-1] != "user" or "user" in roles[:-1]:
        raise RefusedRequestError("messages: expected one user message, and before it at most one system message")
    return completion


def completion_response(
    number: int, created: int, model: str, content: str, usage: tuple[int, int], *, is_cut: bool
) -> dict[str, Any]:
    """Return the body of an answer in words."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": content},
        "finish_reason": "length" if is_cut else "stop",
    }
    return {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": created,
        "model": model,
        "choices": [choice],
        "usage": {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)},
    }


def _read(form: type[Form], body: bytes) -> Form:
    try:
        return form.model_validate(json.loads(body))
    except ValidationError as error:
        (problem, *_) = error.errors(include_input=False, include_context=False, include_url=False)
        where = ".".join(map(str, problem["loc"]))
        raise RefusedRequestError(f"{where}: {problem['msg']}") from None
    except (ValueError, RecursionError):
        raise RefusedRequestError("the body is not JSON") from None
