"""The HTTP endpoints: the OpenAI-compatible API, and those that control and observe the simulator."""

import asyncio
import hmac
import itertools
import json
import math
import time
from collections.abc import Callable
from typing import Any, Protocol

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sprat_simulator.answers import (
    BadRequestError,
    CompletionRequest,
    answer,
    chosen,
    logprobs_of,
    read_decisions,
    read_request,
    read_systemone,
)
from sprat_simulator.gold import Gold
from sprat_simulator.settings import Behaviour, SimulatorSettings
from sprat_simulator.state import SimulatorState, Stats

PREFIX = "simulated-"
HEADER = "sprat-simulated"
"""On every response to a question: by it, and by no setting, the asker knows that no model has answered."""
MODEL = PREFIX + "frontier"
_CHARACTERS_PER_TOKEN = 4
_OVERCOUNTED = 1_000_000


Read = Callable[[Any], CompletionRequest]
"""Reads the body of a request."""


class Write(Protocol):
    """Writes the body of a response to a request: the model's name, what it says, and the tokens in and out."""

    def __call__(
        self,
        request: CompletionRequest,
        model: str,
        content: str,
        usage: tuple[int, int],
        *,
        declined: bool,
        confidence: float,
    ) -> dict[str, Any]:
        """Return the body."""
        ...


class Simulator:
    """The endpoints."""

    def __init__(self, state: SimulatorState, api_key: str | None = None, control_token: str | None = None) -> None:
        self._state = state
        self._api_key = api_key
        self._control_token = control_token
        self._numbers = itertools.count(1)

    def app(self) -> Starlette:
        """Return the ASGI application."""
        return Starlette(
            routes=[
                Route("/v1/chat/completions", self.complete, methods=["POST"]),
                Route("/v1/decisions", self.decide, methods=["POST"]),
                Route("/v1/systemone", self.systemone, methods=["POST"]),
                Route("/v1/models", self.models, methods=["GET"]),
                Route("/healthz", self.healthz, methods=["GET"]),
                Route("/control", self.control, methods=["GET", "POST"]),
                Route("/requests", self.requests, methods=["GET", "DELETE"]),
                Route("/stats", self.stats, methods=["GET", "DELETE"]),
            ]
        )

    async def complete(self, request: Request) -> Response:
        """Answer a chat completion request, or fail as the behaviour says."""
        return await self._asked(request, read_request, self._completion)

    async def decide(self, request: Request) -> Response:
        """Answer a request of OpenAI's Decisions API with one choice, or fail as the behaviour says."""
        return await self._asked(request, read_decisions, _decision)

    async def systemone(self, request: Request) -> Response:
        """Answer a request of System One with one choice, or fail as the behaviour says."""
        return await self._asked(request, read_systemone, _systemone)

    async def _asked(self, request: Request, read: Read, write: Write) -> Response:
        stats = self._state.stats
        stats.requests += 1
        stats.in_flight += 1
        stats.max_in_flight = max(stats.max_in_flight, stats.in_flight)
        try:
            response = await self._respond(request, read, write)
            response.headers[HEADER] = "true"
            return response
        finally:
            self._state.stats.in_flight -= 1  # not `stats`: a DELETE may have replaced it

    async def models(self, _: Request) -> Response:
        """List the one model, with its price in euros per million tokens."""
        behaviour = self._state.behaviour
        price = {"input_eur": behaviour.input_eur, "output_eur": behaviour.output_eur}
        model = {"id": MODEL, "object": "model", "created": 0, "owned_by": "sprat-simulator", "price": price}
        return JSONResponse({"object": "list", "data": [model]})

    async def healthz(self, _: Request) -> Response:
        """Report that the simulator runs."""
        return JSONResponse({"status": "ok"})

    async def control(self, request: Request) -> Response:
        """Show the behaviour; a POST first changes the fields that it names. Any user of the machine can ask."""
        if self._control_token is None:
            return JSONResponse({"error": "start it with SPRAT_SIMULATOR_CONTROL_TOKEN"}, 404)
        if not _bears(request, self._control_token):
            return JSONResponse({"error": "the token is missing or wrong"}, 401)
        if request.method == "POST":
            try:
                changes = await request.json()
                present = self._state.behaviour.model_dump()
                self._state.behave(Behaviour.model_validate(present | changes))
            except ValidationError as error:
                details = error.errors(include_input=False, include_context=False, include_url=False)
                return JSONResponse({"error": "not a behaviour", "details": details}, 422)
            except (ValueError, TypeError, RecursionError):
                return JSONResponse({"error": "not a JSON object"}, 422)
        return JSONResponse(self._state.behaviour.model_dump())

    async def requests(self, request: Request) -> Response:
        """Show the requests since the start or the last DELETE."""
        if self._state.kept is None:
            return JSONResponse({"error": "start it with SPRAT_SIMULATOR_KEEP_REQUESTS=1"}, 404)
        if request.method == "DELETE":
            self._state.kept.clear()
        return JSONResponse({"requests": list(self._state.kept)})

    async def stats(self, request: Request) -> Response:
        """Show the counts; a DELETE sets them to 0, except for requests in flight."""
        if request.method == "DELETE":
            in_flight = self._state.stats.in_flight
            self._state.stats = Stats(in_flight=in_flight, max_in_flight=in_flight)
        return JSONResponse(self._state.report())

    async def _respond(self, request: Request, read: Read, write: Write) -> Response:
        state, behaviour = self._state, self._state.behaviour
        raw = await request.body()
        state.keep(raw.decode(errors="replace"), len(raw))
        if self._api_key is not None and not _bears(request, self._api_key):
            return _error(401, "the key is missing or wrong")
        wait_s = state.bucket.wait_s(behaviour.rate_limit_per_s)
        if wait_s > 0:
            state.stats.rate_limited += 1
            return _error(429, "too many requests", {"Retry-After": str(math.ceil(wait_s))})
        try:
            asked = read(json.loads(raw))
        except (ValueError, RecursionError) as error:  # the latter by JSON that is nested too deep
            return _error(400, str(error) if isinstance(error, BadRequestError) else "not JSON")
        await asyncio.sleep(state.latency_s())
        if state.happens("hang_rate"):
            return await self._hang(request)
        if state.happens("error_rate"):
            state.stats.errors += 1
            return _error(behaviour.error_status, "simulated")
        return self._answer(asked, write)

    def _answer(self, request: CompletionRequest, write: Write) -> Response:
        state, behaviour = self._state, self._state.behaviour
        if state.happens("garbled_rate"):
            state.stats.spoilt += 1
            return Response("<html>simulated</html>", media_type="text/html")
        simulated = answer(request, state.gold, behaviour)
        content = simulated.content
        if simulated.declined:
            state.stats.declined += 1
        elif state.happens("malformed_rate"):
            state.stats.spoilt += 1
            content = content[: len(content) // 2]
        elif state.happens("off_schema_rate"):
            state.stats.spoilt += 1
            content = json.dumps({"simulated": "of another schema"})
        else:
            state.stats.wrong += simulated.wrong
        input_tokens, output_tokens = _tokens(request.prompt), _tokens(content)
        state.bill(input_tokens, output_tokens)
        factor = _OVERCOUNTED if state.happens("overcount_rate") else 1
        name = request.model if request.model.startswith(PREFIX) else PREFIX + request.model
        if state.happens("misname_rate"):
            name = "somebody@example.com"
        usage = factor * input_tokens, factor * output_tokens
        return JSONResponse(
            write(request, name, content, usage, declined=simulated.declined, confidence=behaviour.confidence)
        )

    def _completion(
        self,
        request: CompletionRequest,
        model: str,
        content: str,
        usage: tuple[int, int],
        *,
        declined: bool,
        confidence: float,
    ) -> dict[str, Any]:
        message: dict[str, str | None] = {"content": None, "refusal": content} if declined else {"content": content}
        choice = {"index": 0, "message": {"role": "assistant"} | message, "finish_reason": "stop"}
        if request.logprobs and not declined:
            choice["logprobs"] = logprobs_of(content, confidence)
        return {
            "id": f"chatcmpl-{PREFIX}{next(self._numbers)}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": model,
            "choices": [choice],
            "usage": {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)},
        }

    async def _hang(self, request: Request) -> Response:
        """Never answer; end when the client disconnects, so that no request outlives its client."""
        self._state.stats.hung += 1
        while (await request.receive())["type"] != "http.disconnect":
            pass
        return Response(status_code=499)


