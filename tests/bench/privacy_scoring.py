"""How finds are scored against annotated texts: the same for every system, whatever it calls its types."""

import gzip
import json
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

Span = tuple[int, int, str]
"""Start, end, type."""

FILES: Final = ("synth_dataset_v2.jsonl.gz", "generated_small.jsonl.gz")
_TOKEN = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Annotated:
    """A text whose personal data is known."""

    text: str
    spans: tuple[Span, ...]
    template: int


@dataclass(frozen=True, slots=True)
class Kind:
    """What the annotators mean, and which types of each system mean the same. Empty: the system does not claim it."""

    name: str
    annotated: frozenset[str]
    sprat: frozenset[str]
    presidio: frozenset[str]


def _kind(name: str, annotated: str, sprat: str = "", presidio: str = "") -> Kind:
    return Kind(name, frozenset(annotated.split()), frozenset(sprat.split()), frozenset(presidio.split()))


KINDS: Final = (
    # Presidio's types are those of its own evaluation (presidio-research, `PresidioAnalyzerWrapper`). Parts of an
    # address are annotated as one span or as several, and cities stand in it: so with Sprat, too, a place may be called
    # an address and the reverse.
    _kind("person", "PERSON", "PERSON", "PERSON"),
    _kind("place", "GPE LOCATION", "LOCATION ADDRESS", "LOCATION"),
    _kind("address", "STREET_ADDRESS ADDRESS", "ADDRESS LOCATION", "LOCATION"),
    _kind("post code", "ZIP_CODE", "ADDRESS LOCATION"),
    _kind("phone", "PHONE_NUMBER", "PHONE", "PHONE_NUMBER"),
    _kind("e-mail", "EMAIL_ADDRESS", "EMAIL", "EMAIL_ADDRESS"),
    _kind("card", "CREDIT_CARD", "CARD", "CREDIT_CARD"),
    _kind("IBAN", "IBAN_CODE", "IBAN", "IBAN_CODE"),
    _kind("social security", "US_SSN", "SOCIAL_SECURITY", "US_SSN"),
    _kind("driving licence", "US_DRIVER_LICENSE", "DRIVERS_LICENSE", "US_DRIVER_LICENSE"),
    _kind("IP", "IP_ADDRESS", "IP", "IP_ADDRESS"),
    _kind("web address", "DOMAIN_NAME", "URL", "URL"),
    _kind("date or time", "DATE_TIME", "", "DATE_TIME"),
    _kind("nationality, religion", "NRP", "", "NRP"),
    _kind("age", "AGE"),
    _kind("organisation", "ORGANIZATION"),
    _kind("title, profession", "TITLE"),
)


@dataclass(slots=True)
class Counts:
    """Of one kind, by one system. `covered`: all letters and digits of it lie in finds."""

    spans: int = 0
    covered: int = 0
    """By finds of the right type."""
    covered_by_any: int = 0
    found: int = 0
    found_right: int = 0
    """Finds more than half of whose letters and digits are annotated as something that their type means."""
    tokens: int = 0
    tokens_covered: int = 0
    tokens_found: int = 0
    tokens_right: int = 0

    def figures(self) -> dict[str, float | int | None]:
        """Counts, and the shares made of them; None where there is nothing to share."""
        return asdict(self) | {
            "recall": share(self.covered, self.spans),
            "recall_any_type": share(self.covered_by_any, self.spans),
            "precision": share(self.found_right, self.found),
            "token_recall": share(self.tokens_covered, self.tokens),
            "token_precision": share(self.tokens_right, self.tokens_found),
        }


def share(part: int, whole: int) -> float | None:
    """Give `part` of `whole`, 0 to 1."""
    return part / whole if whole else None


def read(data: Path) -> list[Annotated]:
    """Give the texts of the odd template ids, of both files."""
    rows: list[dict[str, Any]] = []
    for name in FILES:
        with gzip.open(data / "pii/presidio_research" / name, "rt", encoding="utf-8") as lines:
            rows += map(json.loads, lines)
    return [
        Annotated(
            row["text"], tuple((span["start"], span["end"], span["type"]) for span in row["spans"]), row["template_id"]
        )
        for row in rows
        if row["template_id"] % 2
    ]


def score(rows: Sequence[Annotated], found: Sequence[Sequence[Span]], system: str) -> dict[str, Counts]:
    """Count, by kind, what `system` (a field of :class:`Kind`) found in each text."""
    counts = {kind.name: Counts() for kind in KINDS}
    for row, spans in zip(rows, found, strict=True):
        for kind in KINDS:
            _count(counts[kind.name], row, spans, kind, system)
    return counts


def outside(rows: Sequence[Annotated], found: Sequence[Sequence[Span]]) -> float | None:
    """Give the share of the tokens with a find, of any type, that touch no annotated span of any type."""
    touched = wrong = 0
    for row, spans in zip(rows, found, strict=True):
        gold = _places(row.spans)
        ours = _places(spans)
        for token in _tokens(row.text):
            if token & ours:
                touched += 1
                wrong += not token & gold
    return share(wrong, touched)


def _count(counts: Counts, row: Annotated, found: Sequence[Span], kind: Kind, system: str) -> None:
    readable = {place for place, character in enumerate(row.text) if character.isalnum()}
    accepted: Collection[str] = getattr(kind, system)
    typed = [span for span in found if span[2] in accepted]
    ours, everything = _places(typed), _places(found)
    gold = [span for span in row.spans if span[2] in kind.annotated]
    for span in gold:
        places = _places([span]) & readable
        counts.spans += 1
        counts.covered += places <= ours
        counts.covered_by_any += places <= everything
    for span in typed:
        places = _places([span]) & readable
        counts.found += 1
        counts.found_right += 2 * len(places & _meant(row, span[2], system)) > len(places)
    meant = set[int]().union(*(_meant(row, type, system) for type in accepted))
    here = _places(gold)
    for token in _tokens(row.text):
        counts.tokens += bool(token & here)
        counts.tokens_covered += bool(token & here) and token & here <= ours
        counts.tokens_found += bool(token & ours)
        counts.tokens_right += bool(token & ours & meant)


def _meant(row: Annotated, type: str, system: str) -> set[int]:
    """Give the places annotated as something that the type means."""
    types = set[str]().union(*(kind.annotated for kind in KINDS if type in getattr(kind, system)))
    return _places(span for span in row.spans if span[2] in types)


def _places(spans: Iterable[Span]) -> set[int]:
    return {place for start, end, _ in spans for place in range(start, end)}


def _tokens(text: str) -> list[set[int]]:
    return [set(range(token.start(), token.end())) for token in _TOKEN.finditer(text)]
