"""A masked text, its placeholders, and what is needed to restore an answer about it. It never leaves the process."""

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Never


@dataclass(frozen=True, slots=True, repr=False)
class MaskedSpan:
    """One replaced span. `start` and `end` count code points of the original, `at` those of the masked text."""

    start: int
    end: int
    at: int
    placeholder: str
    type: str
    detector: str

    @property
    def after(self) -> int:
        """Return the offset in the masked text directly after the placeholder."""
        return self.at + len(self.placeholder)

    def __repr__(self) -> str:
        return f"MaskedSpan({self.start}–{self.end}: {self.placeholder})"


@dataclass(frozen=True, slots=True, repr=False)
class MaskedText:
    """`text` may leave the perimeter. `original` and `spans` may not: repr hides both, and it cannot be pickled."""

    text: str
    original: str
    spans: tuple[MaskedSpan, ...]
    """In the order of the text, without overlaps."""
    dropped: tuple[MaskedSpan, ...] = ()
    """What was taken out between the spans because nobody sees it, with an empty placeholder."""

    @property
    def counts(self) -> dict[str, int]:
        """Return the number of replaced spans of each type, ordered by type."""
        return dict(sorted(Counter(span.type for span in self.spans).items()))

    @property
    def changes(self) -> Sequence[MaskedSpan]:
        """Return all in which the masked text differs from the original, in the order of the text."""
        if not self.dropped:
            return self.spans
        return sorted((*self.spans, *self.dropped), key=lambda span: span.start)

    def value(self, span: MaskedSpan) -> str:
        """Return the original text of a span."""
        return self.original[span.start : span.end]

    def forms(self) -> dict[str, list[str]]:
        """Return the original texts of each placeholder, in the order of the text."""
        forms: dict[str, list[str]] = {}
        for span in self.spans:
            forms.setdefault(span.placeholder, []).append(self.value(span))
        return forms

    def unmasked(self) -> str:
        """Rebuild the original from the masked text and the spans."""
        pieces: list[str] = []
        last = 0
        for span in self.changes:
            pieces += (self.text[last : span.at], self.value(span))
            last = span.after
        return "".join((*pieces, self.text[last:]))

    def __repr__(self) -> str:
        return f"MaskedText({len(self.text)} characters, counts={self.counts})"

    def __reduce__(self) -> Never:
        raise TypeError("a masked text stays in its process; it cannot be pickled")


@dataclass(slots=True)
class Numbering:
    """Assigns placeholders to the values of one text: numbered by type, from 1, the same for the same value.

    Skips a placeholder that is in the text already or looks like one that is.
    """

    taken: Collection[str]
    """The placeholders of the text, as `lookalikes_in` returns them."""
    _by_name: dict[Hashable, str] = field(default_factory=dict)
    _last: dict[str, int] = field(default_factory=dict)

    def placeholder_for(self, names: Collection[Hashable], type: str) -> str:
        """Return the placeholder of the value with these names; a new one of this type if no name is known."""
        known = next((self._by_name[name] for name in names if name in self._by_name), None)
        assigned = known or self._next(type)
        for name in names:
            self._by_name.setdefault(name, assigned)
        return assigned

    def _next(self, type: str) -> str:
        number = self._last.get(type, 0) + 1
        while _placeholder(type, number).lower() in self.taken:
            number += 1
        self._last[type] = number
        return _placeholder(type, number)


def placeholders_in(text: str) -> list[str]:
    """Return every placeholder in a text, in order, whoever wrote it."""
    return [match.group() for match in _PLACEHOLDER.finditer(text)]


def lookalikes_in(text: str) -> list[str]:
    """Return, in order, what is a placeholder except for case, spaces and hyphens, in one spelling: `[person_1]`."""
    folded = unicodedata.normalize("NFKC", text).lower()
    return [f"[{match[1]}_{match[2]}]" for match in _LOOKALIKE.finditer(folded)]


_PLACEHOLDER = re.compile(r"\[([A-Z][A-Z0-9_]{0,31})_([0-9]{1,9})\]")
_LOOKALIKE = re.compile(r"\[[ ]*([a-z][a-z0-9_]{0,31})[ _-]{1,3}([0-9]{1,9})[ ]*\]")
"""A placeholder with changed case, spaces or hyphens, in a text folded to lower case."""


def _placeholder(type: str, number: int) -> str:
    return f"[{type}_{number}]"
