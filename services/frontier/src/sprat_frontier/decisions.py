"""Decision models: one question with options, answered by their probabilities. They write no text.

Two APIs: OpenAI's `POST /decisions`, as the pinned `openai` package has it, and System One's `POST /systemone`. Their
`confidence` means something else from server to server (how peaked the probabilities are, or by how much the best
leads), so that it is not read: the probability of the chosen option is.
"""

from collections.abc import Mapping
from typing import Annotated, Any

import httpx2
from openai import AsyncOpenAI
from pydantic import Field

from sprat_contracts import Declined, IntentOutput, ReasonCode
from sprat_frontier.errors import ProviderError
from sprat_frontier.prompts import FrontierQuestion, choice_for
from sprat_frontier.protocols import PreparedRequest, ProviderAnswer
from sprat_frontier.responses import OR_NONE, Lenient, Response, named, read_json, span_attributes, usage_of

MAX_OPTIONS = 255
"""Of one question. Servers may take fewer, and refuse more."""
_MAX_OUTPUT_TOKENS = 16 * MAX_OPTIONS
"""They write no text; some count a token or some for each option."""
_MAX_SUM = 1.01
"""Of the probabilities of one choice: servers round them."""
_Share = Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)]


class _CountedTokens(Lenient):
    input_tokens: int = Field(ge=0)
    output_tokens: int = Field(ge=0)


class _Decided(Lenient):
    id: Annotated[str | None, OR_NONE] = None
    model: str = Field(min_length=1, max_length=256)
    usage: Annotated[_CountedTokens | None, OR_NONE] = None


class _Probability(Lenient):
    value: str | bool
    probability: _Share


_List = Annotated[list[_Probability], Field(max_length=MAX_OPTIONS)]
_Table = Annotated[dict[str, _Share], Field(max_length=MAX_OPTIONS)]


class _Answer(Lenient):
    type: str
    choice: str | bool | None = None
    probabilities: Annotated[_List | None, OR_NONE] = Field(default_factory=list)
    """None: they are no probabilities."""


class _Decision(_Decided):
    answers: Annotated[list[_Answer], Field(min_length=1, max_length=1)]


class _NamedAnswer(Lenient):
    type: str
    choice: str | None = None
    probabilities: Annotated[_Table | None, OR_NONE] = Field(default_factory=dict)
    """None: they are no probabilities."""


class _SystemOne(_Decided):
    answers: Annotated[dict[str, _NamedAnswer], Field(max_length=16)]


def _problem(question: FrontierQuestion) -> Declined | None:
    if question.output is not IntentOutput:
        return Declined(code=ReasonCode.TASK, detail="a decision model answers tasks of one label alone")
    if len(question.labels) >= MAX_OPTIONS:
        detail = f"a decision model takes {MAX_OPTIONS - 1} labels, and one option for none of them"
        return Declined(code=ReasonCode.TASK, detail=detail)
    return None


class DecisionsApi:
    """`POST /decisions` of the `openai` package: one question of type `choice`."""

    name = "decisions"

    def problem(self, question: FrontierQuestion) -> Declined | None:
        """Return why it cannot ask this; None if it can."""
        return _problem(question)

    def body(self, model: str, question: FrontierQuestion) -> dict[str, Any]:
        """Write the request."""
        choice = choice_for(question)
        choices = [
            {"value": label} | ({"description": meaning} if meaning else {})
            for label, meaning in choice.options.items()
        ]
        asked = {"type": "choice", "name": question.task, "instructions": choice.instructions, "choices": choices}
        return {"model": model, "input": choice.user, "questions": [asked]}

    def path(self, body: dict[str, Any]) -> str:
        """Return the path of a request, below the base URL."""
        return "/decisions"

    async def send(self, client: AsyncOpenAI, body: dict[str, Any]) -> httpx2.Response:
        """Make the call."""
        return (await client.decisions.with_raw_response.create(**body)).http_response

    def read(self, prepared: PreparedRequest, response: Response) -> ProviderAnswer | ProviderError:
        """Return the answer in a response, or why it has none."""
        try:
            decision = _Decision.model_validate(read_json(response.body))
        except ValueError:
            return _garbled(response)
        (answer,) = decision.answers
        told = answer.probabilities or []
        shares = {each.value: each.probability for each in told}
        # An option with two probabilities has none.
        probabilities = None if answer.probabilities is None or len(shares) < len(told) else shares
        chosen = answer.choice if isinstance(answer.choice, str) and answer.type == "choice" else None
        return _answer(prepared, response, decision, chosen, probabilities, refused=answer.type == "refusal")


