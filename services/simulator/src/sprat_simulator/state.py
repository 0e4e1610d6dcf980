"""What the simulator remembers: how to behave, what it did, what it got."""

import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from sprat_simulator.gold import Gold
from sprat_simulator.settings import Behaviour

_MILLION = 1_000_000

Fault = Literal["error_rate", "hang_rate", "garbled_rate", "malformed_rate", "off_schema_rate"]


@dataclass(slots=True)
class Stats:
    """Counts since the start or the last reset."""

    requests: int = 0
    answered: int = 0
    errors: int = 0
    rate_limited: int = 0
    hung: int = 0
    spoilt: int = 0
    """Garbled, malformed or off schema."""
    wrong: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    billed_eur: float = 0.0
    in_flight: int = 0
    max_in_flight: int = 0


class Bucket:
    """A token bucket that holds one second's worth, at least one."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._level = 1.0
        self._rate: float | None = None
        self._at = clock()

    def wait_s(self, rate: float | None) -> float:
        """Take one and give 0, or give the seconds until there is one."""
        if rate is None:
            self._rate = None
            return 0.0
        now = self._clock()
        size = max(1.0, rate)
        self._level = min(size, self._level + (now - self._at) * rate) if rate == self._rate else size
        self._rate, self._at = rate, now
        if self._level >= 1:
            self._level -= 1
            return 0.0
        return (1 - self._level) / rate


class SimulatorState:
    """Everything that changes."""

    def __init__(self, behaviour: Behaviour, gold: Gold, max_kept: int | None) -> None:
        self.gold = gold
        self.bucket = Bucket()
        self.stats = Stats()
        self.kept: deque[dict[str, Any]] | None = None if max_kept is None else deque(maxlen=max_kept)
        """What was received; None when that is not to be kept."""
        self.behave(behaviour)

    def behave(self, behaviour: Behaviour) -> None:
        """Behave so from now on; the seed starts again."""
        self.behaviour = behaviour
        self._chances: dict[str, random.Random] = {}

    def happens(self, fault: Fault) -> bool:
        """Does this fault happen this time?"""
        rate: float = getattr(self.behaviour, fault)
        return self._chance(fault) < rate

    def latency_s(self) -> float:
        """Give the time to wait before this answer."""
        return (self.behaviour.latency_ms + self._chance("jitter") * self.behaviour.jitter_ms) / 1000

    def _chance(self, of: str) -> float:
        """Draw from a sequence of its own, so that how often a fault happens does not hang on who came first."""
        chances = self._chances.setdefault(of, random.Random(f"{self.behaviour.seed} {of}"))  # noqa: S311 - a simulation
        return chances.random()

    def keep(self, body: str, size: int) -> None:
        """Remember what was received, if that is wanted."""
        if self.kept is not None:
            self.kept.append({"at_ms": time.time_ns() // _MILLION, "bytes": size, "body": body})

    def bill(self, input_tokens: int, output_tokens: int) -> None:
        """Count an answer and what it costs."""
        self.stats.answered += 1
        self.stats.input_tokens += input_tokens
        self.stats.output_tokens += output_tokens
        price = input_tokens * self.behaviour.input_eur + output_tokens * self.behaviour.output_eur
        self.stats.billed_eur += price / _MILLION

    def report(self) -> dict[str, Any]:
        """Give the counts."""
        return asdict(self.stats)
