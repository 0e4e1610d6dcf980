"""When the next call to the provider may be made: a few at a time, retried with pauses, none while it is unavailable.

Written by hand, without a retry library: each wait for a slot, for the breaker or before a retry is bounded by the
deadline of its escalation.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sprat.telemetry import signals
from sprat_frontier.breaker import NotAdmittedError, Permit, ProviderBreaker
from sprat_frontier.errors import DeadlinePassedError, ProviderError, UnavailableError
from sprat_frontier.fair_queue import FairSlots, Sender
from sprat_frontier.protocols import Clock
from sprat_frontier.settings import FrontierSettings


@dataclass(frozen=True, slots=True)
class EscalationDeadline:
    """The end of the time that a case may wait for the frontier: `appended_at + deadline_ms`, on the broker's clock."""

    at_ms: int
    clock: Clock

    def remaining_s(self) -> float:
        """Return the seconds left, never less than 0."""
        return max(0, self.at_ms - self.clock.now_ms()) / 1000

    @property
    def passed(self) -> bool:
        """Whether no time is left."""
        return self.clock.now_ms() >= self.at_ms


class CallLimiter:
    """Limits concurrent calls, which the senders make in turn, and paces retries until the deadline.

    There are at most `max_retries` of them.

    Failed probes of the breaker do not count as retries: a case may wait through an outage as long as it has time.
    """

    def __init__(
        self,
        settings: FrontierSettings,
        breaker: ProviderBreaker | None = None,
        jitter: Callable[[], float] = random.random,
        breaker_name: str | None = None,
    ) -> None:
        self.breaker = breaker or ProviderBreaker(settings.breaker, breaker_name or settings.provider)
        self._settings = settings
        self._jitter = jitter
        self._slots = FairSlots(settings.concurrency)

    @asynccontextmanager
    async def permit(
        self, sender: Sender, question: str, deadline: EscalationDeadline, *, patient: bool = True
    ) -> AsyncIterator[Permit]:
        """Hold one of the slots and the breaker's permit for one call of a sender about a question.

        No slot is held while the breaker is open: the others' calls need it. Who is not patient does not wait for the
        breaker, because there is another provider to ask.

        Raises:
            DeadlinePassedError: they come, or are sure to come, after the deadline.
            UnavailableError: the breaker is open, and the caller not patient.
        """
        permit: Permit | None = None
        while permit is None:
            try:
                await self.breaker.ready(sender.section, deadline.remaining_s if patient else lambda: 0.0)
            except NotAdmittedError:
                if not patient:
                    raise UnavailableError from None
                raise DeadlinePassedError(
                    "the provider is unavailable; the next call comes too late for this case"
                ) from None
            try:
                async with asyncio.timeout(deadline.remaining_s()):
                    await self._slots.acquire(sender)
            except TimeoutError:
                raise DeadlinePassedError("no call was free in time") from None
            permit = self.breaker.admit(sender.section, question)
            if permit is None:  # meanwhile, it has opened or another call probes
                self._slots.release()
        try:
            if deadline.passed:
                raise DeadlinePassedError("no call could be made in time")
            yield permit
        finally:
            self.breaker.release(permit)
            self._slots.release()

    async def pause_before_retry(
        self, error: ProviderError, failures: int, deadline: EscalationDeadline, *, patient: bool = True
    ) -> None:
        """Wait until a failed call may be tried again; who is not patient asks another provider instead.

        Raises:
            ProviderError: the given one, where another try makes no sense.
            DeadlinePassedError: another try would come after the deadline.
        """
        if not error.retryable or failures > self._settings.max_retries or not patient:
            raise error
        pause_s = self._pause_s(failures, error.retry_after_s)
        if pause_s >= deadline.remaining_s():
            raise DeadlinePassedError(f"the provider failed ({error.code}); another try would come too late")
        signals.RETRIES.add(1, reason="provider_call")
        await asyncio.sleep(pause_s)

    def _pause_s(self, failures: int, retry_after_s: float | None) -> float:
        """Return the pause that the provider asks for, else one doubled each time; jitter spreads the retries."""
        if retry_after_s is not None:
            return retry_after_s + self._jitter() * min(1.0, retry_after_s) / 10
        longest = min(self._settings.retry_cap_s, self._settings.retry_base_s * 2.0 ** max(0, failures - 1))
        return longest * (1 + self._jitter()) / 2
