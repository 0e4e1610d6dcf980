"""What all readers of a provider's responses share: the model's name, the tokens, and what is no response at all."""

import math
import re
from collections.abc import Awaitable
from typing import Any, Final, NamedTuple, Protocol

import httpx2
from openai import AsyncOpenAI
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from sprat_contracts import Declined, Usage
from sprat_frontier.errors import ProviderError
from sprat_frontier.prompts import FrontierQuestion
from sprat_frontier.protocols import PreparedRequest, ProviderAnswer
from sprat_policy import PrivacyPolicy
from sprat_privacy.detectors.fixed import fixed_detectors

MAX_BRACKETS: Final = 32_768
"""Opening ones, in strings, too. Each may make an object; 2,000 mentions take 2,001, and the rest is for the text's."""
_ANYTHING: Final = TypeAdapter[Any](Any)
_BYTES_PER_TOKEN = 4
_MODEL_NAME = re.compile(r"(?=.*[A-Za-z])[\w.:/@+-]{1,128}", re.ASCII)
_VALUES = fixed_detectors(PrivacyPolicy(), names=False)
_RESPONSE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
_FINISH_REASONS = frozenset({"stop", "length", "content_filter", "tool_calls"})
"""Those that OpenAI's API knows; what else a provider writes there may be anything, and is shown as `other`."""


class Lenient(BaseModel):
    """The parts of a response that are read; servers differ in the rest."""

    model_config = ConfigDict(hide_input_in_errors=True)


def _or_none(value: object, read: ValidatorFunctionWrapHandler) -> Any:
    try:
        return read(value)
    except ValidationError:
        return None


OR_NONE = WrapValidator(_or_none)
"""Of a field whose unreadable value is read as None, because the answer is paid for all the same."""


class Response(NamedTuple):
    """A response with status 200."""

    body: bytes
    certificate: str | None
    simulated: bool

    @property
    def origin(self) -> dict[str, Any]:
        """Who has sent it, as answers and errors say it."""
        return {"certificate": self.certificate, "simulated": self.simulated}


def span_attributes(response_id: str | None, *finish_reasons: str | None) -> dict[str, str | tuple[str, ...]]:
    """Return what spans show of a response besides its model and its tokens.

    An id that is not of the usual form is left out: it may hold what a provider has read.
    """
    found: dict[str, str | tuple[str, ...]] = {}
    if response_id is not None and _RESPONSE_ID.fullmatch(response_id):
        found["response_id"] = response_id
    if given := [each for each in finish_reasons if each is not None]:
        found["finish_reasons"] = tuple(each if each in _FINISH_REASONS else "other" for each in given)
    return found


class Api(Protocol):
    """A way to ask a large model: what is sent where, and how the response is read."""

    name: str

    def problem(self, question: FrontierQuestion) -> Declined | None:
        """Return why it cannot ask this; None if it can."""
        ...

    def body(self, model: str, question: FrontierQuestion) -> dict[str, Any]:
        """Write the request; the question must have no problem."""
        ...

    def path(self, body: dict[str, Any]) -> str:
        """Return the path of a request, below the base URL."""
        ...

    def send(self, client: AsyncOpenAI, body: dict[str, Any]) -> Awaitable[httpx2.Response]:
        """Make the call; errors are the client's."""
        ...

    def read(self, prepared: PreparedRequest, response: Response) -> ProviderAnswer | ProviderError:
        """Return the answer in a response, or why it has none. An unusable one still has its billed tokens.

        Errors are returned: a traceback would keep the response in memory until the next try.
        """
        ...


def read_json(written: bytes) -> Any:
    """Return what the JSON says.

    Pydantic's reading takes 170 bytes of memory for each byte of empty objects, hence the bound.

    Raises:
        ValueError: it is not JSON, or has too many brackets. The message may quote it.
    """
    if written.count(b"{") + written.count(b"[") > MAX_BRACKETS:
        raise ValueError("too many brackets")
    return _ANYTHING.validate_json(written)


def named(name: str, asked: str) -> tuple[str, bool]:
    """Return the model's name for Results and spans, and whether that is not the name in the response."""
    return (name, False) if _is_model_name(name, asked) else (asked, True)


def _is_model_name(name: str, asked: str) -> bool:
    """Return whether a name may stand in Results and spans: the provider chooses it, and may write a value there.

    Read as English: by the phone numbers of other countries, the date in `gpt-4.1-2025-04-14` would be one.
    """
    return name == asked or (
        _MODEL_NAME.fullmatch(name) is not None and not any(each.find(name, "en") for each in _VALUES)
    )


def usage_of(counted: tuple[int, int] | None, prepared: PreparedRequest, content: str, most: int) -> tuple[Usage, bool]:
    """Return the tokens as counted, at most what is possible, and whether more were counted.

    A token is a byte at least, and the answer has a limit. Where the server counts none, they are estimated, so that no
    call looks free.

    Args:
        counted: tokens of the question and of the answer.
        prepared: the request.
        content: what the model has written.
        most: the most tokens that an answer has.
    """
    if counted is None:
        estimate = Usage(
            input_tokens=math.ceil(prepared.bytes_out / _BYTES_PER_TOKEN),
            output_tokens=math.ceil(len(content.encode()) / _BYTES_PER_TOKEN),
        )
        return estimate, False
    usage = Usage(input_tokens=min(counted[0], prepared.bytes_out), output_tokens=min(counted[1], most))
    return usage, (usage.input_tokens, usage.output_tokens) != counted
