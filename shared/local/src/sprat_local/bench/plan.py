"""The ladder of rates, as a person writes it: `10,50,110` in per cent of saturation, `200/s` as such."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sprat.errors import UserError

MOST: Final = 20
"""Rungs of one ladder."""
_EXAMPLE: Final = "example: --rates 10,50,90,110, in per cent of saturation, or --rates 20/s,200/s"


@dataclass(frozen=True, slots=True)
class Rate:
    """One rung."""

    share: float | None
    """Of saturation; None where it is absolute."""
    absolute: float | None = None
    """Texts a second."""

    def texts_per_s(self, saturation: float) -> float:
        """Give it in texts a second."""
        return self.absolute if self.absolute is not None else (self.share or 0.0) * saturation


def parse_rates(given: str) -> tuple[Rate, ...]:
    """Read a ladder, in the order given.

    Raises:
        UserError: it is none.
    """
    rates = tuple(_rate(each.strip()) for each in given.split(",") if each.strip())
    if not 0 < len(rates) <= MOST:
        raise UserError(f"--rates {given}: needs 1 to {MOST} rates; {_EXAMPLE}")
    return rates


def _rate(given: str) -> Rate:
    absolute = given.endswith("/s")
    try:
        number = float(given.removesuffix("/s") if absolute else given.removesuffix("%"))
    except ValueError:
        number = math.nan
    if not 0 < number <= (100_000 if absolute else 1_000):
        raise UserError(f"--rates {given}: is no rate; {_EXAMPLE}")
    return Rate(None, number) if absolute else Rate(number / 100)


# What one run of `sprat bench` measures.


DEFAULT_RATES: Final = "10,25,50,75,90,110"
QUICK_RATES: Final = "20,60,150"
DEFAULT_SECONDS: Final = 6.0
QUICK_SECONDS: Final = 3.0
SEED: Final = 7
"""Of the arrivals: two runs differ by the machine, not by the dice."""


@dataclass(frozen=True, slots=True)
class Plan:
    """All choices."""

    task: str
    seconds: float = DEFAULT_SECONDS
    """Of each rate; and about so long the bare model computes for the texts of the drain."""
    rates: tuple[Rate, ...] = parse_rates(DEFAULT_RATES)
    texts: int | None = None
    """Of the drain; None: as many as the bare model does in `seconds`."""
    file: Path | None = None
    """A person's own texts; None: the demo's."""
    language: str = "en"
    """Of the texts in `file`."""
    target: str = "de"
    """Of translations."""
    artefact: Path | None = None
    """A model of one's own; None: the one that the task's service would load."""
