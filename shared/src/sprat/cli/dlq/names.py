"""The names by which a person asks for dead letters, and why one of them leads to none."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from sprat.cli.terminal import printable
from sprat.operating.dead_letters import Letter

Bounds = Mapping[int, tuple[int, int]]
"""Partition of the dead letters → the first offset that is still there, and the one that is written next."""

_PLACE: Final = re.compile(r"(\d{1,9}):(\d{1,18})", re.ASCII)
_LONGEST: Final = 80


def names_of(letter: Letter) -> frozenset[str]:
    """Give the names by which a letter can be asked for: its place and the text's id."""
    identity = letter.identity
    return frozenset({letter.place} if identity is None else {letter.place, identity[1]})


def not_found(names: Iterable[str], bounds: Bounds, *, chosen: bool) -> str:
    """Say of each name why there is nothing of it; `chosen`: other options may leave it out."""
    told = "; ".join(f"{printable(name, _LONGEST)}: {_why(name, bounds, chosen=chosen)}" for name in names)
    return f"{told}. `sprat dlq list` shows what there is"


def _why(name: str, bounds: Bounds, *, chosen: bool) -> str:
    place = _PLACE.fullmatch(name)
    if place is None:
        hidden = ", or the other options leave it out" if chosen else ""
        return f"neither PARTITION:OFFSET, as 3:17, nor the id of a text that has a dead letter here{hidden}"
    partition, offset = map(int, place.groups())
    if partition not in bounds:
        return f"no such partition; there are {len(bounds)}, from 0 on"
    begin, end = bounds[partition]
    if offset >= end:
        last = f"the newest of partition {partition} is {partition}:{end - 1}" if end > begin else "none is there"
        return f"not yet written; {last}"
    if offset < begin:
        oldest = f"; the oldest of partition {partition} is {partition}:{begin}" if end > begin else ""
        return f"past its retention{oldest}"
    return "the other options leave it out" if chosen else "what stands there is no dead letter"
