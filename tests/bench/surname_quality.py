"""Measure how often surnames are masked, by how they stand in a text, in the seven languages of the tagger.

    python -m tests.bench.surname_quality [--half even|odd] [--without-context] [--save]

Carrier sentences and names: `tests/data/surname_carriers.tsv` and `surnames.tsv`. Every other carrier of a language and
kind (even ones) is for looking at; the odd ones are reported. A name counts as masked when every letter of it is.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from sprat_privacy import Detector, NameDetector, mask
from sprat_privacy.detectors.name_context import NameContext
from sprat_privacy.detectors.tagger import SHIPPED_TAGGER, Tagger
from sprat_privacy.detectors.validators.suite import Validators
from tests.bench.benchmarks_page import save

DATA = Path(__file__).resolve().parents[1] / "data"


@dataclass(frozen=True, slots=True)
class Carried:
    """A text with one name; what must be masked are the spans."""

    language: str
    stands: str
    kind: str
    text: str
    spans: tuple[tuple[int, int], ...]


def main(argv: Sequence[str] | None = None) -> int:
    """Run, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--half", choices=("even", "odd"), default="odd")
    parser.add_argument("--without-context", action="store_true", help="the tagger and the validators alone")
    parser.add_argument("--save", action="store_true", help="measure both, save the figures, fill docs/benchmarks.md")
    options = parser.parse_args(argv)
    texts = list(carried(odd=options.half == "odd"))
    tagger = Tagger.load(SHIPPED_TAGGER)
    before = count(texts, tagger, [])
    after = count(texts, tagger, [NameContext()])
    shown = before if options.without_context else after
    for key, (masked, all_) in shown.items():
        print(f"{' '.join(key):30}{masked:5} of {all_:5}  {100 * masked / all_:5.1f} %")
    if options.save:
        save("surnames", {"tagger": tagger.card.version, "before": rows(before), "after": rows(after)})
    return 0


def carried(*, odd: bool) -> Iterator[Carried]:
    """Yield each carrier of a half with each surname of its language."""
    names: dict[tuple[str, str], list[str]] = {}
    for line in (DATA / "surnames.tsv").read_text("utf-8").splitlines():
        language, kind, words = line.split("\t")
        names[language, kind] = words.split(" ")
    places: Counter[tuple[str, str]] = Counter()
    for line in (DATA / "surname_carriers.tsv").read_text("utf-8").splitlines():
        language, stands, carrier = line.split("\t")
        places[language, stands] += 1
        if places[language, stands] % 2 != odd:
            continue
        firsts = cycle(names[language, "first"])
        for kind in ("rare", "common", "word"):
            for surname in names[language, kind]:
                yield filled(language, stands, kind, carrier.replace("\\n", "\n"), surname, next(firsts))


def filled(language: str, stands: str, kind: str, carrier: str, surname: str, first: str) -> Carried:
    """Return the carrier with the name in it, and where it stands."""
    values = {"surname": surname, "first": first, "lower": surname.lower(), "lowerfirst": first.lower()}
    text, spans = "", []
    for piece in carrier.split("{"):
        field, brace, rest = piece.partition("}")
        if brace:
            spans.append((len(text), len(text) + len(values[field])))
            text += values[field] + rest
        else:
            text += field
    return Carried(language, stands, kind, text, tuple(spans))


def count(texts: Sequence[Carried], tagger: Tagger, more: Sequence[Detector]) -> dict[tuple[str, ...], tuple[int, int]]:
    """Return how many names are masked completely, and of how many: by how they stand, by kind, by language."""
    names = NameDetector(tagger, tagger.card.languages)
    masked: Counter[tuple[str, ...]] = Counter()
    every: Counter[tuple[str, ...]] = Counter()
    for each in texts:
        hidden = mask(each.text, each.language, [names, *more, Validators()]).spans
        right = all(any(span.start <= start and end <= span.end for span in hidden) for start, end in each.spans)
        for key in ((each.stands,), ("kind", each.kind), ("language", each.language), (each.stands, each.kind)):
            every[key] += 1
            masked[key] += right
    return {key: (masked[key], every[key]) for key in every}


def rows(counts: dict[tuple[str, ...], tuple[int, int]]) -> dict[str, list[int]]:
    """Return the counts with names that JSON can hold."""
    return {" ".join(key): list(pair) for key, pair in counts.items()}


if __name__ == "__main__":
    sys.exit(main())
