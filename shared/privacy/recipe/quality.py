"""What the tagger alone covers of annotated personal data; letters and digits count, white space and signs do not."""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.privacy.recipe.texts import Annotated
from sprat_privacy.detectors.tagger import Tagger


@dataclass(frozen=True, slots=True)
class Quality:
    """Figures over many texts."""

    precision: float
    """Share of the masked letters and digits that lie in an annotated span, of whatever type."""
    covered: dict[str, float]
    """Type → share of the annotated spans whose letters and digits are all masked."""


def quality(tagger: Tagger, rows: Sequence[Annotated]) -> Quality:
    """Measure on `rows`."""
    masked = right = 0
    spans: dict[str, list[bool]] = {}
    for row, found in zip(rows, tagger.find_many([row.text for row in rows]), strict=True):
        readable = {place for place, character in enumerate(row.text) if character.isalnum()}
        ours = {place for each in found for place in range(each.start, each.end)} & readable
        gold = {place for start, end, _ in row.spans for place in range(start, end)}
        masked, right = masked + len(ours), right + len(ours & gold)
        for start, end, type in row.spans:
            spans.setdefault(type, []).append(readable & set(range(start, end)) <= ours)
    return Quality(right / max(masked, 1), {type: sum(hits) / len(hits) for type, hits in spans.items()})
