"""Detectors for the tests of masking."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from sprat_privacy import Detection


@dataclass(frozen=True)
class Words:
    """Detects the first occurrence of each of its words; covers English by default."""

    types: Mapping[str, str]
    languages: Collection[str] | None = frozenset({"en"})
    name: str = "words"

    def find(self, text: str, language: str) -> list[Detection]:
        starts = ((text.find(word), word, type) for word, type in self.types.items())
        return [Detection(start, start + len(word), type, self.name) for start, word, type in starts if start >= 0]


@dataclass(frozen=True)
class Spans:
    """Returns the same spans for every text, or for `text` alone: another reading of it may be shorter."""

    spans: Sequence[tuple[int, int, str]] = ()
    languages: Collection[str] | None = frozenset({"en"})
    name: str = "spans"
    text: str | None = None

    def find(self, text: str, language: str) -> list[Detection]:
        if self.text not in {None, text}:
            return []
        return [Detection(start, end, type, self.name) for start, end, type in self.spans]


@dataclass(frozen=True)
class Broken:
    """Raises an error that contains the text."""

    languages: Collection[str] | None = None
    name: str = "broken"
    error: type[BaseException] = field(default=RuntimeError)

    def find(self, text: str, language: str) -> list[Detection]:
        raise self.error(text)
