"""A circuit breaker: while it is open, callers wait until their deadlines, and one call at a time probes the provider.

Written by hand: libraries refuse a call while the breaker is open; here the caller waits for it, within its deadline.

closed ── failures in a row, or one Retry-After ──► open ── pause over ──► half-open: one probe
  ▲                                                  ▲                        │
  │                                                  └── it fails: twice the pause, or its Retry-After
  └────────────────────────────────────────────────────── it works ───────────┘
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from sprat.telemetry import signals
from sprat_frontier.protocols import ProviderError
from sprat_frontier.settings import BreakerSettings

log = logging.getLogger(__name__)

BreakerState = Literal["closed", "open", "half_open"]


class NotAdmittedError(Exception):
    """The provider is unavailable for longer than the caller may wait."""


@dataclass(frozen=True, slots=True)
class Permit:
    """Permission to make one call. Its holder records the call's result, or releases it."""

    generation: int
    probe: bool


class CircuitBreaker:
    """Guards one provider, whose name metrics show. For one event loop; not thread-safe."""

    def __init__(self, settings: BreakerSettings, provider: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._provider = provider
        self._clock = clock
        self._failures = 0
        self._cooldown_s = settings.cooldown_s
        self._open_until = 0.0
        self._probing = False
        self._changed = asyncio.Event()
        self._generation = 0
        """Changes with the state, so that late results of calls from an earlier state are ignored."""
        self.state: BreakerState = "closed"
        self._show_state()

    async def admit(self, remaining_s: Callable[[], float]) -> Permit:
        """Wait for the permit to make a call.

        Raises:
            NotAdmittedError: the next probe comes after `remaining_s()`, or none has worked by then.
        """
        while True:
            if self.state == "open" and self._clock() >= self._open_until:
                self._become("half_open")
            if self.state == "closed" or (self.state == "half_open" and not self._probing):
                self._probing = self.state == "half_open"
                return Permit(self._generation, probe=self._probing)
            left = remaining_s()
            pause = self._open_until - self._clock() if self.state == "open" else left
            if left <= 0 or pause > left:
                raise NotAdmittedError
            await self._wait_for_change(pause)

    def record_error(self, permit: Permit, error: ProviderError) -> None:
        """Record a call without an answer: a failure where the provider is at fault, else the provider works."""
        if error.retryable:
            self.record_failure(permit, error.retry_after_s, cause=str(error))
        else:
            self.record_success(permit)

    def record_success(self, permit: Permit) -> None:
        """Record that the provider responded, even if it refused."""
        if permit.generation != self._generation:
            return
        self._failures = 0
        if permit.probe:
            self._cooldown_s = self._settings.cooldown_s
            self._become("closed")

    def record_failure(self, permit: Permit, retry_after_s: float | None = None, *, cause: str = "") -> None:
        """Record that the provider is unavailable, or wants no calls for the given time; the log names the cause."""
        if permit.generation != self._generation:
            return
        self._failures += 1
        if not permit.probe and retry_after_s is None and self._failures < self._settings.failures:
            return
        if permit.probe and retry_after_s is None:
            self._cooldown_s = min(2 * self._cooldown_s, self._settings.max_cooldown_s)
        self._open_until = self._clock() + (self._cooldown_s if retry_after_s is None else retry_after_s)
        self._become("open", cause)

    def release(self, permit: Permit) -> None:
        """Give up a permit whose call has no recorded result: another call may probe."""
        if permit.probe and permit.generation == self._generation:
            self._become("half_open")

    def _become(self, state: BreakerState, cause: str = "") -> None:
        if state != self.state:
            level = logging.DEBUG if state == "half_open" else logging.WARNING  # a probe: its result is what matters
            why = f": {cause}" if cause else ""
            log.log(level, "the circuit breaker of the provider: %s → %s%s", self.state, state, why)
        self.state = state
        self._show_state()
        self._generation += 1
        self._probing = False
        self._changed.set()
        self._changed = asyncio.Event()

    def _show_state(self) -> None:
        for state in get_args(BreakerState):
            signals.BREAKER.set(int(state == self.state), provider=self._provider, state=state)

    async def _wait_for_change(self, pause_s: float) -> None:
        """Wait for a change of state, at most for the pause."""
        try:
            async with asyncio.timeout(pause_s):
                await self._changed.wait()
        except TimeoutError:
            return
