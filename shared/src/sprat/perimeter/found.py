"""What every finder gives."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Found:
    """A stretch of a text that is personal or secret. `start` and `end` count Unicode code points, `end` exclusive."""

    start: int
    end: int
    type: str
    finder: str
    score: float = 1.0
    """Chance, 0–1, that it is one; 1 where a check digit or a fixed form says so."""
