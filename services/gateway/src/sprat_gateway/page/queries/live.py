"""Screen 2: the Results as they come, at most so many a second."""

from dataclasses import dataclass
from typing import Final

from sprat_gateway.page.queries.viewer import HiddenText

ROWS_A_SECOND: Final = 20


@dataclass(frozen=True, slots=True)
class LiveFilter:
    """Which rows are wanted: all that is given must hold. Stands in the address of the page."""

    task: str | None = None
    status: str | None = None
    """answered, degraded or unanswered."""
    decision: str | None = None
    """kept or escalated."""
    reason: str | None = None
    model: str | None = None
    """Name of the model that answered."""


@dataclass(frozen=True, slots=True)
class LiveRow:
    """A pair of a text and a task with its Result."""

    seq: int
    """Ascending in the order in which the store read them."""
    uuid: str
    """Of the text: its screen is at this address."""
    id: str
    at_ms: int
    """When the broker appended the Result."""
    task: str
    status: str
    decision: str
    reason: str
    source: str
    """small, frontier or none."""
    tier: str | None
    model: str | None
    answer: str
    """In a few words, never of the text: a label, "2 names", "a text in de"; empty where unanswered."""
    confidence: float | None
    level: float | None
    goal: float | None
    cached: bool
    cost_eur: float
    total_ms: int
    hidden: HiddenText | None
    """None where the text itself was not read (`Overview.one_in`), or has expired."""
    text: str | None
    """The beginning of the text, at most 200 characters; None without the role `read-texts`."""


@dataclass(frozen=True, slots=True)
class LiveRows:
    """What came after a place."""

    rows: tuple[LiveRow, ...]
    """The newest first, at most `ROWS_A_SECOND`."""
    matching: int
    """How many came that fit the filter: "N of M"."""
    last: int
    """The place to ask after next."""
