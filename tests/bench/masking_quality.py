"""Measure masking on texts by another author: plain queries that are touched, and surnames that are found.

    python -m tests.bench.masking_quality --data DIR [--split dev|test] [--save [before|after]]      (or SPRAT_DATA=DIR)

Plain queries: `tests.bench.shapes`, and the questions of CLINC150 and BANKING77 (`dev`: validation and training texts).
Surnames, alone in a sentence and in compounds: those of `tests/data/shapes`, and in English last names of wikigold. One
is found when every letter of it is masked. Takes three minutes.
"""

import gzip
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from recipes.intent.clinc150 import read_split
from sprat_privacy import MaskedText
from sprat_privacy.detectors.tagger import SHIPPED_TAGGER, Tagger
from tests.bench import shapes
from tests.bench.masked_queries import masked_texts
from tests.bench.surname_quality import Carried, Plain
from tests.bench.train_quality import table
from tests.bench.written_quality import LANGUAGES, options_of, save_side

NAME: Final = "masking-sets"
CORPUS_NAMES: Final = 40
EVERY: Final = 5
"""Of the training texts of BANKING77, for `dev`."""


def plain_queries(data: Path, part: str) -> Iterator[Plain]:
    """Yield all queries, with the set that they are of."""
    yield from shapes.plain(part)
    for text in read_split(data, "val" if part == "dev" else "test").texts:
        yield Plain("en", "CLINC150", text)
    banking = table(data / f"intent/banking77/{'train' if part == 'dev' else 'test'}.tsv")
    yield from (Plain("en", "BANKING77", text) for text, _ in banking[:: EVERY if part == "dev" else 1])


def touched(texts: Sequence[Plain], tagger: Tagger) -> dict[str, dict[str, int]]:
    """Count for each group the texts, those in which something is masked, and in how many by each type."""
    counted: dict[str, Counter[str]] = {}
    for each, masked in _masked(texts, tagger):
        group = each.stands if each.stands.isupper() or each.stands[-1].isdigit() else f"{each.stands}, {each.language}"
        counts = counted.setdefault(group, Counter(texts=0, touched=0))
        counts.update(["texts", *["touched"] * bool(masked.spans), *{span.type for span in masked.spans}])
    return {group: dict(counts) for group, counts in counted.items()}


def found(texts: Sequence[Carried], tagger: Tagger) -> dict[str, dict[str, int]]:
    """Count for each group the texts, and those in which the whole surname is masked."""
    counted: dict[str, dict[str, int]] = {}
    for each, masked in _masked(texts, tagger):
        counts = counted.setdefault(f"{each.stands}, {each.kind}, {each.language}", {"texts": 0, "found": 0})
        counts["texts"] += 1
        counts["found"] += all(
            any(span.start <= start and end <= span.end for span in masked.spans) for start, end in each.spans
        )
    return counted


def _masked(texts: Sequence[Any], tagger: Tagger) -> Iterator[tuple[Any, MaskedText]]:
    for language in LANGUAGES:
        of = [each for each in texts if each.language == language]
        yield from zip(of, masked_texts([each.text for each in of], tagger, language), strict=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Run, and return the exit code."""
    options = options_of(__doc__, argv)
    tagger = Tagger.load(SHIPPED_TAGGER)
    corpus = gzip.decompress((options.data / "ner/wikigold/all.bio.tsv.gz").read_bytes()).decode("utf-8").splitlines()
    names = shapes.corpus_surnames(corpus, options.split, CORPUS_NAMES)
    figures: dict[str, Any] = {
        "part": options.split,
        "tagger": tagger.card.version,
        "plain": touched(list(plain_queries(options.data, options.split)), tagger),
        "surnames": found(list(shapes.with_surnames(options.split, names)), tagger),
    }
    for group, counts in (figures["plain"] | figures["surnames"]).items():
        print(f"{group:30} {counts}")
    if options.save:
        save_side(NAME, options.save, figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
