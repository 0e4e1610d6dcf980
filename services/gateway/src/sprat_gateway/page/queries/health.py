"""Screen 8: which services lag, how many run, what they could not handle, and how far this page has read."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GroupRow:
    """The consumer group of a service."""

    name: str
    members: int
    lag: int
    oldest_s: float | None
    """How long the oldest record has waited; None: not known."""
    keeps_up: bool
    measured_ms: int


@dataclass(frozen=True, slots=True)
class LetterRow:
    """Dead letters of one reason from one service."""

    code: str
    service: str
    count: int
    last_ms: int
    detail: str
    """Of the last one: field and reason, never the text."""
    cause: str
    """What has to change before a replay can succeed: record, settings or fault."""
    command: str
    """That replays them."""


@dataclass(frozen=True, slots=True)
class StoreState:
    """How far this instance has read."""

    behind_s: float | None
    """Between the newest record that was appended and the newest that was read; None: not known."""
    pairs: int
    since_ms: int | None
    """The oldest text that is still there."""
    one_in: int
    """One text in so many is read whole."""
    bytes: int


@dataclass(frozen=True, slots=True)
class Health:
    """The screen."""

    groups: tuple[GroupRow, ...]
    letters: tuple[LetterRow, ...]
    unattributed: dict[str, int]
    """Code → dead letters whose tenant nobody can read; counts alone."""
    store: StoreState
