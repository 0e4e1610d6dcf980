"""Score detections against annotated texts, in the same way for every system and its names of types."""

import gzip
import json
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from recipes.privacy.sources import AnnotatedText

Span = tuple[int, int, str]
"""Start, end, type."""

FILES: Final = ("synth_dataset_v2.jsonl.gz", "generated_small.jsonl.gz")
_TOKEN = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Category:
    """Annotated types, and the types of each system that mean the same; empty if it does not claim to find them."""

    name: str
    annotated: frozenset[str]
    sprat: frozenset[str]
    presidio: frozenset[str]


def _category(name: str, annotated: str, sprat: str = "", presidio: str = "") -> Category:
    return Category(name, frozenset(annotated.split()), frozenset(sprat.split()), frozenset(presidio.split()))


CATEGORIES: Final = (
    # Presidio's types are those of its own evaluation (presidio-research, `PresidioAnalyzerWrapper`). An address is
    # annotated as one span or as several, and may contain a city: so place and address count as the same for Sprat too.
    _category("person", "PERSON", "PERSON", "PERSON"),
    _category("place", "GPE LOCATION", "LOCATION ADDRESS", "LOCATION"),
    _category("address", "STREET_ADDRESS ADDRESS", "ADDRESS LOCATION", "LOCATION"),
    _category("post code", "ZIP_CODE", "ADDRESS LOCATION"),
    _category("phone", "PHONE_NUMBER", "PHONE", "PHONE_NUMBER"),
    _category("e-mail", "EMAIL_ADDRESS", "EMAIL", "EMAIL_ADDRESS"),
    _category("card", "CREDIT_CARD", "CARD", "CREDIT_CARD"),
    _category("IBAN", "IBAN_CODE", "IBAN", "IBAN_CODE"),
    _category("social security", "US_SSN", "SOCIAL_SECURITY", "US_SSN"),
    _category("driving licence", "US_DRIVER_LICENSE", "DRIVERS_LICENSE", "US_DRIVER_LICENSE"),
    _category("IP", "IP_ADDRESS", "IP", "IP_ADDRESS"),
    _category("web address", "DOMAIN_NAME", "URL", "URL"),
    _category("date or time", "DATE_TIME", "", "DATE_TIME"),
    _category("nationality, religion", "NRP", "", "NRP"),
    _category("age", "AGE"),
    _category("organisation", "ORGANIZATION"),
    _category("title, profession", "TITLE"),
)


@dataclass(slots=True)
class CategoryCounts:
    """CategoryCounts of one category for one system. `covered`: all letters and digits of a span are in detections."""

    spans: int = 0
    covered: int = 0
    """By detections of the right type."""
    covered_by_any: int = 0
    found: int = 0
    found_right: int = 0
    """Detections of which more than half of the letters and digits are annotated with a type of the category."""

    def figures(self) -> dict[str, float | int | None]:
        """Return the counts and the shares computed from them; None for a share of nothing."""
        return asdict(self) | {
            "recall": share(self.covered, self.spans),
            "recall_any_type": share(self.covered_by_any, self.spans),
            "precision": share(self.found_right, self.found),
        }


def share(part: int, whole: int) -> float | None:
    """Return `part` divided by `whole`; None if `whole` is 0."""
    return part / whole if whole else None


def read(data: Path) -> list[AnnotatedText]:
    """Return the texts of both files with odd template ids."""
    rows: list[dict[str, Any]] = []
    for name in FILES:
        with gzip.open(data / "pii/presidio_research" / name, "rt", encoding="utf-8") as lines:
            rows += map(json.loads, lines)
    return [
        AnnotatedText(
            row["text"], tuple((span["start"], span["end"], span["type"]) for span in row["spans"]), row["template_id"]
        )
        for row in rows
        if row["template_id"] % 2
    ]


def score(rows: Sequence[AnnotatedText], found: Sequence[Sequence[Span]], system: str) -> dict[str, CategoryCounts]:
    """Count by category what `system` (a field of :class:`Category`) detected in each text."""
    counts = {category.name: CategoryCounts() for category in CATEGORIES}
    for row, spans in zip(rows, found, strict=True):
        for category in CATEGORIES:
            _count(counts[category.name], row, spans, category, system)
    return counts


def outside(rows: Sequence[AnnotatedText], found: Sequence[Sequence[Span]]) -> float | None:
    """Return the share of the detected tokens, of any type, that touch no annotated span of any type."""
    touched = wrong = 0
    for row, spans in zip(rows, found, strict=True):
        gold = _places(row.spans)
        ours = _places(spans)
        for token in _tokens(row.text):
            if token & ours:
                touched += 1
                wrong += not token & gold
    return share(wrong, touched)


def _count(counts: CategoryCounts, row: AnnotatedText, found: Sequence[Span], category: Category, system: str) -> None:
    readable = {place for place, character in enumerate(row.text) if character.isalnum()}
    accepted: Collection[str] = getattr(category, system)
    typed = [span for span in found if span[2] in accepted]
    ours, everything = _places(typed), _places(found)
    gold = [span for span in row.spans if span[2] in category.annotated]
    for span in gold:
        places = _places([span]) & readable
        counts.spans += 1
        counts.covered += places <= ours
        counts.covered_by_any += places <= everything
    for span in typed:
        places = _places([span]) & readable
        counts.found += 1
        counts.found_right += 2 * len(places & _annotated_places(row, span[2], system)) > len(places)


def _annotated_places(row: AnnotatedText, type: str, system: str) -> set[int]:
    """Return the offsets annotated with a type that means the same as the system's type."""
    types = set[str]().union(*(category.annotated for category in CATEGORIES if type in getattr(category, system)))
    return _places(span for span in row.spans if span[2] in types)


def _places(spans: Iterable[Span]) -> set[int]:
    return {place for start, end, _ in spans for place in range(start, end)}


def _tokens(text: str) -> list[set[int]]:
    return [set(range(token.start(), token.end())) for token in _TOKEN.finditer(text)]
