"""A masked text, with all that is needed to restore an answer. It never leaves the process."""

from collections import Counter
from dataclasses import dataclass
from typing import Never


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