class SystemOneApi:
    """`POST /systemone`: a state, and one question of type `choice` by its name."""

    name = "systemone"

    def problem(self, question: FrontierQuestion) -> Declined | None:
        """Return why it cannot ask this; None if it can."""
        return _problem(question)

    def body(self, model: str, question: FrontierQuestion) -> dict[str, Any]:
        """Write the request."""
        choice = choice_for(question)
        criteria = {label: meaning or None for label, meaning in choice.options.items()}
        asked = {"type": "choice", "instructions": choice.instructions, "criteria": criteria}
        return {"model": model, "state": choice.user, "questions": {question.task: asked}}

    def path(self, body: dict[str, Any]) -> str:
        """Return the path of a request, below the base URL."""
        return "/systemone"

    async def send(self, client: AsyncOpenAI, body: dict[str, Any]) -> httpx2.Response:
        """Make the call."""
        return await client.post(self.path(body), cast_to=httpx2.Response, body=body)

    def read(self, prepared: PreparedRequest, response: Response) -> ProviderAnswer | ProviderError:
        """Return the answer in a response, or why it has none. A question that is not answered is refused."""
        try:
            decision = _SystemOne.model_validate(read_json(response.body))
        except ValueError:
            return _garbled(response)
        answer = decision.answers.get(prepared.question.task)
        if answer is None:
            return _answer(prepared, response, decision, None, {}, refused=True)
        chosen = answer.choice if answer.type == "choice" else None
        return _answer(prepared, response, decision, chosen, answer.probabilities)


def _garbled(response: Response) -> ProviderError:
    """Return the error of what is no decision. What has no answers may be a proxy's: another try may help."""
    retryable = b'"answers"' not in response.body
    return ProviderError("garbled", "the response is not a decision", retryable=retryable, **response.origin)


def _answer(
    prepared: PreparedRequest,
    response: Response,
    decision: _Decided,
    chosen: str | None,
    probabilities: Mapping[str, float] | Mapping[str | bool, float] | None,
    *,
    refused: bool = False,
) -> ProviderAnswer | ProviderError:
    counted = None if decision.usage is None else (decision.usage.input_tokens, decision.usage.output_tokens)
    usage, capped = usage_of(counted, prepared, "", _MAX_OUTPUT_TOKENS)
    shown = span_attributes(decision.id)
    billed: dict[str, Any] = {"usage": usage, "usage_capped": capped, "shown": shown} | response.origin
    if refused and response.simulated:
        return ProviderError("no_gold", "the simulator has no answer to this text in its file of answers", **billed)
    if refused:
        return ProviderError("refused", "the model refused to answer", **billed)
    choice = choice_for(prepared.question)
    if chosen is None or chosen not in choice.options:
        return ProviderError("invalid_answer", "the choice is not among the options", **billed)
    if probabilities is None or sum(probabilities.values()) > _MAX_SUM:
        # Percentages, scores of options by themselves, or text: whatever keep_at is, it would mean something else.
        return ProviderError("invalid_answer", "its probabilities are none", **billed)
    model, replaced = named(decision.model, prepared.body["model"])
    label = None if chosen == choice.none else chosen
    return ProviderAnswer(
        IntentOutput(label=label),
        model,
        confidence=probabilities.get(chosen),
        model_replaced=replaced,
        **billed,
    )
