"""When texts arrive: by a clock and dice alone, whatever becomes of those before them."""

from random import Random


def poisson(per_s: float, seconds: float, seed: int) -> list[float]:
    """Give the seconds after the beginning at which each text is due, in order; at least one.

    A Poisson process given its count: as irregular as independent people are, yet exactly `per_s` on average, so that a
    rung of a ladder is the rate that it says.
    """
    dice = Random(seed)  # noqa: S311 - nothing secret hangs on it
    return sorted(dice.random() * seconds for _ in range(max(1, round(per_s * seconds))))
