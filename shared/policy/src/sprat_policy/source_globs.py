"""Globs over the sources of texts: `*` stands for any characters, also none and `/`; all others for themselves."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Claim:
    """A glob of one section of the policy's tenants."""

    section: str
    field: str
    place: int
    """In the field's list, from 0."""
    glob: str

    @property
    def beginning(self) -> str:
        """Return the characters before the first `*`."""
        return self.glob.partition("*")[0]


class Claims:
    """All globs of a policy. A look-up compares a source only with those whose beginning it has."""

    def __init__(self, claims: Iterable[Claim]) -> None:
        self._by_beginning: dict[str, list[Claim]] = {}
        for claim in claims:
            self._by_beginning.setdefault(claim.beginning, []).append(claim)
        self._lengths = sorted({len(beginning) for beginning in self._by_beginning})

    def owner(self, source: str) -> str | None:
        """Return the section that claims a source; None where none does."""
        return next((claim.section for claim in self._candidates(source) if matches(claim.glob, source)), None)

    def conflicts(self) -> Iterator[tuple[Claim, Claim]]:
        """Return pairs of different sections that claim the same source: each claim that is one too many, with one."""
        for claim in [claim for claims in self._by_beginning.values() for claim in claims]:
            others = (other for other in self._candidates(claim.beginning) if other.section != claim.section)
            other = next((other for other in others if overlap(claim.glob, other.glob)), None)
            if other is not None:
                yield claim, other

    def _candidates(self, text: str) -> Iterator[Claim]:
        for length in self._lengths:
            if length > len(text):
                return
            yield from self._by_beginning.get(text[:length], ())


def matches(glob: str, source: str) -> bool:
    """Return whether a glob matches the whole source. Takes the first place for each part, so it never goes back."""
    first, *parts = glob.split("*")
    if not parts:
        return source == glob
    last = parts.pop()
    place, end = len(first), len(source) - len(last)
    if place > end or not (source.startswith(first) and source.endswith(last)):
        return False
    for part in parts:
        found = source.find(part, place, end)
        if found < 0:
            return False
        place = found + len(part)
    return True


def overlap(one: str, other: str) -> bool:
    """Return whether there is a source that both globs match."""
    seen: set[tuple[int, int]] = set()
    open_ = [(0, 0)]
    while open_:
        place = open_.pop()
        if place in seen:
            continue
        seen.add(place)
        i, j = place
        if (i, j) == (len(one), len(other)):
            return True
        here, there = one[i : i + 1], other[j : j + 1]
        if here == "*":
            open_.append((i + 1, j))  # it stands for nothing more
        if there == "*":
            open_.append((i, j + 1))
        if here and there:
            if here == "*" or there == "*":
                open_ += [(i, j + 1)] if here == "*" else [(i + 1, j)]  # it stands for the other's character, too
            elif here == there:
                open_.append((i + 1, j + 1))
    return False
