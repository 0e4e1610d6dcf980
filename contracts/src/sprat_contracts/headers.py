"""Names of record headers.

Kafka tells capitals from small letters. CloudEvents, W3C trace context and Sprat write small ones, but not every client
does: `CE_ID`, `Content-Type`.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from sprat_contracts.signing import SIGNATURE_HEADER

ATTRIBUTE: Final = "ce_"
"""How the header of a CloudEvents attribute begins."""
_ANY_CASE: Final = frozenset({"content-type", "traceparent", "tracestate", SIGNATURE_HEADER})


def header_name(name: str) -> str:
    """Return the name under which a header is read: in small letters where senders write it.

    What only Sprat writes, such as `sprat_replay_for`, is read as it stands.
    """
    small = name.lower()
    return small if small.startswith(ATTRIBUTE) or small in _ANY_CASE else name


_MOST_KEPT: Final = 1_024


class HeaderLayout(NamedTuple):
    """What the names of a record's headers say. Most records of a topic have the same ones."""

    names: tuple[str, ...]
    """Under which the headers are read, each once."""
    attributes: tuple[tuple[str, str], ...]
    """Of the attributes of an event: header, attribute."""


def may_be_kept(names: Sequence[str]) -> bool:
    """Return whether what follows from the header names of a record may be kept: senders write any, and as many."""
    return len(names) + sum(map(len, names)) <= _MOST_KEPT


def layout_of(headers: Iterable[tuple[str, bytes | None]]) -> HeaderLayout | None:
    """Return the layout of a record's headers; None for one whose headers must be looked at one by one."""
    names = tuple([name for name, _ in headers])
    return _layout(names) if may_be_kept(names) else None


@lru_cache(maxsize=256)
def _layout(written: tuple[str, ...]) -> HeaderLayout | None:
    names = tuple(map(header_name, written))
    if len({*names}) < len(names) or any("\ud800" <= each <= "\udfff" for name in names for each in name):
        return None
    return HeaderLayout(names, attributes_among(names))


def attributes_among(names: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Return the headers that are attributes of an event, each with the attribute's name."""
    return tuple((name, name.removeprefix(ATTRIBUTE)) for name in names if name.startswith(ATTRIBUTE))


def decoded(headers: Iterable[tuple[str, bytes | None]]) -> dict[str, str]:
    """Return the headers as strings, by the names that services read; of duplicates the last counts, as for them."""
    return {header_name(name): (value or b"").decode("utf-8", "replace") for name, value in headers}
