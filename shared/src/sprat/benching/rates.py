"""The ladder of rates, as a person writes it: `10,50,110` in per cent of saturation, `200/s` as such."""

import math
from dataclasses import dataclass
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
