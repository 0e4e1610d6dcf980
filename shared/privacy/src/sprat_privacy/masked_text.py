"""What stands in a text in place of what is personal: `[PERSON_1]`."""

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Hashable
from dataclasses import dataclass, field
from typing import Never

_STANDING = re.compile(r"\[([A-Z][A-Z0-9_]{0,31})_([0-9]{1,9})\]")
_RESEMBLING = re.compile(r"\[[ ]*([a-z][a-z0-9_]{0,31})[ _-]{1,3}([0-9]{1,9})[ ]*\]")
"""A placeholder whose case, spaces or hyphens somebody changed, in a text that is folded to lower case."""


def placeholder(type: str, number: int) -> str:
    """Write one."""
    return f"[{type}_{number}]"


def standing_in(text: str) -> list[str]:
    """Give every placeholder of a text, in order, whoever wrote it."""
    return [match.group() for match in _STANDING.finditer(text)]


def resembling_in(text: str) -> list[str]:
    """Give what is a placeholder but for case, spaces and hyphens, in order, all written the same way."""
    folded = unicodedata.normalize("NFKC", text).lower()
    return [f"[{match[1]}_{match[2]}]" for match in _RESEMBLING.finditer(folded)]


@dataclass(slots=True)
class Numbering:
    """Gives each value of a text its placeholder: numbered by type, from 1, the same for the same value.

    A placeholder that stands in the text already, or resembles one that does, is not given.
    """

    taken: Collection[str]
    """What stands in the text, as `resembling_in` gives it."""
    _given: dict[Hashable, str] = field(default_factory=dict)
    _last: dict[str, int] = field(default_factory=dict)

    def give(self, names: Collection[Hashable], type: str) -> str:
        """Give the placeholder of the value that goes by these names; the type counts where none of them is known."""
        given = next((self._given[name] for name in names if name in self._given), None) or self._next(type)
        for name in names:
            self._given.setdefault(name, given)
        return given

    def _next(self, type: str) -> str:
        number = self._last.get(type, 0) + 1
        while placeholder(type, number).lower() in self.taken:
            number += 1
        self._last[type] = number
        return placeholder(type, number)


# A masked text, with all that is needed to restore an answer. It never leaves the process.


@dataclass(frozen=True, slots=True, repr=False)
class MaskedSpan:
    """One stretch that was replaced. `start` and `end` count in the original, `at` in the text that leaves."""

    start: int
    end: int
    at: int
    placeholder: str
    type: str
    finder: str

    @property
    def after(self) -> int:
        """Where the text that leaves goes on."""
        return self.at + len(self.placeholder)

    def __repr__(self) -> str:
        return f"MaskedSpan({self.start}–{self.end}: {self.placeholder})"


@dataclass(frozen=True, slots=True, repr=False)
class Masked:
    """`text` may leave; `original` and what `spans` say of it may not: neither shows in repr, nor can it be pickled."""

    text: str
    original: str
    spans: tuple[MaskedSpan, ...]
    """In the order of the text, without overlaps."""

    @property
    def counts(self) -> dict[str, int]:
        """How many stretches were replaced, by type, in the order of the types' names."""
        return dict(sorted(Counter(span.type for span in self.spans).items()))

    def value(self, span: MaskedSpan) -> str:
        """Give what a span holds, as it was written there."""
        return self.original[span.start : span.end]

    def forms(self) -> dict[str, list[str]]:
        """Give each placeholder's values as they were written, in the order of the text."""
        forms: dict[str, list[str]] = {}
        for span in self.spans:
            forms.setdefault(span.placeholder, []).append(self.value(span))
        return forms

    def unmasked(self) -> str:
        """Give the original back from what left."""
        pieces: list[str] = []
        last = 0
        for span in self.spans:
            pieces += (self.text[last : span.at], self.value(span))
            last = span.after
        return "".join((*pieces, self.text[last:]))

    def __repr__(self) -> str:
        return f"Masked({len(self.text)} characters, counts={self.counts})"

    def __reduce__(self) -> Never:
        raise TypeError("a masked text stays in its process; it is not pickled")
