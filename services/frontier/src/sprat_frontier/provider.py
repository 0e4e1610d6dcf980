"""One call to an OpenAI-compatible API, with the official client.

The client's retries are off: `call_limiter.py` retries within the escalation's deadline, with egress records for each
try.
"""

import asyncio
import json
import logging
import math
import time
from collections.abc import Awaitable, Mapping
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from typing import TypeVar
from urllib.parse import urlsplit

import httpx2
import openai
from openai import AsyncOpenAI

from sprat.base.errors import UserError, ends_task
from sprat.base.retry import FaultLog
from sprat.telemetry import signals
from sprat.telemetry.spans import child_span
from sprat_contracts import Declined
from sprat_frontier.bounded_client import BoundedClient, UnreadableResponseError
from sprat_frontier.chat import ChatApi
from sprat_frontier.errors import ProviderError
from sprat_frontier.prompts import FrontierQuestion
from sprat_frontier.protocols import PreparedRequest, ProviderAnswer
from sprat_frontier.responses import Api, Response
from sprat_frontier.settings import MISTRAL_URL, FrontierSettings

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_HELD_UP_S = 0.05
"""An event loop that is so late was held up."""
_READ_S = 1.0
"""For reading what has come meanwhile."""
_RETRYABLE_STATUSES = frozenset({408, 409, 429})
_UNAVAILABLE_STATUSES = frozenset({429, 503})
"""With which a provider asks to wait, whatever the question."""
_SIMULATED_HEADER = "sprat-simulated"
"""What a simulator sends with each response, and a provider does not. No setting says it: with a wrong one, answers of
a provider would be taken for simulated ones, or the other way round."""
_CODES = {401: "unauthorised", 403: "unauthorised", 404: "no_such_model", 429: "rate_limited"}


T = TypeVar("T")


class OpenAIProvider:
    """A `Provider` behind an OpenAI-compatible API.

    Args:
        settings: of the endpoint.
        api: how to ask; None: by chat completions.
        proxies: whether a proxy that the environment names is used; what goes to a host inside the house must not.

    Raises:
        UserError: the default endpoint has no key.
    """

    def __init__(self, settings: FrontierSettings, api: Api | None = None, *, proxies: bool = True) -> None:
        if settings.api_key is None and settings.base_url == MISTRAL_URL:
            raise UserError(f"SPRAT_FRONTIER__API_KEY is not set, and {MISTRAL_URL} needs one")
        self.name = settings.provider
        self.region = settings.region
        self.model = settings.model
        self._settings = settings
        self._api = api or ChatApi(settings.temperature, settings.max_output_tokens)
        # One, so that the memory for one answer is all that hostile answers take.
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="frontier-answers")
        self._defects = FaultLog("an answer could not be read")
        # These log every call; openai before 3 logs whole bodies at debug level, which OPENAI_LOG can turn on.
        for logger in ("openai", "httpx", "httpx2", "httpcore", "httpcore2"):
            logging.getLogger(logger).setLevel(logging.WARNING)
        self._client = AsyncOpenAI(
            base_url=settings.base_url,
            api_key="none" if settings.api_key is None else settings.api_key.get_secret_value(),
            timeout=None,
            max_retries=0,
            # A redirect would send the text to a host that no policy allows. Loopback needs no proxy.
            http_client=BoundedClient(
                follow_redirects=False,
                trust_env=proxies and urlsplit(settings.base_url).hostname not in _LOOPBACK,
                verify=httpx2.create_ssl_context(),  # by SSL_CERT_FILE and SSL_CERT_DIR, also without proxies
            ),
        )
        # The client reads these from OPENAI_* variables, which are not meant for another provider.
        self._client.organization = None
        self._client.project = None

    def problem(self, question: FrontierQuestion) -> Declined | None:
        """Return why it cannot be asked this; None if it can."""
        return self._api.problem(question)

    def prepare(self, question: FrontierQuestion) -> PreparedRequest:
        """Write the request; neither the question nor the provider may have a `problem` with it."""
        body = self._api.body(self.model, question)
        return PreparedRequest(
            question, body, len(json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode())
        )

    async def ask(self, prepared: PreparedRequest) -> ProviderAnswer:
        """Make one call, for at most `timeout_s`.

        Raises:
            ProviderError: there is no usable answer. It has no cause or context: the client's own errors hold bodies.
        """
        reply = await self._reply(prepared)
        if isinstance(reply, ProviderError):
            raise reply
        return reply

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()
        self._reader.shutdown(wait=False)

    async def _reply(self, prepared: PreparedRequest) -> ProviderAnswer | ProviderError:
        certificate = None
        try:
            response = await self._send(prepared)
            if isinstance(response, ProviderError):
                return response
            certificate = response.certificate
            # In a thread: names are looked up in Python, up to 2,000 of them.
            return await asyncio.get_running_loop().run_in_executor(self._reader, self._api.read, prepared, response)
        except BaseException as error:  # what a provider sends is this case's failure, never the service's
            if ends_task(error):
                raise
            self._defects.add(type(error).__name__)
            return ProviderError("garbled", "the response could not be read", certificate=certificate)

    async def _send(self, prepared: PreparedRequest) -> Response | ProviderError:
        server, port = server_of(self._settings.base_url)
        url = f"{self._settings.base_url}{self._api.path(prepared.body)}"  # which holds no credentials and no query
        with child_span(signals.HTTP, "POST", method="POST", url=url, server=server, server_port=port) as span:
            try:
                call = self._api.send(self._client, prepared.body)
                response = await _within(self._settings.timeout_s, call)
            except TimeoutError:
                span.fail("timeout")
                return ProviderError("timeout", f"no answer within {self._settings.timeout_s:g} s", retryable=True)
            except openai.APIStatusError as error:
                span.set(http_status=error.status_code)
                span.fail(str(error.status_code))
                certificate = error.response.extensions["certificate"]
                headers, longest_s = dict(error.response.headers), self._settings.breaker.max_retry_after_s
                return _refusal(error.status_code, headers, certificate, longest_s)
            except UnreadableResponseError as error:
                span.fail(error.code)
                return ProviderError(error.code, error.detail, certificate=error.certificate)
            except openai.APIConnectionError as error:
                span.fail("unreachable")
                if isinstance(error.__cause__, httpx2.ConnectError):
                    return ProviderError("unreachable", "no connection", retryable=True, sent=False)
                return ProviderError("unreachable", "the connection broke", retryable=True)
            span.set(http_status=response.status_code)
        return Response(response.content, response.extensions["certificate"], _is_simulated(response.headers))


