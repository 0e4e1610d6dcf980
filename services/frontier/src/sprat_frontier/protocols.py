"""What the frontier needs from outside, as the handler sees it."""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from sprat_contracts import Declined, EgressRecord, Output, Usage
from sprat_frontier.fair_queue import Sender
from sprat_frontier.prompts import FrontierQuestion
from sprat_policy import TenantPolicy
from sprat_privacy import MaskedText


class Clock(Protocol):
    """A source of the current time."""

    def now_ms(self) -> int:
        """Return epoch milliseconds, comparable with the broker's."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        """Return epoch milliseconds."""
        return time.time_ns() // 1_000_000


class AnswerStore(Protocol):
    """Stores answers. An unavailable store finds nothing and stores nothing; it never raises."""

    async def get(self, key: str) -> bytes | None:
        """Return the stored answer, or None."""
        ...

    async def put(self, key: str, value: bytes) -> None:
        """Store an answer."""
        ...


class CallCounter(Protocol):
    """Counts across the replicas of the service; `sprat.processing.cache.RedisCache` does."""

    async def share_count(self, key: str, count: int, ttl_s: int) -> int | None:
        """Store what this replica has counted, and return the sum over all others; None where that cannot be told."""
        ...


class TenantPolicies(Protocol):
    """The rules of all tenants; `sprat_policy.Policy` is one."""

    def section(self, tenant: str) -> str | None:
        """Return the name of the section with a tenant's rules; None where there is none."""
        ...

    def tenant(self, name: str) -> TenantPolicy:
        """Return the rules of a tenant: its own, else the rules for all others, else deny."""
        ...


class TextMasker(Protocol):
    """Masks texts; `sprat_frontier.redaction.Redactor` is one."""

    version: str
    """Changes with everything that decides what is masked."""

    async def mask(self, sender: Sender, text: str, language: str) -> MaskedText:
        """Return the masked text, which may leave, and what restores it; the senders' texts are masked in turn.

        Raises:
            NotVerified: the text must not leave.
        """
        ...

    def labels_to_keep(self, labels: tuple[str, ...]) -> tuple[int, ...]:
        """Return which labels must not leave, counted from 1."""
        ...


EgressAudit = Callable[[EgressRecord], Awaitable[None]]
"""Writes a record and returns when Kafka has acknowledged it; raises when it cannot."""

HashFunction = Callable[..., str]
"""Keyed hash over any number of strings."""


@dataclass(frozen=True, slots=True)
class PreparedRequest:
    """A request to the provider as it will be sent."""

    question: FrontierQuestion
    body: dict[str, Any]
    bytes_out: int


@dataclass(frozen=True, slots=True)
class ProviderAnswer:
    """A validated answer."""

    output: Output
    model: str
    """The model's name in the provider's response; what was asked for, where that is no name of a model."""
    usage: Usage
    usage_capped: bool = False
    """Whether the provider counted more than was sent or allowed."""
    certificate: str | None = None
    """SHA-256 of the server's TLS certificate; None without TLS."""
    model_replaced: bool = False
    """Whether the response named something that is no model's name, and `model` is what was asked for."""
    simulated: bool = False
    """Whether the server has said that it is a simulator."""
    confidence: float | None = None
    """The model's probability, 0–1, that its label is right; None where it tells none."""
    shown: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    """Attributes of the call's span, by their keys."""


class Provider(Protocol):
    """A large model."""

    name: str
    region: str
    model: str
    """The model's name in requests."""

    def problem(self, question: FrontierQuestion) -> Declined | None:
        """Return why it cannot be asked this; None if it can."""
        ...

    def prepare(self, question: FrontierQuestion) -> PreparedRequest:
        """Write the request, so that its size is known before it leaves."""
        ...

    async def ask(self, prepared: PreparedRequest) -> ProviderAnswer:
        """Make one call.

        Raises:
            ProviderError: there is no usable answer.
        """
        ...
