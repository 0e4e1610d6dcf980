"""Circuit breakers: while one is open, callers wait until their deadlines, and one call at a time probes the provider.

Written by hand: libraries refuse a call while the breaker is open; here the caller waits for it, within its deadline.

closed ── failures in a row, or one Retry-After ──► open ── pause over ──► half-open: one probe
  ▲                                                  ▲                        │
  │                                                  └── it fails: twice the pause, or its Retry-After
  └────────────────────────────────────────────────────── it works ───────────┘

Each section of the policy has a circuit of its own, so that questions on which the provider fails hold back no other
section's. That of the provider opens with the second section's, or by a Retry-After. Names of tenants would not do: who
writes texts may invent two, where the policy has a section for all others.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from sprat.telemetry import signals
from sprat_frontier.errors import ProviderError
from sprat_frontier.settings import BreakerSettings

log = logging.getLogger(__name__)

BreakerState = Literal["closed", "open", "half_open"]


class NotAdmittedError(Exception):
    """The provider is unavailable for longer than the caller may wait."""


@dataclass(frozen=True, slots=True)
class Admission:
    """Permission of one circuit to make one call."""

    generation: int
    probe: bool


class Circuit:
    """One circuit. For one event loop; not thread-safe."""

    def __init__(self, settings: BreakerSettings, clock: Callable[[], float], report: Callable[[str], None]) -> None:
        self._settings = settings
        self._clock = clock
        self._report = report
        """Called after each change of the state, with its cause."""
        self._failures = 0
        self._questions: set[str] = set()
        """On which it failed, since the last success."""
        self._cooldown_s = settings.cooldown_s
        self._open_until = 0.0
        self._probing = False
        self._changed = asyncio.Event()
        self._generation = 0
        """Changes with the state, so that late results of calls from an earlier state are ignored."""
        self.state: BreakerState = "closed"
        self.calls = 0
        """In flight."""

    @property
    def is_idle(self) -> bool:
        """Whether it is closed, without a failure since the last success."""
        return self.state == "closed" and not self._failures

    @property
    def is_ready(self) -> bool:
        """Whether it admits a call now."""
        if self.state == "open" and self._clock() >= self._open_until:
            self._become("half_open")
        return self.state == "closed" or (self.state == "half_open" and not self._probing)

    async def ready(self, remaining_s: Callable[[], float]) -> None:
        """Wait until it admits a call.

        Raises:
            NotAdmittedError: the next probe comes after `remaining_s()`, or none has worked by then.
        """
        while not self.is_ready:
            left = remaining_s()
            pause = self._open_until - self._clock() if self.state == "open" else left
            if left <= 0 or pause > left:
                raise NotAdmittedError
            await self._wait_for_change(pause)

    def admit(self) -> Admission:
        """Admit a call; it must be ready. The caller records the call's result, or releases it."""
        self._probing = self.state == "half_open"
        return Admission(self._generation, probe=self._probing)

    def record_success(self, permit: Admission) -> bool:
        """Record that the provider responded, even if it refused; return False for a call from an earlier state."""
        if permit.generation != self._generation:
            return False
        self._failures = 0
        self._questions.clear()
        if permit.probe:
            self.close()
        return True

    def record_failure(
        self, permit: Admission, question: str, retry_after_s: float | None = None, *, cause: str = ""
    ) -> None:
        """Record that the provider is unavailable, or wants no calls for the given time; the log names the cause.

        One question alone never opens the circuit, however often it is asked again: it may be what the provider fails
        on.
        """
        if permit.generation != self._generation:
            return
        self._failures += 1
        self._questions.add(question)
        few = self._failures < self._settings.failures or len(self._questions) < min(2, self._settings.failures)
        if not permit.probe and retry_after_s is None and few:
            return
        if permit.probe and retry_after_s is None:
            self._cooldown_s = min(2 * self._cooldown_s, self._settings.max_cooldown_s)
        self.open(cause, retry_after_s)

    def open(self, cause: str, pause_s: float | None = None) -> None:
        """Admit no call for a time."""
        self._open_until = self._clock() + (self._cooldown_s if pause_s is None else pause_s)
        self._become("open", cause)

    def close(self) -> None:
        """Admit every call."""
        self._failures = 0
        self._questions.clear()
        self._cooldown_s = self._settings.cooldown_s
        self._become("closed")

    def release(self, permit: Admission) -> None:
        """Give up a permit whose call has no recorded result: another call may probe."""
        if permit.probe and permit.generation == self._generation:
            self._become("half_open")

    def _become(self, state: BreakerState, cause: str = "") -> None:
        self.state = state
        self._generation += 1
        self._probing = False
        self._changed.set()
        self._changed = asyncio.Event()
        self._report(cause)

    async def _wait_for_change(self, pause_s: float) -> None:
        """Wait for a change of state, at most for the pause."""
        try:
            async with asyncio.timeout(pause_s):
                await self._changed.wait()
        except TimeoutError:
            return


