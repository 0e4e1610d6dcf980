"""Measure how often surnames are masked, by how they stand in a text, in the seven languages of the tagger.

    python -m tests.bench.surname_quality [--half even|odd] [--without-context] [--save]

Carrier sentences and names: `tests/data/surname_carriers.tsv` and `surnames.tsv`. Every other carrier of a language and
kind (even ones) is for looking at; the odd ones are reported. A name counts as masked when every letter of it is.

Beside them a second set, `unseen_surname_carriers.tsv`, `unseen_surnames.tsv` and `unseen_surname_words.tsv`, whose
author had seen neither the rules nor the first set. All of it is reported, and no rule may be tuned on it. In its
sentences of words, which name no person, the surnames stand as words: a mask of a person there is a false alarm.
"""

import argparse
import sys
from collections import Counter, defaultdict
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


@dataclass(frozen=True, slots=True)
class Plain:
    """A text without a person, in which a word stands that is a surname elsewhere."""

    language: str
    stands: str
    text: str


Counts = dict[tuple[str, ...], tuple[int, int]]
"""How many, and of how many: by how they stand, by kind, by language."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--half", choices=("even", "odd"), default="odd")
    parser.add_argument("--without-context", action="store_true", help="the tagger and the validators alone")
    parser.add_argument("--save", action="store_true", help="measure both, save the figures, fill docs/benchmarks")
    options = parser.parse_args(argv)
    tagger = Tagger.load(SHIPPED_TAGGER)
    first = list(carried("surname_carriers", "surnames", odd=options.half == "odd"))
    unseen = list(carried("unseen_surname_carriers", "unseen_surnames"))
    plain = list(words("unseen_surname_words"))
    rules = {"before": [], "after": [NameContext()]}
    seen_counts = {when: count(first, tagger, more) for when, more in rules.items()}
    unseen_counts = {when: count(unseen, tagger, more) for when, more in rules.items()}
    alarms = {when: false_alarms(plain, tagger, more) for when, more in rules.items()}
    when = "before" if options.without_context else "after"
    for title, counts in (
        ("surnames masked", seen_counts[when]),
        ("surnames masked, sentences written without sight of the rules", unseen_counts[when]),
        ("false alarms in sentences without a person", alarms[when]),
    ):
        print(f"\n{title}")
        for key, (some, all_) in counts.items():
            print(f"{' '.join(key):30}{some:5} of {all_:5}  {100 * some / all_:5.1f} %")
    if options.save:
        version = {"tagger": tagger.card.version}
        figures = {when: rows(counts) for when, counts in unseen_counts.items()}
        save("unseen-surnames", version | figures | {"alarms": {when: rows(counts) for when, counts in alarms.items()}})
        save("surnames", version | {when: rows(counts) for when, counts in seen_counts.items()})
    return 0


def carried(carriers: str, names: str, *, odd: bool | None = None) -> Iterator[Carried]:
    """Yield each carrier of a file, or of its odd or even half, with each surname of its language."""
    surnames: dict[str, list[tuple[str, str]]] = defaultdict(list)
    firsts: dict[str, list[str]] = {}
    for language, kind, listed in lines(names):
        if kind == "first":
            firsts[language] = listed.split(" ")
        else:
            surnames[language] += ((kind, surname) for surname in listed.split(" "))
    places: Counter[tuple[str, str]] = Counter()
    for language, stands, carrier in lines(carriers):
        places[language, stands] += 1
        if odd is not None and places[language, stands] % 2 != odd:
            continue
        for (kind, surname), first in zip(surnames[language], cycle(firsts[language]), strict=False):
            yield filled(language, stands, kind, carrier, surname, first)


def words(file: str) -> Iterator[Plain]:
    """Yield each sentence without a person."""
    for language, stands, _, text in lines(file):
        yield Plain(language, stands, text)


def lines(file: str) -> Iterator[list[str]]:
    """Yield the fields of each line of a file of test data, `\\n` in them as a line break."""
    for line in (DATA / f"{file}.tsv").read_text("utf-8").splitlines():
        yield line.replace("\\n", "\n").split("\t")


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


def count(texts: Sequence[Carried], tagger: Tagger, more: Sequence[Detector]) -> Counts:
    """Return how many names are masked completely, and of how many."""
    names = NameDetector(tagger, tagger.card.languages)
    counted = Tally()
    for each in texts:
        hidden = mask(each.text, each.language, [names, *more, Validators()]).spans
        right = all(any(span.start <= start and end <= span.end for span in hidden) for start, end in each.spans)
        language = ("language", each.language)
        for key in ((each.stands,), ("kind", each.kind), language, (each.stands, each.kind), (*language, each.stands)):
            counted.add(key, so=right)
    return counted.counts()


def false_alarms(texts: Sequence[Plain], tagger: Tagger, more: Sequence[Detector]) -> Counts:
    """Return in how many texts something is masked as a person, and of how many; `anything`: whatever the type."""
    names = NameDetector(tagger, tagger.card.languages)
    counted = Tally()
    for each in texts:
        hidden = mask(each.text, each.language, [names, *more, Validators()]).spans
        person = any(span.type == "PERSON" for span in hidden)
        for key in (("all",), (each.stands,), ("language", each.language)):
            counted.add(key, so=person)
        counted.add(("anything",), so=bool(hidden))
    return counted.counts()


class Tally:
    """How often something was so, by any number of keys."""

    def __init__(self) -> None:
        self._some: Counter[tuple[str, ...]] = Counter()
        self._all: Counter[tuple[str, ...]] = Counter()

    def add(self, key: tuple[str, ...], *, so: bool) -> None:
        """Count one more under this key."""
        self._some[key] += so
        self._all[key] += 1

    def counts(self) -> Counts:
        """Return for each key how many were so, and of how many."""
        return {key: (self._some[key], every) for key, every in self._all.items()}


def rows(counts: Counts) -> dict[str, list[int]]:
    """Return the counts with names that JSON can hold."""
    return {" ".join(key): list(pair) for key, pair in counts.items()}


if __name__ == "__main__":
    sys.exit(main())
