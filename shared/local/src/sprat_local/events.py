"""What an installation tells a person while it runs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Level = Literal["info", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Event:
    """One line for a person: who, how bad, what."""

    service: str
    level: Level
    text: str


OnEvent = Callable[[Event], None]
"""Called from the supervisor's thread."""


def ignore(_: Event) -> None:
    """Tell nobody."""


# How long preparations tell a person what they do.

OnProgress = Callable[[str], None]
"""Gets one short line for a person, such as "fetching Apache Kafka 4.1.1: 20 of 46 files"."""


def silent(_line: str) -> None:
    """Say nothing."""