@dataclass(frozen=True, slots=True)
class Permit:
    """Permission to make one call. Its holder records the call's result, or releases it."""

    section: str
    """Of the policy."""
    question: str
    circuit: Circuit
    """The section's."""
    own: Admission
    """Of the section's circuit."""
    shared: Admission
    """Of the provider's circuit."""

    @property
    def probe(self) -> bool:
        """Whether the call probes a provider that was unavailable."""
        return self.own.probe or self.shared.probe


class ProviderBreaker:
    """The circuits of one provider, whose name metrics show. For one event loop; not thread-safe."""

    def __init__(self, settings: BreakerSettings, provider: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._provider = provider
        self._clock = clock
        self._shared = Circuit(settings, clock, self._show)
        self._circuits: dict[str, Circuit] = {}
        """Of the sections that have calls in flight, or whose last call failed."""
        self._unrefuted: set[str] = set()
        """Sections whose circuits have opened since the provider last responded to anybody."""
        self._shown: BreakerState = "closed"
        self._show_state()

    @property
    def state(self) -> BreakerState:
        """What is known of the provider: an open circuit of one section counts until another's call works."""
        states = {self._circuits[section].state for section in self._unrefuted if section in self._circuits}
        states.add(self._shared.state)
        return next(state for state in _WORST_FIRST if state in states)

    async def ready(self, section: str, remaining_s: Callable[[], float]) -> None:
        """Wait until a call of the section may be admitted.

        Raises:
            NotAdmittedError: the next probe comes after `remaining_s()`, or none has worked by then.
        """
        # The section's first: one whose questions fail does not probe for the others.
        if (circuit := self._circuits.get(section)) is not None:
            await circuit.ready(remaining_s)
        await self._shared.ready(remaining_s)

    def admit(self, section: str, question: str) -> Permit | None:
        """Return the permit for one call about a question; None where none is free."""
        circuit = self._circuits.get(section) or Circuit(self._settings, self._clock, self._show)
        if not (circuit.is_ready and self._shared.is_ready):
            return None
        self._circuits[section] = circuit
        circuit.calls += 1
        return Permit(section, question, circuit, circuit.admit(), self._shared.admit())

    def record_error(self, permit: Permit, error: ProviderError) -> None:
        """Record a call without an answer: a failure where the provider is at fault, else the provider works."""
        if error.retryable:
            self._record_failure(permit, error.retry_after_s, cause=str(error))
        else:
            self.record_success(permit)

    def record_success(self, permit: Permit) -> None:
        """Record that the provider responded, even if it refused."""
        if permit.circuit.record_success(permit.own):
            self._unrefuted.clear()
        self._shared.record_success(permit.shared)
        if permit.shared.probe and self._shared.state == "closed":
            for circuit in self._circuits.values():
                circuit.close()
        self._show()

    def release(self, permit: Permit) -> None:
        """Give up a permit; where its call has no recorded result, another call may probe."""
        circuit = permit.circuit
        circuit.release(permit.own)
        self._shared.release(permit.shared)
        circuit.calls -= 1
        if circuit.is_idle and not circuit.calls:
            self._circuits.pop(permit.section, None)

    def _record_failure(self, permit: Permit, retry_after_s: float | None, *, cause: str) -> None:
        if retry_after_s is not None or permit.shared.probe:  # of the whole provider
            self._shared.record_failure(permit.shared, permit.question, retry_after_s, cause=cause)
        if retry_after_s is not None:
            return  # released by the holder: the section's questions are not at fault
        circuit = permit.circuit
        was_closed = circuit.state == "closed"
        circuit.record_failure(permit.own, permit.question, cause=cause)
        if circuit.state != "open" or not was_closed:
            return
        self._unrefuted.add(permit.section)
        if len(self._unrefuted) > 1 and self._shared.state == "closed":
            self._shared.open(cause)
        self._show(cause)

    def _show(self, cause: str = "") -> None:
        state = self.state
        if state != self._shown:
            level = logging.DEBUG if state == "half_open" else logging.WARNING  # a probe: its result is what matters
            why = f": {cause}" if cause else ""
            log.log(level, "the circuit breaker of the provider: %s → %s%s", self._shown, state, why)
            self._shown = state
            self._show_state()

    def _show_state(self) -> None:
        for state in get_args(BreakerState):
            signals.BREAKER.set(int(state == self._shown), provider=self._provider, state=state)


_WORST_FIRST: tuple[BreakerState, ...] = ("open", "half_open", "closed")
