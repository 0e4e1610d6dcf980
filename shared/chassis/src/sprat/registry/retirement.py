"""Up to where texts are still those of a model that was withdrawn, as the records under its key say it.

Two tombstones withdraw a model. The router follows the first: it escalates every text that it reads afterwards. The
second carries the ends that the texts had once the first one was acknowledged: what lies behind them came after it,
and is escalated for sure. So whoever reads the second one may leave those texts alone, by offsets, whatever the clocks
say. What lies before the ends stays the model's own, also where its service is started again after the retirement:
the new announcement carries the ends on, for the tombstone is compacted away.

Where the model was announced between the two, the router left it texts behind these ends. The second tombstone then
says nothing of them, and counts as a first one.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

OWNED_UNTIL: Final = "sprat_owned_until"
"""The header of the second tombstone, and of an announcement after it: a JSON object, partition → offset."""

Ends = Mapping[int, int]
"""Partition of the texts → the first offset that is not the model's own any more."""


@dataclass(frozen=True, slots=True)
class Retirement:
    """What the records under a model's key add up to, taken in the topic's order. Before the first, nothing is known.

    Compaction may have removed any but the last one, so the last one alone must say enough: a second tombstone holds
    where nothing is before it, an announcement carries what was left, and a tombstone that says nothing ends what
    one before it said, so that the model can be retired once more.
    """

    announced: bool = False
    """Is the last record an announcement?"""
    until: Ends | None = None
    """While it is withdrawn: up to where texts are its own. None: it is not, or nobody says."""
    left: Ends | None = None
    """What was its own when it was last withdrawn, as far as is known: an announcement does not end that."""

    def after_announcement(self, said: Ends | None) -> "Retirement":
        """Take in an announcement that carries `said`.

        The further of both holds: it was perhaps made by who had not read the last tombstone yet, and a text that is
        answered twice is better than one that never is.
        """
        return Retirement(announced=True, left=_further(self.left, said))

    def after_tombstone(self, said: Ends | None) -> "Retirement":
        """Take in a tombstone that carries `said`: it holds unless the model was announced just before."""
        until = None if self.announced else said
        return Retirement(until=until, left=self.left if until is None else until)


def owned_until_header(ends: Ends) -> tuple[str, bytes]:
    """Give the header that says it."""
    return OWNED_UNTIL, json.dumps({str(partition): end for partition, end in sorted(ends.items())}).encode()


def owned_until(headers: Iterable[tuple[str, bytes | None]]) -> Ends | None:
    """Read it from a record's headers; None where it does not say it, or not so."""
    value = next((value for name, value in headers if name == OWNED_UNTIL), None)
    try:
        found = json.loads(value or b"null")
    except ValueError:
        return None
    if not isinstance(found, dict) or not all(key.isdecimal() and isinstance(end, int) for key, end in found.items()):
        return None
    return {int(partition): end for partition, end in found.items()}


def _further(one: Ends | None, other: Ends | None) -> Ends | None:
    if one is None or other is None:
        return other if one is None else one
    return {partition: max(one.get(partition, 0), other.get(partition, 0)) for partition in one.keys() | other.keys()}
