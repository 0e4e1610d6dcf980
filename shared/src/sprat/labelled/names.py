"""The names by which columns are known without being named."""

from collections.abc import Sequence
from typing import Final

TEXT_NAMES: Final = ("text", "utterance", "message", "sentence", "query", "question", "instruction", "body", "comment")
LABEL_NAMES: Final = ("label", "intent", "category", "class", "topic", "target", "tag")


def known_columns(names: Sequence[str]) -> tuple[int | None, int | None]:
    """Give the places of the texts' and the labels' columns among names that are known; None where there is none."""
    plain = [name.strip().casefold() for name in names]
    return _first(plain, TEXT_NAMES), _first(plain, LABEL_NAMES)


def _first(plain: Sequence[str], known: Sequence[str]) -> int | None:
    return next((plain.index(name) for name in known if name in plain), None)
