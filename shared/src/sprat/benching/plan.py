"""What one run of `sprat bench` measures."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sprat.benching.rates import Rate, parse_rates

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
