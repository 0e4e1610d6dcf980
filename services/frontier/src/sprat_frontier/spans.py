"""Where mentions stand in a text. Large models copy strings well and count characters badly: offsets are found here."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from sprat_contracts import Entity, NerOutput

MAX_ENTITIES = 1000
"""The contract's limit."""

_MAX_LOOKS = 200
"""Occurrences of one mention that are looked at: a text of 20,000 equal letters must not hold up the event loop."""


@dataclass(frozen=True, slots=True)
class Mention:
    """A string that the model copied, and what it calls it."""

    text: str
    label: str


def locate(text: str, mentions: Sequence[Mention]) -> NerOutput:
    """Find each mention in the text, in order, without overlaps; those that are not there are left out.

    A mention is looked for after the one before it, then from the start, first as a whole word, then anywhere (not
    every script puts spaces between words).
    """
    found: list[Entity] = []
    taken = bytearray(len(text))
    cursor = 0
    for mention in mentions:
        if len(found) > MAX_ENTITIES:
            break
        wanted = mention.text.strip()
        start = _find(text, wanted, cursor, taken) if wanted else None
        if start is None:
            continue
        cursor = start + len(wanted)
        taken[start:cursor] = b"\x01" * len(wanted)
        found.append(Entity(start=start, end=cursor, text=wanted, label=mention.label))
    found.sort(key=lambda entity: entity.start)
    return NerOutput(entities=tuple(found[:MAX_ENTITIES]), truncated=len(found) > MAX_ENTITIES)


def _find(text: str, wanted: str, cursor: int, taken: bytearray) -> int | None:
    anywhere: int | None = None
    for origin in (cursor, 0):
        for start in islice(_occurrences(text, wanted, origin), _MAX_LOOKS):
            if taken.find(1, start, start + len(wanted)) >= 0:
                continue
            if _whole(text, start, start + len(wanted)):
                return start
            if anywhere is None:
                anywhere = start
    return anywhere


def _occurrences(text: str, wanted: str, origin: int) -> Iterator[int]:
    start = text.find(wanted, origin)
    while start >= 0:
        yield start
        start = text.find(wanted, start + 1)


def _whole(text: str, start: int, end: int) -> bool:
    """Does no letter or digit touch the span's own letters and digits from outside?"""
    before = start > 0 and text[start - 1].isalnum() and text[start].isalnum()
    after = end < len(text) and text[end].isalnum() and text[end - 1].isalnum()
    return not (before or after)
