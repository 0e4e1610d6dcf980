"""What the frontier needs from outside, as the handler sees it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from sprat.perimeter import Masked
from sprat.policy import TenantPolicy
from sprat_contracts import EgressRecord, Output, Usage
from sprat_frontier.questions import FrontierQuestion


class AnswerStore(Protocol):
    """Keeps answers. A store that is away finds nothing and keeps nothing; it never raises."""

    async def get(self, key: str) -> bytes | None:
        """Look one up."""
        ...

    async def put(self, key: str, value: bytes) -> None:
        """Keep one."""
        ...


class Policies(Protocol):
    """The tenants' rules; `sprat.policy.Policy` is one."""

    def tenant(self, name: str) -> TenantPolicy:
        """Give the rules of a tenant: its own, else those of all others, else deny."""
        ...


class Masks(Protocol):
    """Masks texts; `sprat_frontier.redaction.Redactor` is one."""

    version: str
    """Of all that decides what is masked."""

    async def mask(self, text: str, language: str) -> Masked:
        """Give what may leave of a text, and the way back.

        Raises:
            NotVerified: it must not leave.
        """
        ...


Audit = Callable[[EgressRecord], Awaitable[None]]
"""Writes a record and returns when Kafka has acknowledged it; raises when it cannot."""

Hash = Callable[..., str]
"""Keyed hash over any number of strings."""


@dataclass(frozen=True, slots=True, repr=False)
class Told:
    """What the audit is told of a question, beside the question itself."""

    text: str
    """As it was submitted; its keyed hash is told, so that its owner finds it."""
    masked: Mapping[str, int]
    """How many stretches of it are masked in the question, by type."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A question as it will leave the house."""

    question: FrontierQuestion
    body: dict[str, Any]
    bytes_out: int


@dataclass(frozen=True, slots=True)
class ProviderAnswer:
    """A validated answer."""

    output: Output
    model: str
    """As the provider names it in its answer."""
    usage: Usage


class ProviderError(Exception):
    """A call without a usable answer. Holds no word of the request or of the response.

    `code` is for machines: timeout, unreachable, rate_limited, server_error, http_<status>, garbled, refused,
    invalid_answer. `retryable` says that the provider, not the question, is at fault. `usage` is what was billed.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        retryable: bool = False,
        retry_after_s: float | None = None,
        usage: Usage | None = None,
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.retryable = retryable
        self.retry_after_s = retry_after_s
        self.usage = usage


class Provider(Protocol):
    """A large model."""

    name: str
    region: str
    model: str
    """As it is asked for."""

    def prepare(self, question: FrontierQuestion) -> Prepared:
        """Write the request, so that its size is known before it leaves."""
        ...

    async def ask(self, prepared: Prepared) -> ProviderAnswer:
        """Call once.

        Raises:
            ProviderError: there is no usable answer.
        """
        ...
