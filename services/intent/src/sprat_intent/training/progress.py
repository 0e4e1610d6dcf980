"""How far a training is, for whoever waits."""

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Gets the step in words, how much of it is done, and how much there is."""


def silent(_step: str, _done: int, _all: int) -> None:
    """Say nothing."""
