"""Offsets of mentions in a text, computed here: large models copy strings well and count characters badly."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from sprat_contracts import Entity, NerOutput

MAX_ENTITIES = 1000
"""The contract's limit."""

MAX_MENTIONS = 2 * MAX_ENTITIES
"""In one answer. Each may take a look at every examined occurrence; an answer with more is refused."""

_MAX_OCCURRENCES = 200
"""Occurrences of one mention that are examined: a text of 20,000 equal letters must not take minutes."""


@dataclass(frozen=True, slots=True)
class Mention:
    """A string that the model copied, and its label."""

    text: str
    label: str


def locate(text: str, mentions: Sequence[Mention]) -> NerOutput:
    """Find each mention in the text, in order, without overlaps; mentions that are not in the text are left out.

    The search begins after the previous mention, then at the start of the text. It prefers whole words and accepts
    other matches, because not every script puts spaces between words.
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
        for start in islice(_occurrences(text, wanted, origin), _MAX_OCCURRENCES):
            if taken.find(1, start, start + len(wanted)) >= 0:
                continue
            if _is_whole_word(text, start, start + len(wanted)):
                return start
            if anywhere is None:
                anywhere = start
    return anywhere


def _occurrences(text: str, wanted: str, origin: int) -> Iterator[int]:
    start = text.find(wanted, origin)
    while start >= 0:
        yield start
        start = text.find(wanted, start + 1)


def _is_whole_word(text: str, start: int, end: int) -> bool:
    """Return whether no letter or digit outside the span touches a letter or digit inside it."""
    before = start > 0 and text[start - 1].isalnum() and text[start].isalnum()
    after = end < len(text) and text[end].isalnum() and text[end - 1].isalnum()
    return not (before or after)
