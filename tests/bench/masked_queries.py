"""Measure what masking does to plain queries, and the surnames that it misses in German compounds.

    python -m tests.bench.masked_queries --data DIR [--save]      (or SPRAT_DATA=DIR)

Queries: the test set of CLINC150, in scope: 4,500 questions to an assistant, of which few name a person. Counted are
those in which something is masked, and how often a small model is right about these, as they are and masked. It was
not trained on placeholders; a large model is not measured here.

Compounds: `tests/data/german_compounds.tsv`, each with the German surnames of `surnames.tsv` and `unseen_surnames.tsv`.
"""

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recipes.intent.clinc150 import Split, read_split
from recipes.intent.metrics import read_splits
from sprat_encoder.label_model import LabellingModel
from sprat_privacy import MaskedText, NameDetector, mask, read_names
from sprat_privacy.detectors.name_context import NameContext
from sprat_privacy.detectors.tagger import SHIPPED_TAGGER, Tagger
from sprat_privacy.detectors.validators.suite import Validators
from tests.bench.arguments import parser_of
from tests.bench.benchmarks_page import save
from tests.bench.intent_quality import ARTEFACTS
from tests.bench.surname_quality import carried, count

MODEL = "default"
BATCH = 64


def main(argv: Sequence[str] | None = None) -> int:
    """Run, and return the exit code."""
    parser = parser_of(__doc__)
    parser.add_argument("--save", action="store_true", help="save the figures, fill the pages that quote them")
    options = parser.parse_args(argv)
    tagger = Tagger.load(SHIPPED_TAGGER)
    compounds = [
        each
        for names in ("surnames", "unseen_surnames")
        for each in carried("german_compounds", names)
        if each.language == "de"
    ]
    counted = {
        " ".join(key): list(value)
        for key, value in count(compounds, tagger, [NameContext()]).items()
        if key[0] in {"language", "hyphen", "joined"} and len(key) < 3
    }
    figures = {"tagger": tagger.card.version, "compounds": counted, "queries": queries(options.data, tagger)}
    print(figures)
    if options.save:
        save("masked-queries", figures)
    return 0


def queries(data: Path, tagger: Tagger) -> dict[str, Any]:
    """Return how many queries are masked, by type, and how often a small model is right about them."""
    split = read_split(data, "test")
    masked = masked_texts(split.texts, tagger)
    changed = [place for place, each in enumerate(masked) if each.spans]
    model = LabellingModel.load(ARTEFACTS / MODEL)
    gold = tuple(split.labels[place] for place in changed)
    readings = {
        "plain": tuple(split.texts[place] for place in changed),
        "masked": tuple(masked[place].text for place in changed),
    }
    right = {how: int(read_splits(model, Split(texts, gold)).best_right.sum()) for how, texts in readings.items()}
    digits = sum(
        any(span.type == "ADDRESS" and not any(map(str.isalpha, each.value(span))) for span in each.spans)
        for each in masked
    )
    types = Counter(type for each in masked for type in {span.type for span in each.spans})
    return {
        "model": model.card.version,
        "queries": len(masked),
        "masked": len(changed),
        "by_type": dict(types.most_common()),
        "numbers_as_address": digits,
        "right": right,
    }


def masked_texts(texts: Sequence[str], tagger: Tagger, language: str = "en") -> list[MaskedText]:
    """Return the texts of one language as they would leave under `redact`, without terms of a policy."""
    detectors = (NameDetector(tagger, frozenset(tagger.card.languages)), NameContext(), Validators())
    using = [
        each
        for start in range(0, len(texts), BATCH)
        for each in read_names([(text, language) for text in texts[start : start + BATCH]], detectors)
    ]
    return [mask(text, language, detectors) for text, detectors in zip(texts, using, strict=True)]


if __name__ == "__main__":
    sys.exit(main())
