"""How memory, file handles and disk grow with the texts of a run."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import linear_regression
from typing import Any, Final

PER_TEXTS: Final = 100_000
WARM_UP: Final = 0.25
"""This share of the texts fills caches and pools, and is not judged."""
LEAST_TEXTS: Final = 100_000
"""Fewer after the warm-up say nothing of a slope."""
LEAST_SAMPLES: Final = 10
MOST: Final = {"rss": 8 * 2**20, "fds": 1.0}
"""What a service may grow by in 100,000 texts: 84 bytes a text are less than any object that is kept for one."""
_GROW_BY_DESIGN: Final = ("kafka", "redis", "broker")
"""Page cache, heap up to its limit, and answers until they expire."""


@dataclass(frozen=True, slots=True)
class GrowthSlope:
    """A straight line through the samples of one process."""

    process: str
    what: str
    per_100k: float
    first: float
    last: float
    samples: int
    texts: int
    """How many texts passed between the first sample and the last one."""

    @property
    def is_judged(self) -> bool:
        """Whether it says enough of what must not grow."""
        long_enough = self.texts >= LEAST_TEXTS and self.samples >= LEAST_SAMPLES
        return long_enough and self.what in MOST and not self.process.startswith(_GROW_BY_DESIGN)

    @property
    def is_too_steep(self) -> bool:
        """Whether a process keeps something of each text."""
        return self.is_judged and self.per_100k > MOST[self.what]

    def __str__(self) -> str:
        return f"{self.process}: {self.what} grows by {self.per_100k:,.1f} in 100,000 texts"


def growth(samples: Iterable[Mapping[str, Any]], texts_at_ms: Sequence[int]) -> list[GrowthSlope]:
    """Return the slope of each process and of the disk.

    A process that was started again is another one: its samples name another `pid`.

    Args:
        samples: as `checker.py` describes them.
        texts_at_ms: when each text was appended, sorted.
    """
    series: dict[tuple[str, Any, str], list[tuple[int, float]]] = defaultdict(list)
    for sample in samples:
        texts = bisect_left(texts_at_ms, sample["at"] * 1000)
        if WARM_UP * len(texts_at_ms) <= texts < len(texts_at_ms):
            for what in {"rss", "fds", "disk"} & sample.keys():
                process = "" if what == "disk" else sample.get("process", "")
                series[process, sample.get("pid") if process else None, what].append((texts, sample[what]))
    found = []
    for (process, _, what), points in sorted(series.items(), key=str):
        counts, values = zip(*points, strict=True)
        if len(set(counts)) > 1:
            line = linear_regression(counts, values)
            passed = max(counts) - min(counts)
            found.append(GrowthSlope(process, what, line.slope * PER_TEXTS, values[0], values[-1], len(points), passed))
    return found
