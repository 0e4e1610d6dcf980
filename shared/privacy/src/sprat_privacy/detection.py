"""What every finder gives."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Protocol

from sprat_privacy.entity_types import rank


@dataclass(frozen=True, slots=True)
class Detection:
    """A stretch of a text that is personal or secret. `start` and `end` count Unicode code points, `end` exclusive."""

    start: int
    end: int
    type: str
    finder: str
    score: float = 1.0
    """Chance, 0–1, that it is one; 1 where a check digit or a fixed form says so."""


# What masking needs of a finder.


class Detector(Protocol):
    """Finds personal data or secrets in a text. It may raise whatever it likes: then the text does not leave."""

    @property
    def name(self) -> str:
        """Give what messages and records call it."""
        ...

    @property
    def languages(self) -> Collection[str] | None:
        """Give the languages (BCP 47 primary tags) in which it finds names and what else has no form to check.

        None: it looks for forms and listed words alone, whatever the language; that vouches for no text.
        """
        ...

    def find(self, text: str, language: str) -> list[Detection]:
        """Give what it finds, in any order; spans may overlap."""
        ...


class TextDetector(Protocol):
    """What the tagger offers."""

    def find(self, text: str) -> list[Detection]:
        """Give what it finds."""
        ...


@dataclass(frozen=True, slots=True)
class NameDetector:
    """The tagger as a finder, for the languages that its card lists."""

    tagger: TextDetector
    languages: Collection[str]
    name: str = "tagger"

    def find(self, text: str, language: str) -> list[Detection]:
        """Give what the tagger finds; whether it may be asked in this language is masking's question."""
        return self.tagger.find(text)


# Finds that overlap become one: nothing that anybody found stays outside.


def resolve(found: Iterable[Detection]) -> list[Detection]:
    """Give finds without overlaps, in the order of the text.

    Of finds that overlap, the longest says what it is; one that reaches beyond it lengthens it. Where two are equally
    long, in this order: the higher score, the stronger type (`kinds.STRONGEST_FIRST`), the earlier start, the finder's
    name. Finds that only touch stay two.
    """
    resolved: list[Detection] = []
    group: list[Detection] = []
    end = 0
    for one in sorted(found, key=lambda one: (one.start, -one.end)):
        if group and one.start >= end:
            resolved.append(_one(group, end))
            group = []
        end = max(end, one.end) if group else one.end
        group.append(one)
    if group:
        resolved.append(_one(group, end))
    return resolved


def _one(group: list[Detection], end: int) -> Detection:
    return replace(min(group, key=_order), start=group[0].start, end=end)


def _order(one: Detection) -> tuple[int, float, tuple[int, str], int, str]:
    return one.start - one.end, -one.score, rank(one.type), one.start, one.finder
