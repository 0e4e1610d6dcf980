"""`POST /v1/decisions`, as the types of the `openai` package 3.57 have it: one text, and questions about it."""

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Request
from pydantic import Field, StrictBool, StrictStr

from sprat_gateway.http.callers import Caller, needs
from sprat_gateway.replies.waiters import TextOutcome
from sprat_gateway.shapes.asking import asking_of
from sprat_gateway.shapes.openapi import described
from sprat_gateway.shapes.questions import MAX_CHOICES, MIN_CHOICES, AskedQuestion, GivenAnswer, usage_of
from sprat_gateway.shapes.requests import RequestPart, read, refused

router = APIRouter()

_ONE_TEXT: Final = "one text of a user is read in a request"
_NO_MEDIA: Final = "Sprat reads text alone"

Instructions = Annotated[
    str | list[dict[str, Any]], Field(description="Not read: a task is what its owner has defined.")
]


class DecisionChoice(RequestPart):
    """An option of a question."""

    value: StrictStr | StrictBool
    description: Annotated[str | None, Field(description="Not read.")] = None


class DecisionChoiceQuestion(RequestPart):
    """Which of these options fits the text."""

    type: Literal["choice"]
    instructions: Instructions
    choices: Annotated[list[DecisionChoice], Field(min_length=MIN_CHOICES, max_length=MAX_CHOICES)]
    name: Annotated[
        str | None, Field(description="A task of this name answers it, where its labels hold all values.")
    ] = None


class OtherDecisionQuestion(RequestPart):
    """A question that is answered with a refusal."""

    type: Literal["predicate", "score"]
    instructions: Instructions
    name: str | None = None


class DecisionRequest(RequestPart):
    """The body."""

    model: Annotated[str, Field(min_length=1, max_length=256, description="Any name; it is returned.")]
    input: Annotated[
        Any,
        Field(
            description="A text, or one message of a user with one text.",
            json_schema_extra={"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "object"}}]},
        ),
    ]
    questions: Annotated[
        list[Annotated[DecisionChoiceQuestion | OtherDecisionQuestion, Field(discriminator="type")]],
        Field(min_length=1, max_length=400),
    ]
    audio: Annotated[Any, Field(exclude=True, json_schema_extra={"deprecated": True})] = None
    videos: Annotated[Any, Field(exclude=True, json_schema_extra={"deprecated": True})] = None


def read_decision(body: bytes) -> tuple[str, str, tuple[AskedQuestion, ...]]:
    """Return the model, the text and the questions of a request.

    Raises:
        Problem: 400, with the field that Sprat does not read.
    """
    request = read(DecisionRequest, body)
    for field in ("audio", "videos"):
        if getattr(request, field):
            raise refused(field, _NO_MEDIA)
    questions = tuple(_question(number, each) for number, each in enumerate(request.questions))
    return request.model, _text_of(request.input), questions


def _question(number: int, given: DecisionChoiceQuestion | OtherDecisionQuestion) -> AskedQuestion:
    field = f"questions[{number}]"
    for place, part in enumerate(given.instructions if isinstance(given.instructions, list) else ()):
        if part.get("type") == "input_image":
            raise refused(f"{field}.instructions[{place}]", _NO_MEDIA)
    if isinstance(given, OtherDecisionQuestion):
        return AskedQuestion(field, given.name)
    values = tuple(choice.value for choice in given.choices)
    if len({(type(value), value) for value in values}) < len(values):
        raise refused(f"{field}.choices", "a value stands twice")
    return AskedQuestion(field, given.name, values)


def _text_of(given: object) -> str:
    """Return the text of an input: a string, or one message of a user with one text."""
    if isinstance(given, str):
        return given
    message = _only(given, "input")
    if message.get("type", "message") != "message":
        raise refused("input[0].type", f"no tool call, and no output of one; {_ONE_TEXT}")
    if message.get("role") != "user":
        raise refused("input[0].role", f"user alone; {_ONE_TEXT}")
    content = message.get("content")
    if isinstance(content, str):
        return content
    part = _only(content, "input[0].content")
    if part.get("type") != "input_text":
        raise refused("input[0].content[0].type", f"input_text alone; {_NO_MEDIA}")
    text = part.get("text")
    if not isinstance(text, str):
        raise refused("input[0].content[0].text", "a string is needed")
    return text


def _only(given: object, field: str) -> dict[str, Any]:
    """Return the one object of a list."""
    if not isinstance(given, list):
        raise refused(field, "a string, or a list with one object")
    if len(given) != 1:
        raise refused(f"{field}[1]" if given else field, _ONE_TEXT)
    if not isinstance(given[0], dict):
        raise refused(f"{field}[0]", "an object is needed")
    return given[0]


def decision(
    model: str, questions: Sequence[AskedQuestion], answers: Sequence[GivenAnswer], outcomes: Sequence[TextOutcome]
) -> dict[str, Any]:
    """Return the body of the response."""
    read_tokens, written = usage_of(outcomes)
    return {
        "model": model,
        "answers": [_written(question, answer) for question, answer in zip(questions, answers, strict=True)],
        "usage": {
            "input_tokens": read_tokens,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": written,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": read_tokens + written,
        },
    }


def _written(question: AskedQuestion, answer: GivenAnswer) -> dict[str, Any]:
    if answer.choice is None or answer.probabilities is None:
        return {"type": "refusal", "name": question.name, "sprat": dict(answer.sprat)}
    return {
        "type": "choice",
        "name": question.name,
        "choice": answer.choice,
        "confidence": answer.confidence or 0.0,
        "probabilities": [
            {"value": value, "probability": probability} for value, probability in answer.probabilities.items()
        ],
        "sprat": dict(answer.sprat),
    }


@router.post("/v1/decisions", openapi_extra=described(DecisionRequest), summary="Questions about a text")
async def decide(request: Request, caller: Annotated[Caller, Depends(needs("send"))]) -> dict[str, Any]:
    """Answer questions about a text, as OpenAI's `POST /v1/decisions`."""
    model, text, questions = read_decision(await request.body())
    return decision(model, questions, *await asking_of(request).answers(request, caller, text, questions))