async def _within(timeout_s: float, call: Awaitable[T]) -> T:
    """Return what a call returns in time.

    Where the event loop was held up over the end of that time, by a machine that gave this process no core, the answer
    may have come and nobody has looked: it is read, not paid a second time.

    Raises:
        TimeoutError: the time is over.
    """
    task, loop = asyncio.ensure_future(call), asyncio.get_running_loop()
    due_s = loop.time() + timeout_s
    try:
        await asyncio.wait({task}, timeout=timeout_s)
        if not task.done() and loop.time() - due_s > _HELD_UP_S:
            await asyncio.wait({task}, timeout=_READ_S)
        if not task.done():
            raise TimeoutError
        return task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)  # which nobody logs: the client's errors hold bodies


def server_of(base_url: str) -> tuple[str | None, int | None]:
    """Return host and port of the provider, as its spans name them."""
    address = urlsplit(base_url)
    return address.hostname, address.port or {"http": 80, "https": 443}.get(address.scheme)


def _is_simulated(headers: Mapping[str, str]) -> bool:
    return headers.get(_SIMULATED_HEADER) == "true"


def _refusal(status: int, headers: dict[str, str], certificate: str | None, longest_s: float) -> ProviderError:
    """Return the error of a status other than success; the response's body is ignored, it may echo the request.

    A Retry-After beyond `longest_s` is cut: one response, which a proxy may have written, must not stop all tenants for
    long.
    """
    server = status >= 500
    code = "server_error" if server else _CODES.get(status, f"http_{status}")
    retryable = server or status in _RETRYABLE_STATUSES
    # It holds back every tenant: other failures may be the question's.
    retry_after_s = _retry_after_s(headers) if status in _UNAVAILABLE_STATUSES else None
    detail = f"HTTP status {status}"
    if retry_after_s is not None and retry_after_s > longest_s:
        detail += f", Retry-After {retry_after_s:.0f} s, tried again after {longest_s:g} s"
        retry_after_s = longest_s
    return ProviderError(
        code,
        detail,
        retryable=retryable,
        retry_after_s=retry_after_s,
        certificate=certificate,
        simulated=_is_simulated(headers),
    )


def _retry_after_s(headers: dict[str, str]) -> float | None:
    """Return `retry-after-ms`, or `Retry-After` in seconds or as a date."""
    try:
        if "retry-after-ms" in headers:
            seconds = float(headers["retry-after-ms"]) / 1000
        elif "retry-after" in headers:
            value = headers["retry-after"]
            seconds = float(value) if value[:1].isdigit() else parsedate_to_datetime(value).timestamp() - time.time()
        else:
            return None
    except (ValueError, OverflowError):
        return None
    return seconds if math.isfinite(seconds) and seconds > 0 else None
