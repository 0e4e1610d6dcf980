"""`POST /v1/systemone`: a state, and questions about it by their ids. What is not answered is left out."""

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Request
from pydantic import Field

from sprat_gateway.http.callers import Caller, needs
from sprat_gateway.replies.waiters import TextOutcome
from sprat_gateway.shapes.asking import asking_of
from sprat_gateway.shapes.openapi import described
from sprat_gateway.shapes.questions import MAX_CHOICES, MIN_CHOICES, AskedQuestion, GivenAnswer, usage_of
from sprat_gateway.shapes.requests import RequestPart, read, refused

router = APIRouter()

_MEDIA: Final = ("images", "assets", "audio", "videos")
Instructions = Annotated[Any, Field(description="Not read: a task is what its owner has defined.")]


class SystemOneChoice(RequestPart):
    """Which of these labels fits the state."""

    type: Literal["choice"]
    instructions: Instructions = None
    criteria: Annotated[
        dict[str, Any],
        Field(
            min_length=MIN_CHOICES, max_length=MAX_CHOICES, description="Label → its description, which is not read."
        ),
    ]


class OtherSystemOneQuestion(RequestPart):
    """A question that stays without an answer."""

    type: Literal["noul", "score"]


class SystemOneRequest(RequestPart):
    """The body."""

    model: Annotated[str, Field(min_length=1, max_length=256, description="Any name; it is returned.")]
    state: Annotated[str, Field(description="The text.")]
    questions: Annotated[
        dict[str, Annotated[SystemOneChoice | OtherSystemOneQuestion, Field(discriminator="type")]],
        Field(
            min_length=1,
            max_length=400,
            description="By id; a task of that name answers it, where its labels hold all criteria.",
        ),
    ]
    images: Annotated[Any, Field(json_schema_extra={"deprecated": True})] = None
    assets: Annotated[Any, Field(json_schema_extra={"deprecated": True})] = None
    audio: Annotated[Any, Field(json_schema_extra={"deprecated": True})] = None
    videos: Annotated[Any, Field(json_schema_extra={"deprecated": True})] = None


def read_systemone(body: bytes) -> tuple[str, str, tuple[AskedQuestion, ...]]:
    """Return the model, the text and the questions of a request.

    Raises:
        Problem: 400, with the field that Sprat does not read.
    """
    request = read(SystemOneRequest, body)
    for field in _MEDIA:
        if getattr(request, field):
            raise refused(field, "Sprat reads text alone")
    return request.model, request.state, tuple(_question(id, each) for id, each in request.questions.items())


def _question(id: str, given: SystemOneChoice | OtherSystemOneQuestion) -> AskedQuestion:
    values = tuple(given.criteria) if isinstance(given, SystemOneChoice) else None
    return AskedQuestion(f"questions.{id}", id, values)


def decision(
    model: str, questions: Sequence[AskedQuestion], answers: Sequence[GivenAnswer], outcomes: Sequence[TextOutcome]
) -> dict[str, Any]:
    """Return the body of the response. `sprat.refused` says why a question has no answer."""
    read_tokens, written = usage_of(outcomes)
    answered: dict[str, Any] = {}
    refusals: dict[str, Any] = {}
    for question, answer in zip(questions, answers, strict=True):
        name = question.name or ""
        if answer.choice is None or answer.probabilities is None:
            refusals[name] = dict(answer.sprat)
        else:
            answered[name] = {
                "type": "choice",
                "choice": answer.choice,
                "confidence": answer.confidence or 0.0,
                "probabilities": dict(answer.probabilities),
                "sprat": dict(answer.sprat),
            }
    return {
        "model": model,
        "answers": answered,
        "usage": {"input_tokens": read_tokens, "output_tokens": written},
        "sprat": {"refused": refusals},
    }


@router.post("/v1/systemone", openapi_extra=described(SystemOneRequest), summary="Questions about a state")
async def decide(request: Request, caller: Annotated[Caller, Depends(needs("send"))]) -> dict[str, Any]:
    """Answer questions about a text, as `POST /v1/systemone`."""
    model, text, questions = read_systemone(await request.body())
    return decision(model, questions, *await asking_of(request).answers(request, caller, text, questions))
