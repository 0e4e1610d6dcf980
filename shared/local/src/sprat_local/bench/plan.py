"""What one run of `sprat bench` measures, with the rates as the user writes them: `10,50,110` (per cent), `200/s`."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sprat.base.errors import UserError
from sprat_policy import TaskFile

DEFAULT_RATES: Final = "10,25,50,75,90,110"
QUICK_RATES: Final = "20,60,150"
DEFAULT_SECONDS: Final = 6.0
QUICK_SECONDS: Final = 3.0
SEED: Final = 7
"""Of the arrivals: two runs differ by the machine, not by the random numbers."""
MAX_RATES: Final = 20
_EXAMPLE: Final = "example: --rates 10,50,90,110, in per cent of saturation, or --rates 20/s,200/s"


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate at which texts arrive."""

    share: float | None
    """Of saturation; None if the rate is absolute."""
    absolute: float | None = None
    """Texts per second."""

    def texts_per_s(self, saturation: float) -> float:
        """Return the rate in texts per second."""
        return self.absolute if self.absolute is not None else (self.share or 0.0) * saturation


def parse_rates(option: str) -> tuple[Rate, ...]:
    """Parse the option --rates; keep its order.

    Raises:
        UserError: it is not a list of rates.
    """
    rates = tuple(_rate(each.strip()) for each in option.split(",") if each.strip())
    if not 0 < len(rates) <= MAX_RATES:
        raise UserError(f"--rates {option}: needs 1 to {MAX_RATES} rates; {_EXAMPLE}")
    return rates


def _rate(text: str) -> Rate:
    absolute = text.endswith("/s")
    try:
        number = float(text.removesuffix("/s") if absolute else text.removesuffix("%"))
    except ValueError:
        number = math.nan
    if not 0 < number <= (100_000 if absolute else 1_000):
        raise UserError(f"--rates {text}: not a rate; {_EXAMPLE}")
    return Rate(None, number) if absolute else Rate(number / 100)


@dataclass(frozen=True, slots=True)
class BenchPlan:
    """All choices of one run."""

    task: str
    seconds: float = DEFAULT_SECONDS
    """Duration of each rate, and about the CPU time of the bare model for the texts of the backlog."""
    rates: tuple[Rate, ...] = parse_rates(DEFAULT_RATES)
    texts: int | None = None
    """Of the backlog; None: as many as the bare model answers in `seconds`."""
    file: Path | None = None
    """The user's own texts; None: the demo's."""
    language: str = "en"
    """Of the texts in `file`."""
    target: str = "de"
    """Of translations."""
    artefact: Path | None = None
    """The user's own model; None: the one that the task's service would load."""
    task_file: TaskFile | None = None
    """The file of the task; None for one of this version."""
