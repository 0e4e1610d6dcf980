"""The points of a loop at which an observer is called. A service has none; tests of crashes set one."""

from collections.abc import Callable
from typing import Literal

Point = Literal["decoded", "inferred", "published", "committed"]
"""In the loop's order."""

Checkpoint = Callable[[Point, int], None]
"""Called with the point and how many records the loop has newly begun to handle there."""


def ignore(point: Point, records: int) -> None:
    """Do nothing."""
