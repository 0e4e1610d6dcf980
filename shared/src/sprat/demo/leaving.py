"""What left the house in a demo, as its Results tell it. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sprat_contracts import Result


@dataclass(frozen=True, slots=True)
class Leaving:
    """What went to the frontier, and what of it was masked."""

    texts: int
    """Texts that left, each counted once, whatever was asked about it."""
    texts_masked: int
    """Those of them in which something was masked."""
    masked: Mapping[str, int]
    """Type → items masked in all that left, the most frequent first."""

    @property
    def items(self) -> int:
        """How many items were masked."""
        return sum(self.masked.values())


def leaving(results: Iterable[Result]) -> Leaving:
    """Sum up; a text that was asked about twice has its items counted twice, as they left masked twice."""
    left = [
        ((result.text_source, result.text_id), result.egress.masked)
        for result in results
        if result.egress is not None and result.egress.left
    ]
    items: Counter[str] = Counter()
    for _, masked in left:
        items.update(masked)
    masked_texts = {text for text, masked in left if masked}
    return Leaving(len({text for text, _ in left}), len(masked_texts), dict(items.most_common()))
