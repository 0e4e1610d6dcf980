"""The simulator's state: its behaviour, its counts, and the requests that it keeps."""

import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from sprat_simulator.gold import Gold
from sprat_simulator.settings import Behaviour

_MILLION = 1_000_000

Fault = Literal[
    "error_rate", "hang_rate", "garbled_rate", "malformed_rate", "off_schema_rate", "overcount_rate", "misname_rate"
]


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
    declined: int = 0
    """Without gold."""
    input_tokens: int = 0
    output_tokens: int = 0
    billed_eur: float = 0.0
    in_flight: int = 0
    max_in_flight: int = 0


class TokenBucket:
    """A token bucket with the capacity of one second, at least one token."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._level = 1.0
        self._rate: float | None = None
        self._at = clock()

    def wait_s(self, rate: float | None) -> float:
        """Take a token and return 0, or return the seconds until there is one."""
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
    """Everything that changes while the simulator runs."""

    def __init__(self, behaviour: Behaviour, gold: Gold, max_kept: int | None) -> None:
        self.gold = gold
        self.bucket = TokenBucket()
        self.stats = Stats()
        self.kept: deque[dict[str, Any]] | None = None if max_kept is None else deque(maxlen=max_kept)
        """The received requests; None where they are not kept."""
        self.behave(behaviour)

    def behave(self, behaviour: Behaviour) -> None:
        """Change the behaviour, and restart the random sequences."""
        self.behaviour = behaviour
        self._chances: dict[str, random.Random] = {}

    def happens(self, fault: Fault) -> bool:
        """Return whether this fault happens this time."""
        rate: float = getattr(self.behaviour, fault)
        return self._chance(fault) < rate

    def latency_s(self) -> float:
        """Return the time to wait before this answer."""
        return (self.behaviour.latency_ms + self._chance("jitter") * self.behaviour.jitter_ms) / 1000

    def _chance(self, name: str) -> float:
        """Draw from a sequence per fault, so that the frequency of one does not depend on the others."""
        chances = self._chances.setdefault(name, random.Random(f"{self.behaviour.seed} {name}"))  # noqa: S311 - a simulation
        return chances.random()

    def keep(self, body: str, size: int) -> None:
        """Store a received request, where requests are kept."""
        if self.kept is not None:
            self.kept.append({"at_ms": time.time_ns() // _MILLION, "bytes": size, "body": body})

    def bill(self, input_tokens: int, output_tokens: int) -> None:
        """Count an answer and its cost."""
        self.stats.answered += 1
        self.stats.input_tokens += input_tokens
        self.stats.output_tokens += output_tokens
        price = input_tokens * self.behaviour.input_eur + output_tokens * self.behaviour.output_eur
        self.stats.billed_eur += price / _MILLION

    def report(self) -> dict[str, Any]:
        """Return the counts."""
        return asdict(self.stats)
