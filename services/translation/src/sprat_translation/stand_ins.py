"""Stand-ins: what the network reads and copies in place of what must stay; afterwards the values are put back."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sprat_translation.protected import Protected, find

SYMBOLS = tuple(f"⟦{number}⟧" for number in range(10))
"""Pieces of their own in the vocabulary. A sentence has room for so many; what is beyond them the network must copy."""

_NUMBERS = ("37", "58", "64", "29", "46", "83", "72", "95", "31", "67")
_NAMES = ("Tom", "Anna", "Peter", "Maria", "Thomas", "Julia", "Robert", "Sarah", "Martin", "Laura")
_FEW = 3
"""More values than that are lost one way or another, and each way costs a translation."""

_SYMBOL = re.compile(r"⟦\d+⟧")
_STAND_IN = re.compile(r"⟦\d+⟧|\d+|[^\W\d_]+")


@dataclass(frozen=True, slots=True)
class Masked:
    """A sentence with stand-ins for what must stay."""

    text: str
    values: tuple[str, ...] = ()
    stand_ins: tuple[str, ...] = ()
    """What stands for the first, second, … value."""


def masked(sentence: str) -> Iterator[Masked]:
    """Ways to read a sentence, the likeliest to keep everything first; the sentence as it stands comes last.

    First with a symbol for each value. A network may have seen few symbols, and fewer that stood together: so then with
    one symbol, and numbers of two digits for the other values; and then with first names, which stand where no number
    can.
    """
    values = [each for each in find(sentence) if each.can_be_replaced]
    if values:
        yield _masked(sentence, values, SYMBOLS)
    if 1 < len(values) <= _FEW:
        yield _masked(sentence, values, (SYMBOLS[0], *(each for each in _NUMBERS if each not in sentence)))
    if 1 <= len(values) <= _FEW:
        yield _masked(sentence, values, [each for each in _NAMES if each not in sentence])
    yield Masked(sentence)


def restore(translation: str, masked: Masked) -> str | None:
    """Put back what was replaced; None where a stand-in is missing, stands twice, or was made up."""
    found = _STAND_IN.findall(translation)
    if sorted(each for each in found if each in masked.stand_ins) != sorted(masked.stand_ins):
        return None
    if any(_SYMBOL.fullmatch(each) and each not in masked.stand_ins for each in found):
        return None
    values = dict(zip(masked.stand_ins, masked.values, strict=True))
    return _STAND_IN.sub(lambda found: values.get(found.group(), found.group()), translation)


def _masked(sentence: str, values: Sequence[Protected], stand_ins: Sequence[str]) -> Masked:
    """With as many stand-ins as there are; what is beyond them is left to the network to copy."""
    parts: list[str] = []
    last = 0
    used = list(zip(values, stand_ins, strict=False))
    for value, stand_in in used:
        parts += (sentence[last : value.start], stand_in)
        last = value.end
    text = "".join((*parts, sentence[last:]))
    return Masked(text, tuple(value.text for value, _ in used), tuple(stand_in for _, stand_in in used))
