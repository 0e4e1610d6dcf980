"""Which fault happens when: drawn from a seed alone, so that a seed replays the plan. Its interleaving it cannot."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final, TypeVar

T = TypeVar("T")

GAP_S: Final = (15.0, 30.0)
SERVICES: Final = ("router", "intent", "language-id", "frontier")
PROVIDER_FAULTS: Final = ("429", "500", "slow", "cut")


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault, and how long it lasts."""

    at_s: float
    """Since the first text."""
    kind: str
    target: str = ""
    lasts_s: float = 0.0
    amount: float = 0.0
    """Milliseconds of a slow connection; seconds of a step of a clock."""

    def __str__(self) -> str:
        amount = f" by {self.amount:+.0f}" if self.amount else ""
        lasts = f" for {self.lasts_s:.1f} s" if self.lasts_s else ""
        return f"{self.kind} {self.target}".strip() + amount + lasts


def plan(seed: int, seconds: float, brokers: int) -> tuple[Fault, ...]:
    """Return the faults of a run, one every 15 to 30 s; each kind, and each target of one, once before any twice."""
    random = Random(seed)
    kinds = _dealt(random, [(kind, _dealt(random, targets)) for kind, targets in _kinds(brokers)])
    faults: list[Fault] = []
    at_s = random.uniform(*GAP_S)
    while at_s < seconds:
        kind, targets = next(kinds)
        faults.append(_fault(random, at_s, kind, next(targets)))
        at_s += random.uniform(*GAP_S)
    return tuple(faults)


def _kinds(brokers: int) -> tuple[tuple[str, Sequence[str]], ...]:
    """Return each kind with what it may strike."""
    numbers = [f"kafka#{number}" for number in range(1, brokers + 1)]
    return (
        ("kill", SERVICES),
        ("freeze", SERVICES),
        ("kill", (*numbers, "redis", "simulator")),
        ("freeze", (*numbers, "redis")),
        ("kill", numbers),
        ("flush", ("redis",)),
        ("provider", PROVIDER_FAULTS),
        ("cut", numbers),
        ("slow", numbers),
        ("promote", ("intent",)),
        ("policy", ("router",)),
        ("rebalances", ("router", "intent")),
        ("clock", ("frontier",)),
    )


def _dealt(random: Random, cards: Sequence[T]) -> Iterator[T]:
    """Deal from a pack of cards, shuffled again when it is empty."""
    while True:
        yield from random.sample(cards, len(cards))


def _fault(random: Random, at_s: float, kind: str, target: str) -> Fault:
    lasts_s = {
        # Beyond the session of 10 s the group goes on without it, and its generation is stale when it awakes.
        "freeze": random.choice((random.uniform(1, 5), random.uniform(11, 14))),
        "provider": random.uniform(5, 15),
        "cut": random.uniform(0, 8),
        "slow": random.uniform(5, 15),
        "clock": random.uniform(5, 15),
    }.get(kind, 0.0)
    amount = {
        "slow": random.uniform(50, 500),
        "clock": random.choice((-1, 1)) * random.choice((5.0, 90.0, 3_600.0, 86_400.0)),
    }.get(kind, 0.0)
    return Fault(at_s, kind, target, lasts_s, amount)
