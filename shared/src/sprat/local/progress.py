"""How long preparations tell a person what they do."""

from collections.abc import Callable

Progress = Callable[[str], None]
"""Gets one short line for a person, such as "fetching Apache Kafka 4.1.1: 20 of 46 files"."""


def silent(_line: str) -> None:
    """Say nothing."""
