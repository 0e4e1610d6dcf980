"""Exponential back-off with jitter."""

import random


class Backoff:
    """Growing pauses in seconds.

    `first`, doubling up to `most`, each shortened at random by up to a half, so that replicas do not come back in
    step.
    """

    def __init__(self, first: float = 0.1, most: float = 5.0) -> None:
        self._first = first
        self._most = most
        self._attempts = 0

    def next(self) -> float:
        """Give the next pause in seconds."""
        pause = min(self._most, self._first * 2.0**self._attempts)
        self._attempts = min(self._attempts + 1, 32)
        return pause * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not a secret

    def reset(self) -> None:
        """Begin again with the first pause, after a success."""
        self._attempts = 0
