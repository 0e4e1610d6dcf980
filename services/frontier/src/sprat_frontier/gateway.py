"""Calls to the provider: few at a time, audited one by one, tried again with patience, held back while it is away."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import perf_counter
from uuid import uuid4

from sprat_contracts import EgressRecord
from sprat_frontier.breaker import CircuitBreaker, NotAdmittedError, Permit
from sprat_frontier.clock import CaseDeadline
from sprat_frontier.ports import Audit, Hash, Prepared, Provider, ProviderAnswer, ProviderError, Told
from sprat_frontier.pricing import cost_eur, price_of
from sprat_frontier.questions import FrontierQuestion
from sprat_frontier.settings import FrontierSettings


class DeadlinePassedError(Exception):
    """No call could be made in time. The message says what it waited for."""


@dataclass(frozen=True, slots=True)
class Bought:
    """An answer and what it took."""

    answer: ProviderAnswer
    cost_eur: float
    call_ms: float


@dataclass(slots=True)
class Progress:
    """What has happened for a question so far; seen by those who stop waiting for it."""

    left: bool = False
    """Has anything of the text left the house?"""


OnArrival = Callable[[Bought], Awaitable[None]]


class Gateway:
    """The one way out to a provider.

    Every HTTP request is a call of its own to the audit: its `attempt` is acknowledged before a byte leaves, its
    `outcome` follows. The provider's failures are tried again until the case's deadline, at most `max_retries`
    times; failed probes of the breaker do not count: a case may wait through an outage as long as it has time.

    Raises:
        UserError: the configured model has no price.
    """

    def __init__(
        self,
        settings: FrontierSettings,
        provider: Provider,
        *,
        audit: Audit,
        hash: Hash,
        breaker: CircuitBreaker | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.price = price_of(settings)
        self.provider = provider
        self.breaker = breaker or CircuitBreaker(settings.breaker)
        self._settings = settings
        self._audit = audit
        self._hash = hash
        self._jitter = jitter
        self._slots = asyncio.Semaphore(settings.concurrency)

    async def ask(
        self,
        question: FrontierQuestion,
        told: Told,
        deadline: CaseDeadline,
        progress: Progress,
        on_arrival: OnArrival,
    ) -> Bought:
        """Ask until there is an answer; a call under way is not cut short by the deadline, it is paid for anyway.

        `on_arrival` is awaited with the answer before anything else can fail.

        Raises:
            DeadlinePassedError: the deadline came, or is sure to come, before another call could be made.
            ProviderError: the last call failed, and there is no sense in another.
        """
        prepared = self.provider.prepare(question)
        failures = 0
        while True:
            async with self._permit(deadline) as permit:
                try:
                    return await self._call(prepared, told, permit, progress, on_arrival)
                except ProviderError as error:
                    failed = error
            failures += not permit.probe
            if not failed.retryable or failures > self._settings.max_retries:
                raise failed
            pause_s = self._pause_s(failures, failed.retry_after_s)
            if pause_s >= deadline.remaining_s():
                raise DeadlinePassedError(f"the provider failed ({failed.code}); another try would come too late")
            await asyncio.sleep(pause_s)

    @asynccontextmanager
    async def _permit(self, deadline: CaseDeadline) -> AsyncIterator[Permit]:
        """Wait for one of the slots and for the breaker."""
        try:
            async with asyncio.timeout(deadline.remaining_s()):
                await self._slots.acquire()
        except TimeoutError:
            raise DeadlinePassedError("no call was free in time") from None
        try:
            try:
                permit = await self.breaker.admit(deadline.remaining_s)
            except NotAdmittedError:
                raise DeadlinePassedError("the provider is away and is tried again too late for this case") from None
            try:
                if deadline.passed:
                    raise DeadlinePassedError("no call could be made in time")
                yield permit
            finally:
                self.breaker.release(permit)
        finally:
            self._slots.release()

    async def _call(
        self,
        prepared: Prepared,
        told: Told,
        permit: Permit,
        progress: Progress,
        on_arrival: OnArrival,
    ) -> Bought:
        """Make one audited call and tell the breaker how it went."""
        attempt = self._attempt(prepared, told)
        await self._audit(attempt)
        progress.left = True
        begun = perf_counter()
        try:
            answer = await self.provider.ask(prepared)
        except ProviderError as error:
            if error.retryable:
                self.breaker.failed(permit, error.retry_after_s)
            else:
                self.breaker.succeeded(permit)
            await self._audit(self._outcome(attempt, error.code, error))
            raise
        except asyncio.CancelledError:
            await self._audit(self._outcome(attempt, "cancelled"))
            raise
        self.breaker.succeeded(permit)
        bought = Bought(answer, cost_eur(self.price, answer.usage), (perf_counter() - begun) * 1000)
        await on_arrival(bought)
        await self._audit(self._outcome(attempt, "answered", answer))
        return bought

    def _attempt(self, prepared: Prepared, told: Told) -> EgressRecord:
        question = prepared.question
        return EgressRecord(
            call_id=str(uuid4()),
            phase="attempt",
            tenant=question.tenant,
            task=question.task,
            provider=self.provider.name,
            region=self.provider.region,
            model=self.provider.model,
            bytes_out=prepared.bytes_out,
            masked=dict(told.masked),
            text_hash=self._hash("egress-text", question.tenant, told.text),
        )

    def _outcome(
        self, attempt: EgressRecord, outcome: str, billed: ProviderAnswer | ProviderError | None = None
    ) -> EgressRecord:
        usage = None if billed is None else billed.usage
        return attempt.model_copy(
            update={
                "phase": "outcome",
                "outcome": outcome,
                "usage": usage,
                "cost_eur": cost_eur(self.price, usage),
            }
        )

    def _pause_s(self, failures: int, retry_after_s: float | None) -> float:
        """Give the pause before another try: as asked, else doubled each time; jitter keeps the crowd apart."""
        if retry_after_s is not None:
            return retry_after_s + self._jitter() * min(1.0, retry_after_s) / 10
        longest = min(self._settings.retry_cap_s, self._settings.retry_base_s * 2.0 ** max(0, failures - 1))
        return longest * (1 + self._jitter()) / 2
