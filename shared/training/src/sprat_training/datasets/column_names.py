"""The names by which columns are known without being named."""

import re
from collections.abc import Sequence
from typing import Final

TEXT_NAMES: Final = ("text", "utterance", "message", "sentence", "query", "question", "instruction", "body", "comment")
LABEL_NAMES: Final = ("label", "intent", "category", "class", "topic", "target", "tag")
_LIKE_A_NAME: Final = re.compile(r"[^\W\d]+(?:[ ./-][^\W\d]+){0,2}[ _-]?\d{0,2}")
"""One to three words of letters, and a small number behind them: Thema, customer_text, Text der Mail, Q 12."""
_LONGEST_NAME: Final = 32
_SHOWN: Final = 300


def known_columns(names: Sequence[str]) -> tuple[int | None, int | None]:
    """Give the places of the texts' and the labels' columns among names that are known; None where there is none."""
    plain = [name.strip().casefold() for name in names]
    return _first(plain, TEXT_NAMES), _first(plain, LABEL_NAMES)


def listed(names: Sequence[str], below: Sequence[Sequence[str]] = ()) -> str | None:
    """Give names of columns or fields for telling a person; None where what is meant to be names may be texts.

    That is so where one of them does not look like a name, or stands again in its column `below`, as labels do.
    """
    again = {(place, cell.strip()) for cells in below for place, cell in enumerate(cells)}
    if all(not name or (_like_a_name(name) and (place, name) not in again) for place, name in enumerate(names)):
        return ", ".join(map(repr, names))[:_SHOWN]
    return None


def _like_a_name(name: str) -> bool:
    return len(name) <= _LONGEST_NAME and _LIKE_A_NAME.fullmatch(name) is not None


def _first(plain: Sequence[str], known: Sequence[str]) -> int | None:
    return next((plain.index(name) for name in known if name in plain), None)
