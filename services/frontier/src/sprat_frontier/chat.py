"""Chat completions: a model that writes JSON of a schema."""

from typing import Annotated, Any

import httpx2
from openai import AsyncOpenAI
from pydantic import Field, field_validator

from sprat_contracts import Declined, Usage
from sprat_frontier.answers import InvalidAnswerError, parse
from sprat_frontier.errors import ProviderError
from sprat_frontier.label_confidence import TokenLogprob, label_confidence
from sprat_frontier.prompts import FrontierQuestion, prompt_for
from sprat_frontier.protocols import PreparedRequest, ProviderAnswer
from sprat_frontier.responses import OR_NONE, Lenient, Response, named, read_json, span_attributes, usage_of

_MAX_LOGPROBS = 4_096
"""Tokens; a label takes a few."""
_MAX_CHOICES = 16
"""One is asked for."""


class _Message(Lenient):
    content: str | None = None
    refusal: str | None = None

    @field_validator("content", mode="before")
    @classmethod
    def _joined(cls, value: object) -> object:
        """Return the text of a list of parts, without what a model thinks: those of Mistral that think send a list."""
        if not isinstance(value, list):
            return value
        texts = [part.get("text") for part in value if isinstance(part, dict) and part.get("type") == "text"]
        return "".join(text for text in texts if isinstance(text, str))


class _Logprobs(Lenient):
    content: Annotated[list[TokenLogprob], Field(max_length=_MAX_LOGPROBS)]


class _Choice(Lenient):
    message: _Message
    finish_reason: str | None = None
    logprobs: Annotated[_Logprobs | None, OR_NONE] = None


class _Tokens(Lenient):
    prompt_tokens: int = Field(ge=0)
    completion_tokens: int = Field(ge=0)


class _Completion(Lenient):
    id: Annotated[str | None, OR_NONE] = None
    model: str = Field(min_length=1, max_length=256)
    choices: Annotated[list[_Choice], Field(min_length=1, max_length=_MAX_CHOICES, fail_fast=True)]
    usage: Annotated[_Tokens | None, OR_NONE] = None


class ChatApi:
    """`POST /chat/completions`.

    Args:
        temperature: None: not sent.
        max_output_tokens: the most tokens of an answer.
        logprobs: whether to ask for the probability of labels.
    """

    name = "chat"

    def __init__(self, temperature: float | None, max_output_tokens: int, *, logprobs: bool = False) -> None:
        self._temperature = temperature
        self._max_output_tokens = max_output_tokens
        self._logprobs = logprobs

    def problem(self, question: FrontierQuestion) -> Declined | None:
        """Return None: it can ask everything."""
        return None

    def body(self, model: str, question: FrontierQuestion) -> dict[str, Any]:
        """Write the request."""
        prompt = prompt_for(question)
        body: dict[str, Any] = {
            "model": model,
            "messages": [{"role": "system", "content": prompt.system}, {"role": "user", "content": prompt.user}],
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": question.task, "schema": prompt.schema, "strict": True},
            },
            "max_tokens": min(prompt.max_tokens, self._max_output_tokens),
        }
        if self._temperature is not None:
            body["temperature"] = self._temperature
        if self._logprobs and question.is_of_labels:
            body["logprobs"] = True
        return body

    def path(self, body: dict[str, Any]) -> str:
        """Return the path of a request, below the base URL."""
        return "/chat/completions"

    async def send(self, client: AsyncOpenAI, body: dict[str, Any]) -> httpx2.Response:
        """Make the call."""
        response: httpx2.Response = (await client.chat.completions.with_raw_response.create(**body)).http_response
        return response

    def read(self, prepared: PreparedRequest, response: Response) -> ProviderAnswer | ProviderError:
        """Return the answer in a response, or why it has none."""
        completion = _completion(response.body)
        if isinstance(completion, bool):
            return ProviderError(
                "garbled", "the response is not a chat completion", retryable=completion, **response.origin
            )
        choice = completion.choices[0]
        content = choice.message.content or ""
        usage, capped = _usage(completion, prepared, content)

        shown = span_attributes(completion.id, choice.finish_reason)
        billed: dict[str, Any] = {"usage": usage, "usage_capped": capped, "shown": shown} | response.origin

        def failure(code: str, detail: str) -> ProviderError:
            return ProviderError(code, detail, **billed)

        if choice.message.refusal and response.simulated:
            return failure("no_gold", "the simulator has no answer to this text in its file of answers")
        if choice.message.refusal or choice.finish_reason == "content_filter":
            return failure("refused", "the model refused to answer")
        if choice.finish_reason == "length":
            return failure("invalid_answer", "the answer was cut off at its token limit")
        try:
            output = parse(prepared.question, content)
        except InvalidAnswerError as error:
            reason = str(error)
        else:
            model, replaced = named(completion.model, prepared.body["model"])
            told = [] if choice.logprobs is None else choice.logprobs.content
            confidence = label_confidence(content, told) if prepared.question.is_of_labels else None
            return ProviderAnswer(output, model, model_replaced=replaced, confidence=confidence, **billed)
        return failure("invalid_answer", reason)


class LlamaCppApi(ChatApi):
    """Chat completions as the servers of llama.cpp take them, that of llama-cpp-python among them.

    That one knows the schema of an answer in `json_object` alone, and tells no probabilities without `top_logprobs`.
    """

    name = "llamacpp"

    def body(self, model: str, question: FrontierQuestion) -> dict[str, Any]:
        """Write the request."""
        body = super().body(model, question)
        schema = body["response_format"]["json_schema"]["schema"]
        body["response_format"] = {"type": "json_object", "schema": schema}
        if "logprobs" in body:
            body["top_logprobs"] = 1
        return body


def _completion(body: bytes) -> _Completion | bool:
    """Return the completion; where there is none, whether another try may bring one.

    What has no choices may be a proxy's, and another try may reach the provider.
    """
    try:
        return _Completion.model_validate(read_json(body))
    except ValueError:
        return b'"choices"' not in body


def _usage(completion: _Completion, prepared: PreparedRequest, content: str) -> tuple[Usage, bool]:
    used = completion.usage
    counted = None if used is None else (used.prompt_tokens, used.completion_tokens)
    return usage_of(counted, prepared, content, prepared.body["max_tokens"])
