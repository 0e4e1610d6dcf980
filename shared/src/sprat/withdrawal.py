"""Up to where texts are still those of a model that was withdrawn, as its tombstone says it.

Two tombstones withdraw a model. The router follows the first: it escalates every text that it reads afterwards. The
second carries the ends that the texts had once the first one was acknowledged: what lies behind them came after it,
and is escalated for sure. So whoever reads the second one may leave those texts alone, by offsets, whatever the clocks
say. What lies before the ends stays the model's own, also where its service is started again after the retirement.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Final

OWNED_UNTIL: Final = "sprat_owned_until"
"""The header of the second tombstone: a JSON object, partition → offset."""

Ends = Mapping[int, int]
"""Partition of the texts → the first offset that is not the model's own any more."""


def owned_until_header(ends: Ends) -> tuple[str, bytes]:
    """Give the header that says it."""
    return OWNED_UNTIL, json.dumps({str(partition): end for partition, end in sorted(ends.items())}).encode()


def owned_until(headers: Iterable[tuple[str, bytes | None]]) -> Ends | None:
    """Read it from a tombstone's headers; None where it does not say it, or not so."""
    value = next((value for name, value in headers if name == OWNED_UNTIL), None)
    try:
        found = json.loads(value or b"null")
    except ValueError:
        return None
    if not isinstance(found, dict) or not all(key.isdecimal() and isinstance(end, int) for key, end in found.items()):
        return None
    return {int(partition): end for partition, end in found.items()}