def _decision(
    request: CompletionRequest, model: str, content: str, usage: tuple[int, int], *, declined: bool, confidence: float
) -> dict[str, Any]:
    """Return a response of the Decisions API, in the form of `openai.types.Decision`."""
    answer: dict[str, Any] = {"type": "refusal", "name": request.task}
    if not declined:
        choice, probabilities = chosen(request, content, confidence)
        answer = {
            "type": "choice",
            "name": request.task,
            "choice": choice,
            "confidence": _peakedness(probabilities),
            "probabilities": [{"value": value, "probability": share} for value, share in probabilities.items()],
        }
    return {
        "model": model,
        "answers": [answer],
        "usage": {
            "input_tokens": usage[0],
            "input_tokens_details": {"cache_write_tokens": 0, "cached_tokens": 0},
            "output_tokens": usage[1],
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": sum(usage),
        },
    }


def _systemone(
    request: CompletionRequest, model: str, content: str, usage: tuple[int, int], *, declined: bool, confidence: float
) -> dict[str, Any]:
    """Return a response of System One; a question that is not answered is left out."""
    answers: dict[str, Any] = {}
    if not declined:
        choice, probabilities = chosen(request, content, confidence)
        answers[request.task] = {
            "type": "choice",
            "choice": choice,
            "probabilities": probabilities,
            "confidence": _peakedness(probabilities),
        }
    return {"model": model, "answers": answers, "usage": {"input_tokens": usage[0], "output_tokens": usage[1]}}


def _peakedness(probabilities: dict[str, float]) -> float:
    """Return by how much the best option leads: servers call this their confidence, and it is no probability."""
    first, second, *_ = sorted(probabilities.values(), reverse=True)
    return first - second


def build(settings: SimulatorSettings, gold: Gold) -> Starlette:
    """Return the application for these settings."""
    state = SimulatorState(settings.behaviour, gold, settings.max_kept if settings.keep_requests else None)
    secrets = (settings.api_key, settings.control_token)
    return Simulator(state, *(secret.get_secret_value() if secret else None for secret in secrets)).app()


def _bears(request: Request, secret: str) -> bool:
    """Return whether a request holds a secret; the time that this takes does not depend on what is wrong."""
    return hmac.compare_digest(request.headers.get("authorization", "").encode(), f"Bearer {secret}".encode())


def _tokens(text: str) -> int:
    return max(1, math.ceil(len(text) / _CHARACTERS_PER_TOKEN))


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    body = {"error": {"message": message, "type": "simulated", "code": str(status)}}
    return JSONResponse(body, status, headers)
