"""Screen 1: what came in a span of time, how it was answered, how fast, and what it cost."""

from dataclasses import dataclass
from typing import Final, Literal

Span = Literal["minute", "hour", "day"]
SPANS: Final[dict[Span, int]] = {"minute": 60_000, "hour": 3_600_000, "day": 86_400_000}
"""Milliseconds."""


@dataclass(frozen=True, slots=True)
class Counted:
    """Results of pairs of a text and a task. `kept + escalated` is all; degraded and unanswered are escalated ones."""

    kept: int = 0
    escalated: int = 0
    degraded: int = 0
    unanswered: int = 0
    spent_eur: float = 0.0
    saved_eur: float | None = None
    """For each kept pair, what the call with the median number of tokens has cost for this tenant and task; None
    where no call for it was seen."""

    @property
    def results(self) -> int:
        """How many pairs have a Result."""
        return self.kept + self.escalated


@dataclass(frozen=True, slots=True)
class Moment:
    """A part of the span, for the chart."""

    at_ms: int
    """Its beginning."""
    texts: int
    counted: Counted


@dataclass(frozen=True, slots=True)
class Waiting:
    """The oldest text that has not got all its Results."""

    uuid: str
    id: str
    at_ms: int
    """When the broker appended it."""
    tasks: tuple[str, ...]
    """Tasks without a Result."""


@dataclass(frozen=True, slots=True)
class Overview:
    """The screen."""

    span: Span
    begin_ms: int
    end_ms: int
    texts: int
    counted: Counted
    tasks: dict[str, Counted]
    p50_ms: int | None
    """From a text's arrival to its Result, by the broker's clock; None where there is none."""
    p99_ms: int | None
    timed: int
    """On how many Results the two rest."""
    waiting: int
    """Texts that have not got all their Results."""
    oldest: Waiting | None
    moments: tuple[Moment, ...]
    """60 of a minute or an hour, 96 of a day; those without a text, too."""
    one_in: int
    """Of the texts that came, one in so many was read whole: 1 is every one. Counts and euro are of all."""
