"""What reading for the page costs, and how much of the stream it may therefore read whole."""

import time
from typing import Final

BUDGET_S: Final = 0.15
"""CPU seconds for 1,000 texts."""
_READ_S: Final = 20e-6
"""Of these, what the Kafka client needs for a record; it works beside the thread that is measured."""
_LEAST_TEXTS: Final = 500
_LEAST_RATE: Final = 50.0
"""Texts a second below which nothing is left out: what a transaction costs is then shared by few."""
_MOST: Final = 64


class CostMeter:
    """Measures over a few seconds, and doubles or halves what is left out."""

    def __init__(self) -> None:
        self._one_in = 1
        self._begin()

    def _begin(self) -> None:
        self._since = time.monotonic()
        self._texts = 0
        self._cpu_s = 0.0

    def add(self, texts: int, records: int, cpu_s: float) -> None:
        """Count a batch."""
        self._texts += texts
        self._cpu_s += cpu_s + records * _READ_S

    def one_in(self) -> int:
        """Return of how many texts one may be read whole."""
        if self._texts < _LEAST_TEXTS:
            return self._one_in
        rate = self._texts / max(0.001, time.monotonic() - self._since)
        cost_s = 1000 * self._cpu_s / self._texts
        if rate < _LEAST_RATE:
            self._one_in = 1
        elif cost_s > BUDGET_S:
            self._one_in = min(_MOST, 2 * self._one_in)
        elif cost_s < BUDGET_S / 3:
            self._one_in = max(1, self._one_in // 2)
        self._begin()
        return self._one_in
