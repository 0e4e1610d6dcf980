"""The HTTP endpoints: what tiers ask, the probes, and the metrics. No text and no key is logged."""

import hmac
import itertools
import json
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from sprat.telemetry import signals
from sprat.telemetry.prometheus import Page
from sprat_generalist.messages import (
    ChatRequest,
    RefusedRequestError,
    completion_response,
    read_completion,
    read_decision,
)
from sprat_generalist.settings import GeneralistSection
from sprat_generalist.turns import BusyError, GoneError, IsCancelled, Queue
from sprat_inference.artefact import ModelError
from sprat_inference.generator import Generator, TooLongError, UnreadableOptionError

log = logging.getLogger(__name__)

MAX_BYTES = 4 << 20
"""Of a request. A text of 20,000 code points and 255 options with descriptions have less."""

Handle = Callable[[bytes, Request], Awaitable[dict[str, Any]]]


class Generalist:
    """The endpoints around one model."""

    def __init__(self, model: Generator, settings: GeneralistSection, page: Page | None = None) -> None:
        self._model = model
        self._settings = settings
        self._page = page
        self._queue = Queue(settings.max_waiting)
        self._numbers = itertools.count(1)
        key = settings.api_key
        self._key = None if key is None else f"Bearer {key.get_secret_value()}".encode()

    def app(self) -> Starlette:
        """Return the ASGI application."""
        return Starlette(
            routes=[
                Route("/v1/decisions", self.decide, methods=["POST"]),
                Route("/v1/chat/completions", self.complete, methods=["POST"]),
                Route("/v1/models", self.models),
                Route("/livez", self.livez),
                Route("/readyz", self.readyz),
                Route("/metrics", self.metrics),
            ]
        )

    async def decide(self, request: Request) -> Response:
        """Answer a choice by the probability of each option."""
        return await self._answered(request, self._decide)

    async def complete(self, request: Request) -> Response:
        """Answer a question in words."""
        return await self._answered(request, self._complete)

    async def models(self, request: Request) -> Response:
        """List the one model."""
        if not self._may_ask(request):
            return _error(401, "the key is missing or wrong")
        card = self._model.card
        model = {"id": self._settings.model, "object": "model", "created": 0, "owned_by": card.name}
        return JSONResponse({"object": "list", "data": [model | {"version": card.version}]})

    async def livez(self, _: Request) -> Response:
        """Report that the event loop turns."""
        return JSONResponse({"alive": True})

    async def readyz(self, _: Request) -> Response:
        """Report that the model is loaded: it is before the port is open."""
        return JSONResponse({"ready": True, "service": "generalist", "model_version": self._model.card.version})

    async def metrics(self, request: Request) -> Response:
        """Return the metrics in a format of Prometheus."""
        if self._page is None:
            return PlainTextResponse("There are no metrics: OTEL_SDK_DISABLED is true.\n", 404)
        body, content_type = await run_in_threadpool(self._page, request.headers.get("accept", ""))
        return Response(body, headers={"content-type": content_type})

    def close(self) -> None:
        """Take no more questions."""
        self._queue.close()

    async def _answered(self, request: Request, handle: Handle) -> Response:
        started, failed = time.monotonic(), {}
        response: Response
        try:
            if not self._may_ask(request):
                response = _error(401, "the key is missing or wrong")
            else:
                response = JSONResponse(await handle(await _body(request), request))
        except BusyError as error:
            response = _error(429, str(error), {"Retry-After": str(error.retry_after_s)})
        except (RefusedRequestError, TooLongError, UnreadableOptionError) as error:
            response = _error(400, str(error))
        except (GoneError, ClientDisconnect):
            response = Response(status_code=499)
        except ModelError as error:
            log.warning("a question was not answered: %s", error)
            response = _error(500, "the model computed no answer")
        if response.status_code != 200:
            failed = {"error": str(response.status_code)}
        signals.SERVER_SECONDS.record(time.monotonic() - started, request_model=self._settings.model, **failed)
        return response

    async def _decide(self, body: bytes, request: Request) -> dict[str, Any]:
        decision = read_decision(body)

        def work(is_cancelled: IsCancelled) -> tuple[list[float], int]:
            self._check_length(decision.system, decision.input)
            return self._model.probabilities(decision.system, decision.input, decision.options, is_cancelled)

        probabilities, tokens = await self._queue.answer(work, lambda: _gone(request))
        return decision.response(self._settings.model, probabilities, tokens)

    async def _complete(self, body: bytes, request: Request) -> dict[str, Any]:
        asked = read_completion(body)
        most = asked.most_tokens(self._settings.max_output_tokens)

        def work(is_cancelled: IsCancelled) -> tuple[str, tuple[int, int], bool]:
            self._check_length(asked.system, asked.user)
            return _write(self._model, asked, most, is_cancelled)

        content, usage, is_cut = await self._queue.answer(work, lambda: _gone(request))
        return completion_response(
            next(self._numbers), int(time.time()), self._settings.model, content, usage, is_cut=is_cut
        )

    def _check_length(self, system: str, user: str) -> None:
        tokens, most = len(self._model.question(system, user)), self._settings.max_prompt_tokens
        if tokens > most:
            raise TooLongError(f"the question has {tokens:,} tokens, SPRAT_GENERALIST__MAX_PROMPT_TOKENS is {most:,}")

    def _may_ask(self, request: Request) -> bool:
        """Return whether the request has the key; the time that this takes does not depend on what is wrong."""
        given = request.headers.get("authorization", "").encode()
        return self._key is None or hmac.compare_digest(given, self._key)


def _write(
    model: Generator, asked: ChatRequest, most: int, is_cancelled: IsCancelled
) -> tuple[str, tuple[int, int], bool]:
    """Return content, tokens in and out, and whether it was cut off."""
    begin = "" if asked.field is None else f'{{"{asked.field}": "'

    def ends(text: str) -> bool:
        return (bool(begin) and _closing_quote(text) is not None) or any(stop in text for stop in asked.stops)

    written, tokens = model.write(
        asked.system, asked.user, most=most, begin=begin, ends=ends, is_cancelled=is_cancelled
    )
    text = written.text
    for stop in asked.stops:
        text = text.partition(stop)[0]
    if asked.field is not None:
        text = json.dumps({asked.field: _unquoted(text)}, ensure_ascii=False)
    return text, (tokens, written.tokens), written.is_cut


def _closing_quote(text: str) -> int | None:
    """Return where the JSON string ends that a text goes on with; None where it does not."""
    place = 0
    while place < len(text):
        if text[place] == '"':
            return place
        place += 2 if text[place] == "\\" else 1
    return None


def _unquoted(text: str) -> str:
    """Return the value of the JSON string that a text goes on with; the text itself where it is none."""
    text = text[: _closing_quote(text)]
    try:
        value: str = json.loads(f'"{text}"', strict=False)
    except ValueError:
        return text
    return value


async def _body(request: Request) -> bytes:
    """Return the body.

    Raises:
        RefusedRequestError: it is too large.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BYTES:
            raise RefusedRequestError(f"the body has more than {MAX_BYTES} bytes")
    return bytes(body)


async def _gone(request: Request) -> None:
    """Return when whoever asked has left."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    body = {"error": {"message": message, "type": "generalist", "code": str(status)}}
    return JSONResponse(body, status, headers)
